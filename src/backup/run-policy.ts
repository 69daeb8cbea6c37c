/**
 * One run of a policy: every claim that it selects is backed up, each reported for itself; the run is recorded; then its
 * retention is applied to its own backups of this cluster. A claim that fails stops neither the others nor the retention.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { parseDuration } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { BackupPolicy, MethodWish } from '../policy/schema.ts';
import type { ForgetResult } from '../repository/forget.ts';
import type { Repository } from '../repository/repository.ts';
import { removeDeadMoverLocks } from './dead-locks.ts';
import { tidyKept } from './expire-kept.ts';
import type { BackupFacts, LastBackup } from './facts.ts';
import { backupFinder } from './find-backup.ts';
import { gatherFacts } from './gather-facts.ts';
import { gatherGroupFacts } from './gather-groups.ts';
import { clusterNameOf, lastBackupsOf, readHistory, refuseTakenName } from './history.ts';
import { groupByHooks } from './hook-groups.ts';
import { sweepOrphans } from './orphans.ts';
import { type BackupPlan, type LeftClaim, planBackup } from './plan.ts';
import { planGroups } from './plan-groups.ts';
import type { MoverWishes } from './plan-mover.ts';
import { moverSettingsOf } from './policy-mover.ts';
import { applyPolicyRetention } from './policy-retention.ts';
import { type EndedRun, lockHostOf, type NotedRun, noteRun, runToEnd, underLock } from './record-run.ts';
import { onlyRetried, type Retry } from './retry.ts';
import { type BackupEvent, type BackupFinder, type BackupTimeouts, backupTimeouts } from './run.ts';
import { type ClaimOutcome, type ClaimsRun, limitsOf } from './run-claims.ts';
import { putBackLeftAtZero } from './scale-hook.ts';
import type { Shrunken } from './shrunken.ts';

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
  /** Only what failed in an earlier run. */
  readonly retry?: Retry | undefined;
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
  /** Of the record of this run. */
  readonly recordId: string | undefined;
  /** Volumes that have suddenly shrunk; their earlier backups are held. */
  readonly shrunken: readonly Shrunken[];
  /** What went wrong after the backups: the record, the retention. */
  readonly failures: readonly HoldfastError[];
  readonly removalErrors: readonly { readonly id: string; readonly message: string }[];
}

/**
 * Throws POLICY_SELECTS_NOTHING, CLUSTER_NAME_TAKEN, what the repository throws, and the signal's reason; never for a
 * single claim. The run is recorded whatever becomes of it; what goes wrong after the backups is in the result.
 */
export async function runPolicy(cluster: Cluster, repository: Repository, o: PolicyRun): Promise<PolicyResult> {
  const { policy, clusterUid, clock = systemClock } = o;
  const startedMs = clock.nowMs();
  const history = await readHistory(repository);
  refuseTakenName(history, clusterUid, clusterNameOf(clusterUid, o.clusterName));
  await putBackLeftAtZero(cluster, { namespaces: [policy.metadata.namespace] }, o);
  const { plan, facts } = await planPolicy(cluster, policy, lastBackupsOf(history, clusterUid), o);
  refuseEmpty(policy, plan);
  await sweepOrphansOf(cluster, facts, o);
  const ended = await runToEnd(cluster, plan, {
    limits: { ...limitsOf(policy), ...(o.claimsAtOnce === undefined ? {} : { claims: o.claimsAtOnce }) },
    common: { ...commonOf(o, backupFinder(repository), facts), writable: repository, lockHost: lockHostOf(o) },
    onOutcome: o.onOutcome,
  });
  const identity = { ...o, policy: policy.metadata, retryOf: o.retry?.run, startedMs };
  const after = await attempt(() =>
    underLock(repository, identity, o.signal, async (lock): Promise<Aftermath> => {
      const noted = await attempt(() => noteRun(repository, lock, identity, ended));
      // Nothing is removed by a run that could not say what it did, or hold what has to be kept.
      if (noted.error !== undefined || ended.interruption !== undefined) return { noted };
      const { namespace } = policy.metadata;
      const namespaces = [namespace, o.movers?.moverNamespace ?? namespace];
      const unlocked = await attempt(() => removeDeadMoverLocks(repository, cluster, clusterUid, namespaces));
      const signal = o.signal === undefined ? lock.signal : AbortSignal.any([o.signal, lock.signal]);
      const keeping = { policy: policy.metadata, keepLast: policy.spec.snapshots?.keepLast ?? 0, clusterUid, signal };
      const tidied = await attempt(() => tidyKept(cluster, repository, keeping));
      const kept = tidied.error === undefined ? tidied.value : undefined;
      const retained = await attempt(() => applyPolicyRetention(repository, { ...o, kept }, signal));
      return { noted, unlocked, tidied, retained };
    }),
  );
  if (ended.interruption !== undefined) throw ended.interruption.error;
  return resultOf(o.run, ended, after.error === undefined ? after.value : { noted: after });
}

