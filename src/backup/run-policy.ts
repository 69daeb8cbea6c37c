/**
 * One run of a policy: every claim that it selects is backed up, each reported for itself; then its retention is applied
 * to its own backups of this cluster. A claim that fails stops neither the others nor the retention.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { parseDuration } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import { floorOf, retentionOf } from '../policy/rules.ts';
import type { BackupPolicy, MethodWish } from '../policy/schema.ts';
import { executeForget, type ForgetPlan, planForget } from '../repository/forget.ts';
import { acquireLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { listBackups } from '../repository/snapshots.ts';
import { removeDeadMoverLocks } from './dead-locks.ts';
import type { BackupFacts, LastBackup } from './facts.ts';
import { backupFinder } from './find-backup.ts';
import { gatherFacts, gatherLastBackups } from './gather-facts.ts';
import { type BackupPlan, type LeftClaim, planBackup } from './plan.ts';
import type { MoverWishes } from './plan-mover.ts';
import { moverSettingsOf } from './policy-mover.ts';
import type { BackupEvent, BackupFinder, BackupTimeouts } from './run.ts';
import { type ClaimOutcome, type ClaimsRun, limitsOf, runClaims } from './run-claims.ts';

export interface PolicyRun {
  readonly policy: BackupPolicy;
  /** For the movers. */
  readonly access: RepositoryAccess;
  /** Instead of what the policy says. */
  readonly settings: MoverSettings;
  /** Default: movers run in the claims' namespace. */
  readonly movers?: MoverWishes | undefined;
  readonly clusterUid: string;
  readonly clusterName?: string | undefined;
  /** Instead of what the policy and its claims say. */
  readonly method?: MethodWish | undefined;
  readonly snapshotClass?: string | undefined;
  readonly claimsAtOnce?: number | undefined;
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

export interface PolicyResult {
  readonly run: string;
  readonly outcomes: readonly ClaimOutcome[];
  /** Claims of the namespace of which no rule speaks. */
  readonly uncovered: readonly LeftClaim[];
  /** Ids of the backups that the retention removed. */
  readonly removed: readonly string[];
  readonly removalErrors: readonly { readonly id: string; readonly message: string }[];
}

/** Throws POLICY_SELECTS_NOTHING, what the repository throws, and the signal's reason; never for a single claim. */
export async function runPolicy(cluster: Cluster, repository: Repository, o: PolicyRun): Promise<PolicyResult> {
  const { policy, clusterUid } = o;
  const { plan, facts } = await planPolicy(cluster, policy, await gatherLastBackups(repository, clusterUid), o);
  refuseEmpty(policy, plan);
  const outcomes = await runClaims(cluster, plan, {
    limits: { ...limitsOf(policy), ...(o.claimsAtOnce === undefined ? {} : { claims: o.claimsAtOnce }) },
    common: { ...commonOf(o, backupFinder(repository), facts), writable: repository },
    onOutcome: o.onOutcome,
  });
  const { namespace } = policy.metadata;
  await removeDeadMoverLocks(repository, cluster, clusterUid, [namespace, o.movers?.moverNamespace ?? namespace]);
  const { removed, errors } = await applyPolicyRetention(repository, o);
  const uncovered = plan.claims.flatMap((claim) => (claim.status === 'uncovered' ? [claim] : []));
  return { run: o.run, outcomes, uncovered, removed, removalErrors: errors };
}

/** What a run of the policy would do with every claim of its namespace, those included that it does not select. */
export async function planPolicy(
  cluster: Cluster,
  policy: BackupPolicy,
  lastBackups: ReadonlyMap<string, LastBackup>,
  { method, snapshotClass, movers, signal }: Pick<PolicyRun, 'method' | 'snapshotClass' | 'movers' | 'signal'> = {},
): Promise<{ readonly plan: BackupPlan; readonly facts: BackupFacts }> {
  const facts = await gatherFacts(cluster, { scope: { namespace: policy.metadata.namespace }, lastBackups, signal });
  return { plan: planBackup(facts, { policy, method, snapshotClass, ...movers }), facts };
}

function refuseEmpty(policy: BackupPolicy, { claims }: BackupPlan): void {
  if (claims.some(({ status }) => status !== 'uncovered')) return;
  const { namespace, name } = policy.metadata;
  throw new HoldfastError('POLICY_SELECTS_NOTHING', { policy: `${namespace}/${name}`, count: claims.length });
}

function commonOf(o: PolicyRun, finder: BackupFinder, facts: BackupFacts): ClaimsRun['common'] {
  const { policy, clock } = o;
  return {
    ...moverSettingsOf(policy),
    ...o.settings,
    ...o.movers,
    repository: o.access,
    ...{ method: o.method, snapshotClass: o.snapshotClass },
    ...{ clusterName: o.clusterName, clusterUid: o.clusterUid, clusterFacts: facts.cluster },
    ...{ policy: policy.metadata.name, rules: policy, layout: policy.spec.layout },
    ...{ run: o.run, finder, onEvent: o.onEvent, signal: o.signal },
    timeouts: { ...timeoutsOf(policy), ...o.timeouts },
    ...(clock === undefined ? {} : { clock }),
  };
}

function timeoutsOf({ spec }: BackupPolicy): Partial<BackupTimeouts> {
  const { cut, ready, queue, start, stalled, move, liveMountMax } = spec.limits ?? {};
  const waits = { cutMs: cut, readyMs: ready, queuedMs: queue, startMs: start };
  const given = { ...waits, stalledMs: stalled, moveMs: move, liveMountMs: liveMountMax };
  const known = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(known.map(([key, text]) => [key, parseDuration(text)]));
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
