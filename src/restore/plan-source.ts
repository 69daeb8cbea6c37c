/**
 * Whether the data comes from the repository or from a CSI snapshot that was kept in the storage system, and why. Pure.
 * What was asked for is done or refused; only `auto` chooses, and only what is sure.
 */
import { HoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { RecordedSnapshot } from '../manifest/kept-snapshot.ts';
import type { Recipe } from '../manifest/recipe.ts';
import type { BackupFacts, ClusterFacts, KeptFacts, RestoreWishes } from './facts.ts';
import type { ClassPlan } from './plan-class.ts';
import type { PlacePlan } from './plan-place.ts';

export type DataSource =
  | { readonly kind: 'repository'; readonly reason: string }
  | {
      readonly kind: 'snapshot';
      readonly reason: string;
      readonly snapshot: RecordedSnapshot;
      /** Where the volume is made, for a class that waits for a first pod: there is none in this way (R5.6). */
      readonly node: string | null;
      readonly warnings: readonly string[];
    };

/** By it the scheduler tells a provisioner where the first pod of a claim is to run. */
export const SELECTED_NODE = 'volume.kubernetes.io/selected-node';

/** The snapshot of that name in the namespace of the claim. */
export function snapshotSource(name: string) {
  return { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name } as const;
}

interface Question {
  readonly backup: BackupFacts;
  readonly recipe: Recipe;
  readonly facts: ClusterFacts;
  readonly wishes: RestoreWishes;
  readonly storageClass: ClassPlan;
  readonly place: PlacePlan;
  readonly sizeBytes: number;
}

/** KEPT_SNAPSHOT_UNUSABLE where the data is to be had from the snapshot alone, and is not. */
export function planSource(question: Question): DataSource | HoldfastError {
  const { backup, recipe, facts, wishes } = question;
  const { keptSnapshot: snapshot } = recipe;
  const wish = wishes.from ?? 'auto';
  const isOnlyThere = backup.inStorage === true;
  if (wish === 'repository' && isOnlyThere) {
    return unusable('the repository has its recipe alone, without data', 'Leave out --from repository.');
  }
  if (wish === 'repository') return { kind: 'repository', reason: 'chosen' };
  const kept = facts.kept ?? undefined;
  if (snapshot === undefined || kept === undefined) {
    const reason = 'no CSI snapshot was kept with this backup';
    return wish === 'snapshot' || isOnlyThere ? unusable(reason) : { kind: 'repository', reason };
  }
  const way = snapshotWay(question, snapshot, kept);
  const isWanted = wish === 'snapshot' || isOnlyThere;
  if (typeof way === 'string') {
    return isWanted ? unusable(way) : { kind: 'repository', reason: `its kept CSI snapshot cannot be used: ${way}` };
  }
  if (isWanted) return way;
  const [doubt] = [...(kept.state === 'unknown' ? [kept.reason] : []), ...way.warnings];
  if (doubt === undefined) return way;
  return { kind: 'repository', reason: `its kept CSI snapshot is not sure to be of use: ${doubt}` };
}

/** In words why it cannot be done. */
function snapshotWay(
  question: Question,
  snapshot: RecordedSnapshot,
  kept: KeptFacts,
): (DataSource & { kind: 'snapshot' }) | string {
  const { storageClass, sizeBytes, facts, place, recipe } = question;
  const { driver, restoreSizeBytes } = snapshot;
  if (kept.state === 'gone') return kept.reason;
  if (storageClass.provisioner !== driver) {
    return `it is of the driver ${driver}, and the class ${storageClass.name} is of ${storageClass.provisioner} (R3.3)`;
  }
  if (restoreSizeBytes !== null && sizeBytes < restoreSizeBytes) {
    return `a volume made of it has at least ${formatSize(restoreSizeBytes)}, planned are ${formatSize(sizeBytes)}`;
  }
  const node = storageClass.immediate ? null : nodeIn(facts, place, driver);
  if (node === undefined) return `no ready node in the planned place runs the driver ${driver}`;
  const made = { snapshot, node, warnings: elsewhere(recipe, place) };
  const reason =
    kept.state === 'present'
      ? `${kept.reason}: nothing has to be read from the repository`
      : `by the storage's own name for it, ${snapshot.handle}: ${kept.reason}`;
  return { kind: 'snapshot', reason, ...made };
}

function nodeIn(facts: ClusterFacts, { label }: PlacePlan, driver: string): string | undefined {
  const fitting = facts.nodes.filter(
    ({ usable, labels, driverKeys }) =>
      usable && driverKeys[driver] !== undefined && (label === null || label.values.includes(labels[label.key] ?? '')),
  );
  return fitting.map(({ name }) => name).toSorted()[0];
}

/** Some storage reads a snapshot only where its volume was (R5.7). */
function elsewhere({ topology }: Recipe, { label }: PlacePlan): string[] {
  const recorded = [...topology.zones, ...topology.hosts];
  if (recorded.length === 0 || label === null || label.values.every((value) => recorded.includes(value))) return [];
  return [`the volume was in ${recorded.join(', ')}, and some storage can read its snapshots only there`];
}

function unusable(reason: string, fix?: string): HoldfastError {
  return new HoldfastError('KEPT_SNAPSHOT_UNUSABLE', {
    reason,
    fix: fix ?? 'Choose another backup, or look for the snapshot in the storage system.',
  });
}
