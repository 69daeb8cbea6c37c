/**
 * One run of a policy: every claim that it selects is backed up, each reported for itself; then its retention is applied
 * to its own backups of this cluster. A claim that fails stops neither the others nor the retention.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { MANAGED_BY } from '../cluster/labels.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { KubeObject } from '../cluster/object.ts';
import { CLAIM } from '../cluster/resources.ts';
import { floorOf, retentionOf } from '../policy/rules.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import { executeForget, type ForgetPlan, planForget } from '../repository/forget.ts';
import { acquireLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { listBackups } from '../repository/snapshots.ts';
import { backupClaim } from './backup-claim.ts';
import { removeDeadMoverLocks } from './dead-locks.ts';
import { backupFinder } from './find-backup.ts';
import type { BackupEvent, BackupTimeouts, ClaimBackupResult } from './run.ts';

export interface PolicyRun {
  readonly policy: BackupPolicy;
  /** For the movers. */
  readonly access: RepositoryAccess;
  readonly settings: MoverSettings;
  readonly clusterUid: string;
  readonly clusterName?: string | undefined;
  readonly run: string;
  /** Names this process in the repository's lock. */
  readonly hostname: string;
  /** Of the pod that this process is in, so that a later run can tell whether the holder of a lock is gone. */
  readonly podUid?: string | undefined;
  readonly timeouts?: Partial<BackupTimeouts>;
  readonly onEvent?: (event: BackupEvent) => void;
  /** Told of each claim as soon as it is through. */
  readonly onOutcome?: (outcome: ClaimOutcome) => void;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export type ClaimOutcome =
  | { readonly claim: string; readonly status: 'done' | 'incomplete'; readonly result: ClaimBackupResult }
  | { readonly claim: string; readonly status: 'skipped' | 'failed'; readonly error: HoldfastError };

export interface PolicyResult {
  readonly run: string;
  readonly outcomes: readonly ClaimOutcome[];
  /** Ids of the backups that the retention removed. */
  readonly removed: readonly string[];
  readonly removalErrors: readonly { readonly id: string; readonly message: string }[];
}

const CLAIMS_AT_ONCE = 3;

/** Throws POLICY_SELECTS_NOTHING, what the repository throws, and the signal's reason; never for a single claim. */
export async function runPolicy(cluster: Cluster, repository: Repository, o: PolicyRun): Promise<PolicyResult> {
  const claims = await selectClaims(cluster, o.policy, o.signal);
  const outcomes = await mapLimited(claims, CLAIMS_AT_ONCE, async (claim) => {
    const outcome = await backUpOne(cluster, repository, claim, o);
    o.onOutcome?.(outcome);
    return outcome;
  });
  await removeDeadMoverLocks(repository, cluster, o.clusterUid, o.policy.metadata.namespace);
  const { removed, errors } = await applyPolicyRetention(repository, o);
  return { run: o.run, outcomes, removed, removalErrors: errors };
}

/** Claims of the policy's namespace with all of its labels, but none that Holdfast made for a run. */
export async function selectClaims(
  cluster: Cluster,
  policy: BackupPolicy,
  signal?: AbortSignal,
): Promise<KubeObject[]> {
  const { namespace, name } = policy.metadata;
  const labels = Object.entries(policy.spec.select.claims.matchLabels);
  const labelSelector = [...labels.map(([key, value]) => `${key}=${value}`), `${MANAGED_BY}!=holdfast`].join(',');
  const claims = await cluster.list(CLAIM, { namespace, labelSelector, signal });
  if (claims.length > 0) return claims;
  throw new HoldfastError('POLICY_SELECTS_NOTHING', { policy: `${namespace}/${name}`, labels: labelSelector });
}

/** What the retention would remove now: complete backups of this policy and cluster by the rules, never the last one. */
export async function planPolicyRetention(
  repository: Repository,
  { policy, clusterUid, clock = systemClock }: Pick<PolicyRun, 'policy' | 'clusterUid' | 'clock'>,
): Promise<ForgetPlan> {
  const rules = policy.spec.retention;
  const { namespace, name } = policy.metadata;
  const tags = [[`cluster-uid=${clusterUid}`, `namespace=${namespace}`, `policy=${name}`]];
  const backups = await listBackups(repository, { tags });
  if (rules === undefined || backups.length === 0) return { groups: [] };
  // By claim alone: the name of the cluster may change, its uid does not.
  const options = { groupBy: ['paths'] as const, nowMs: clock.nowMs(), floor: floorOf(rules) };
  return planForget(backups, retentionOf(rules), options);
}

async function applyPolicyRetention(repository: Repository, o: PolicyRun) {
  if (o.policy.spec.retention === undefined) return { removed: [], errors: [] };
  const { podUid, signal } = o;
  const hostname = podUid === undefined ? o.hostname : `${o.hostname}.${podUid}.${o.clusterUid}`;
  const lock = await acquireLock(repository, {
    exclusive: false,
    hostname,
    waitMs: 10 * 60_000,
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const plan = await planPolicyRetention(repository, o);
    return await executeForget(repository, plan, {
      signal: signal ? AbortSignal.any([signal, lock.signal]) : lock.signal,
    });
  } finally {
    await lock.release();
  }
}

async function backUpOne(
  cluster: Cluster,
  repository: Repository,
  claim: KubeObject,
  o: PolicyRun,
): Promise<ClaimOutcome> {
  const { namespace, name } = o.policy.metadata;
  const title = `${namespace}/${claim.metadata.name}`;
  o.signal?.throwIfAborted();
  try {
    const result = await backupClaim(cluster, {
      ...o.settings,
      namespace,
      claim: claim.metadata.name,
      repository: o.access,
      snapshotClass: o.policy.spec.snapshots?.class,
      clusterName: o.clusterName,
      clusterUid: o.clusterUid,
      policy: name,
      layout: o.policy.spec.layout,
      run: o.run,
      finder: backupFinder(repository),
      onEvent: o.onEvent,
      signal: o.signal,
      ...(o.timeouts === undefined ? {} : { timeouts: o.timeouts }),
      ...(o.clock === undefined ? {} : { clock: o.clock }),
    });
    return { claim: title, status: result.state === 'complete' ? 'done' : 'incomplete', result };
  } catch (error) {
    o.signal?.throwIfAborted();
    if (!isHoldfastError(error)) throw error;
    return { claim: title, status: isWithoutVolume(error) ? 'skipped' : 'failed', error };
  }
}

/** A claim that nobody used yet has nothing to back up; one that lost its volume has. */
function isWithoutVolume(error: HoldfastError): boolean {
  return error.code === 'CLAIM_NOT_BOUND' && error.context.phase === 'Pending';
}
