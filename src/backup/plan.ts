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
import type { BackupFacts, ClaimFacts, ClusterFacts } from './facts.ts';
import { type BackupMethod, chooseMethod } from './plan-method.ts';
import { chooseMover, type MoverChoice, type MoverWishes } from './plan-mover.ts';
import { choosePlace, type MoverPlace } from './plan-place.ts';
import { type BackupSource, capacityOf, notesOf, selectableOf, sourceOf } from './source.ts';

export interface PlanWishes extends MoverWishes {
  /** On the command line: comes before what a policy or a claim says. */
  readonly method?: MethodWish | undefined;
  readonly snapshotClass?: string | undefined;
  /** Whose rules select; without one every claim in scope was named by the user. */
  readonly policy?: BackupPolicy | undefined;
}

export interface BackupPlan {
  /** In the order of the facts, then those that were named and are not there. */
  readonly claims: readonly PlannedClaim[];
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
  readonly notes: readonly string[];
  /** Node, storage class and driver: what limits count by. */
  readonly usedOn: string | undefined;
}

export interface Estimate {
  readonly bytes: number;
  /** `last-backup`: as much was read last time; `capacity`: it cannot be more. */
  readonly basis: 'last-backup' | 'capacity';
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
  return { claims: [...facts.claims.map((claim) => planClaim(claim, facts.cluster, wishes)), ...missing] };
}

export function planClaim(facts: ClaimFacts, cluster: ClusterFacts, wishes: PlanWishes): PlannedClaim {
  const claim = nameOf(facts.claim);
  const { policy } = wishes;
  const coverage = policy && coverageOf(policy, selectableOf(facts));
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
  const isCut = choice.method === 'SnapshotMove';
  return {
    status: 'ready',
    claim,
    source,
    method: choice.method,
    reason: choice.reason,
    class: isCut ? choice.class : undefined,
    storageClass: isCut ? choice.storageClass.metadata.name : undefined,
    ...mover,
    place,
    estimate: estimateOf(facts, source),
    notes: [...notesOf(source), ...(place.note === undefined ? [] : [place.note])],
    usedOn: nodeInUse(facts),
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