type Attempt<T> = { readonly value: T; readonly error?: undefined } | { readonly error: HoldfastError };

/** The backups are made by then: a failure is told with them, not in their place. */
async function attempt<T>(act: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await act() };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { error };
  }
}

interface Aftermath {
  readonly noted: Attempt<NotedRun>;
  /** Not reached where the run could not be recorded. */
  readonly unlocked?: Attempt<unknown>;
  readonly tidied?: Attempt<unknown>;
  readonly retained?: Attempt<ForgetResult>;
}

function resultOf(
  run: string,
  { outcomes, uncovered }: EndedRun,
  { noted, unlocked, tidied, retained }: Aftermath,
): PolicyResult {
  const forgotten = retained !== undefined && 'value' in retained ? retained.value : undefined;
  return {
    ...{ run, outcomes, uncovered },
    recordId: 'value' in noted ? noted.value.recordId : undefined,
    shrunken: 'value' in noted ? noted.value.shrunken : [],
    removed: forgotten?.removed ?? [],
    removalErrors: forgotten?.errors ?? [],
    failures: [noted.error, unlocked?.error, tidied?.error, retained?.error].filter((error) => error !== undefined),
  };
}

/** Of claims that are gone; those that are there sweep for themselves when their turn comes. */
function sweepOrphansOf(cluster: Cluster, facts: BackupFacts, o: PolicyRun): Promise<void> {
  const { namespace } = o.policy.metadata;
  const tell = (claim: string, message: string) => o.onEvent?.({ claim, phase: 'sweep', message });
  return sweepOrphans(cluster, o.clock ?? systemClock, {
    ...{ namespace, moverNamespace: o.movers?.moverNamespace ?? namespace, run: o.run, signal: o.signal },
    known: new Set(facts.claims.map(({ claim }) => claim.metadata.uid)),
    timeoutMs: o.timeouts?.cleanUpMs ?? backupTimeouts.cleanUpMs,
    onFound: (claim, run, count) =>
      tell(claim, `removes ${count} objects that run ${run} of the lost claim left behind`),
    onProblem: (claim, reason) => tell(claim, `what dead runs left behind could not be removed: ${reason}`),
  });
}

/** What a run of the policy would do with every claim of its namespace, those included that it does not select. */
export async function planPolicy(
  cluster: Cluster,
  policy: BackupPolicy,
  lastBackups: ReadonlyMap<string, LastBackup>,
  {
    method,
    snapshotClass,
    movers,
    retry,
    signal,
  }: Pick<PolicyRun, 'method' | 'snapshotClass' | 'movers' | 'retry' | 'signal'> = {},
): Promise<{ readonly plan: BackupPlan; readonly facts: BackupFacts }> {
  const scope = { namespaces: [policy.metadata.namespace] };
  const facts = await gatherFacts(cluster, { scope, lastBackups, hooks: policy.spec.hooks, signal });
  const { group } = policy.spec;
  const single = planBackup(facts, { policy, method, snapshotClass, ...movers });
  const plan =
    group === undefined ? single : planGroups(single, facts, await gatherGroupFacts(cluster, facts, signal), group);
  return { plan: groupByHooks(retry === undefined ? plan : onlyRetried(plan, retry)), facts };
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
