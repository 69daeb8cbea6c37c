/**
 * The plan of a backup run: for every claim in its scope what will be done and why, or what stands against it. Pure: what
 * it knows are facts (gather-facts.ts), what it says is done by backup-claim.ts.
 */
import { HoldfastError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import type { RepositoryAccess } from '../cluster/mover-pod.ts';
import { type KubeObject, nameOf, textAt } from '../cluster/object.ts';
import type { ClassChoice } from '../cluster/snapshot-class.ts';
import { coverageOf } from '../policy/coverage.ts';
import type { BackupPolicy, MethodWish } from '../policy/schema.ts';
import type { BackupFacts, ClaimFacts, ClusterFacts, HookFacts } from './facts.ts';
import type { CutGroup } from './groups.ts';
import { type PlannedHook, planHooks } from './hooks-plan.ts';
import { type BackupMethod, chooseMethod } from './plan-method.ts';
import { chooseMover, type MoverChoice, type MoverWishes } from './plan-mover.ts';
import { choosePlace, type MoverPlace } from './plan-place.ts';
import { type BackupSource, capacityOf, notesOf, selectableOf, sourceOf } from './source.ts';

export interface PlanWishes extends MoverWishes {
  /** On the command line: comes before what a policy or a claim says. */
  readonly method?: MethodWish | undefined;
  readonly snapshotClass?: string | undefined;
  /** False where this process cannot write into the repository, which `Snapshot` does by itself. */
  readonly writable?: boolean | undefined;
  /** Whose rules select. */
  readonly policy?: BackupPolicy | undefined;
  /** What selects where there is no policy; without either every claim in scope was named by the user. */
  readonly select?: BackupPolicy['spec']['select'] | undefined;
}

export interface BackupPlan {
  /** In the order of the facts, then those that were named and are not there. */
  readonly claims: readonly PlannedClaim[];
  /** Of claims that are ready, each in one group at most; see planGroups. */
  readonly groups: readonly CutGroup[];
}

export type PlannedClaim = ReadyClaim | LeftClaim;

export interface ReadyClaim extends MoverChoice {
  readonly status: 'ready';
  /** namespace/name */
  readonly claim: string;
  readonly source: BackupSource;
  readonly method: BackupMethod;
  readonly reason: string;
  /** Of a snapshot. */
  readonly class: ClassChoice | undefined;
  /** Of the claim that a snapshot is read through. */
  readonly storageClass: string | undefined;
  readonly place: MoverPlace;
  readonly estimate: Estimate;
  /** Whether its snapshot stays in the storage system, as the backup or beside it. */
  readonly keeps: boolean;
  readonly notes: readonly string[];
  /** Node, storage class and driver: what limits count by. */
  readonly usedOn: string | undefined;
  /** What is done in the cluster around the cut, in this order before and in the opposite one after it. */
  readonly hooks: readonly PlannedHook[];
  /** Whether there are others, which cannot run and need not. */
  readonly leavesOutHooks: boolean;
}

export interface Estimate {
  readonly bytes: number;
  /** `last-backup`: as much was read last time; `capacity`: it cannot be more; `kept`: nothing leaves the storage. */
  readonly basis: 'last-backup' | 'capacity' | 'kept';
}

/** A claim that is not backed up. */
export interface LeftClaim {
  /**
   * `skipped`: on purpose, or there is nothing to back up; `blocked`: it should be backed up, and cannot;
   * `uncovered`: no rule of the policy speaks of it.
   */
  readonly status: 'skipped' | 'blocked' | 'uncovered';
  readonly claim: string;
  readonly error: HoldfastError;
}

export function planBackup(facts: BackupFacts, wishes: PlanWishes): BackupPlan {
  const missing = facts.missing.map(
    (claim): LeftClaim => ({ status: 'blocked', claim, error: new HoldfastError('CLAIM_NOT_FOUND', { claim }) }),
  );
  return {
    claims: [...facts.claims.map((claim) => planClaim(claim, facts.cluster, wishes, facts.hooks)), ...missing],
    groups: [],
  };
}

export function planClaim(
  facts: ClaimFacts,
  cluster: ClusterFacts,
  wishes: PlanWishes,
  hookFacts: HookFacts = { pods: [], workloads: [] },
): PlannedClaim {
  const claim = nameOf(facts.claim);
  const { policy, select } = wishes;
  const rules = policy ?? (select && { spec: { select } });
  const coverage = rules && coverageOf(rules, selectableOf(facts));
  if (coverage !== undefined && coverage.kind !== 'covered') {
    const error = new HoldfastError('CLAIM_LEFT_OUT', { claim, reason: coverage.reason });
    const statuses = { 'opted-out': 'skipped', uncovered: 'uncovered', unclear: 'blocked' } as const;
    return { status: statuses[coverage.kind], claim, error };
  }
  const source = sourceOf(facts);
  if ('error' in source) return { status: source.status, claim, error: source.error };
  const choice = chooseMethod(source, cluster, {
    wish: wishes.method ?? coverage?.method ?? 'auto',
    wishedBy: wishes.method === undefined ? (coverage?.reason ?? '') : '--method',
    snapshotClass: wishes.snapshotClass,
    snapshots: policy?.spec.snapshots,
  });
  if (choice instanceof HoldfastError) return { status: 'blocked', claim, error: choice };
  const place = choosePlace(facts, source, choice, cluster);
  if (place instanceof HoldfastError) return { status: 'blocked', claim, error: place };
  const mover = chooseMover(source, choice, wishes, policy?.spec.snapshots);
  if (mover instanceof HoldfastError) return { status: 'blocked', claim, error: mover };
  const hooked = planHooks({
    claim: facts,
    rules: policy?.spec.hooks ?? [],
    facts: hookFacts,
    isLive: !('class' in choice),
  });
  if (hooked instanceof HoldfastError) return { status: 'blocked', claim, error: hooked };
  if ((choice.method === 'Snapshot' || choice.method === 'ExecStream') && wishes.writable === false) {
    return { status: 'blocked', claim, error: new HoldfastError('PASSWORD_MISSING') };
  }
  return {
    status: 'ready',
    claim,
    source,
    method: choice.method,
    reason: choice.reason,
    class: 'class' in choice ? choice.class : undefined,
    storageClass: 'storageClass' in choice ? choice.storageClass.metadata.name : undefined,
    ...mover,
    place,
    estimate: choice.method === 'Snapshot' ? { bytes: 0, basis: 'kept' } : estimateOf(facts, source),
    keeps:
      choice.method === 'Snapshot' || (choice.method === 'SnapshotMove' && (policy?.spec.snapshots?.keepLast ?? 0) > 0),
    notes: [...notesOf(source), ...(place.note === undefined ? [] : [place.note]), ...hooked.notes],
    usedOn: nodeInUse(facts),
    hooks: hooked.hooks,
    leavesOutHooks: hooked.notes.length > 0,
  };
}

/** A raw device is read from end to end, files only as far as there are any. */
function estimateOf({ lastBackup, volume }: ClaimFacts, { volumeMode }: BackupSource): Estimate {
  if (lastBackup !== undefined && volumeMode === 'Filesystem') return { bytes: lastBackup.bytes, basis: 'last-backup' };
  return { bytes: capacityOf(volume) ?? 0, basis: 'capacity' };
}

function nodeInUse({ attachedNode, pods }: ClaimFacts): string | undefined {
  return attachedNode ?? pods.map((pod: KubeObject) => textAt(pod, 'spec', 'nodeName')).find((node) => node);
}

/** What no choice of claims or methods mends: the whole run is refused. */
export function refuseUnreachable({ url, secretName, credentials }: RepositoryAccess, namespace: string): void {
  if (!url.startsWith('s3:')) throw new HoldfastError('FOLDER_REPOSITORY_IN_CLUSTER', { url });
  if (secretName === undefined && credentials === undefined) {
    const reason = 'neither a Secret was named nor were credentials given to send';
    throw new HoldfastError('CREDENTIALS_MISSING', { namespace, reason });
  }
}

/** The larger of what the snapshot asks for and what the volume has: a driver may grant more than it was asked (R7.4). */
export function temporarySize(restoreSize: string | undefined, capacity: string | undefined): string {
  const sizes = [restoreSize, capacity].filter((size) => size !== undefined);
  sizes.sort((one, other) => (parseQuantity(other) ?? 0) - (parseQuantity(one) ?? 0));
  const [largest] = sizes;
  if (largest === undefined) throw new TypeError('neither the snapshot nor its volume has a size');
  return largest;
}
