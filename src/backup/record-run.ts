/**
 * What a run leaves behind in the repository, whatever became of it: a record of every claim in its scope, and holds on
 * earlier backups of volumes that have suddenly shrunk.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import { type HookRecord, wentWell } from '../manifest/hook-record.ts';
import type { RecordContent, RecordedClaim } from '../repository/ledger/documents.ts';
import { writeRecord } from '../repository/ledger/write-record.ts';
import { acquireLock, type Lock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { clusterNameOf, ledgerOf, ownBackups, readHistory } from './history.ts';
import type { BackupPlan, LeftClaim } from './plan.ts';
import type { ClaimBackupResult } from './run.ts';
import { type ClaimOutcome, type ClaimsRun, runClaims } from './run-claims.ts';
import { findShrunken, type Shrunken } from './shrunken.ts';

/** Who runs, in what name. */
export interface RunIdentity {
  readonly run: string;
  readonly retryOf?: string | undefined;
  readonly clusterUid: string;
  readonly clusterName?: string | undefined;
  readonly policy?: { readonly namespace: string; readonly name: string } | undefined;
  readonly startedMs: number;
  /** Names this process in the repository's lock. */
  readonly hostname: string;
  /** Of the pod that this process is in, so that a later run can tell whether the holder of a lock is gone. */
  readonly podUid?: string | undefined;
  readonly clock?: Clock | undefined;
}

export interface EndedRun {
  readonly outcomes: readonly ClaimOutcome[];
  /** Claims in its scope of which no rule speaks. */
  readonly uncovered: readonly LeftClaim[];
  /** What ended it before its time, such as the reason of a signal. */
  readonly interruption?: { readonly error: unknown };
}

const LOCK_WAIT_MS = 10 * 60_000;
/** A process that was told to end has not much longer. */
const LAST_WORDS_MS = 15_000;
/** Of the files that could not be read. */
const MOST_ERRORS = 20;

/** Runs the claims of a plan. Never throws: claims that it did not get to have failed with what ended the run. */
export async function runToEnd(cluster: Cluster, plan: BackupPlan, o: ClaimsRun): Promise<EndedRun> {
  const uncovered = plan.claims.flatMap((claim) => (claim.status === 'uncovered' ? [claim] : []));
  const seen = new Map<string, ClaimOutcome>();
  const onOutcome = (outcome: ClaimOutcome): void => {
    seen.set(outcome.claim, outcome);
    o.onOutcome?.(outcome);
  };
  try {
    return { outcomes: await runClaims(cluster, plan, { ...o, onOutcome }), uncovered };
  } catch (error) {
    const failure = isHoldfastError(error) ? error : new HoldfastError('INTERRUPTED', { signal: messageOf(error) });
    const meant = plan.claims.filter(({ status }) => status !== 'uncovered');
    const outcomes = meant.map(
      ({ claim }): ClaimOutcome => seen.get(claim) ?? { claim, status: 'failed', error: failure },
    );
    return { outcomes, uncovered, interruption: { error } };
  }
}

/** Names this process in locks, so that a later run can tell whether it is gone. */
export function lockHostOf({ hostname, podUid, clusterUid }: Pick<RunIdentity, 'hostname' | 'podUid' | 'clusterUid'>) {
  return podUid === undefined ? hostname : `${hostname}.${podUid}.${clusterUid}`;
}

/** A shared lock for the time of `use`. */
export async function underLock<T>(
  repository: Repository,
  { hostname, podUid, clusterUid }: RunIdentity,
  signal: AbortSignal | undefined,
  use: (lock: Lock) => Promise<T>,
): Promise<T> {
  const isOver = signal?.aborted === true;
  const patience = isOver ? AbortSignal.timeout(LAST_WORDS_MS) : signal;
  const lock = await acquireLock(repository, {
    exclusive: false,
    hostname: lockHostOf({ hostname, podUid, clusterUid }),
    waitMs: isOver ? LAST_WORDS_MS : LOCK_WAIT_MS,
    ...(patience === undefined ? {} : { signal: patience }),
  });
  try {
    return await use(lock);
  } finally {
    await lock.release();
  }
}

export interface NotedRun {
  readonly recordId: string;
  /** Those of this run, and of killed ones before it. */
  readonly shrunken: readonly Shrunken[];
}

/** Under a lock. Holds come first: what removes backups must find them. Throws RUN_UNRECORDED. */
export async function noteRun(
  repository: Repository,
  lock: Lock,
  identity: RunIdentity,
  ended: EndedRun,
): Promise<NotedRun> {
  try {
    const shrunken = await holdForShrunken(repository, lock, identity);
    return { recordId: await writeRun(repository, lock, identity, ended, shrunken), shrunken };
  } catch (error) {
    throw new HoldfastError('RUN_UNRECORDED', { run: identity.run, reason: messageOf(error) }, { cause: error });
  }
}

async function holdForShrunken(
  repository: Repository,
  lock: Lock,
  { clusterUid, clusterName, clock }: RunIdentity,
): Promise<Shrunken[]> {
  const history = await readHistory(repository);
  // Where the ledger cannot be read nothing is removed either; a later run finds the same again.
  if (history.ledger instanceof HoldfastError) return [];
  const shrunken = findShrunken(ownBackups(history, clusterUid), ledgerOf(history).holds);
  for (const { claim, backupId, fromBytes, toBytes, earlier } of shrunken) {
    const reason = `the volume shrank from ${formatSize(fromBytes)} to ${formatSize(toBytes)}`;
    const hold: RecordContent = { kind: 'Hold', by: 'shrunken', claim, cause: backupId, backups: [...earlier], reason };
    await writeRecord(repository, hold, {
      host: clusterNameOf(clusterUid, clusterName),
      confirmLock: () => lock.confirm(),
      ...(clock === undefined ? {} : { clock }),
    });
  }
  return shrunken;
}

function writeRun(
  repository: Repository,
  lock: Lock,
  identity: RunIdentity,
  { outcomes, uncovered, interruption }: EndedRun,
  shrunken: readonly Shrunken[],
): Promise<string> {
  const { run, retryOf, clusterUid, clusterName, policy, startedMs, clock = systemClock } = identity;
  const name = clusterNameOf(clusterUid, clusterName);
  const tags = { 'cluster-uid': clusterUid, namespace: policy?.namespace, policy: policy?.name, run };
  const known = Object.entries(tags).filter(([, value]) => value !== undefined);
  return writeRecord(
    repository,
    {
      kind: 'RunRecord',
      run,
      ...(retryOf === undefined ? {} : { retryOf }),
      cluster: { uid: clusterUid, name },
      policy: policy === undefined ? null : { namespace: policy.namespace, name: policy.name },
      startedAt: new Date(startedMs).toISOString(),
      endedAt: new Date(clock.nowMs()).toISOString(),
      ended: interruption === undefined ? 'finished' : 'interrupted',
      claims: [...outcomes.map((outcome) => recordedOutcome(outcome, shrunken)), ...uncovered.map(recordedLeft)],
    },
    { host: name, tags: known.map(([key, value]) => `${key}=${value}`), confirmLock: () => lock.confirm(), clock },
  );
}

function recordedOutcome(outcome: ClaimOutcome, shrunken: readonly Shrunken[]): RecordedClaim {
  if (!('result' in outcome)) return recordedLeft(outcome);
  const { result, status } = outcome;
  const found = shrunken.find(({ backupId }) => backupId === result.backupId);
  const flag = found && { fromBytes: found.fromBytes, toBytes: found.toBytes, held: found.earlier.length };
  return { ...recordedResult(result), status, ...(flag === undefined ? {} : { shrunken: flag }) };
}

function recordedResult(result: ClaimBackupResult) {
  const { counts } = result;
  const { filesNew, filesChanged, filesUnmodified, bytesProcessed: bytes, bytesAdded, bytesStored } = counts;
  const files = filesNew === undefined ? undefined : filesNew + (filesChanged ?? 0) + (filesUnmodified ?? 0);
  const numbers = Object.entries({ files, bytes, bytesAdded, bytesStored });
  return {
    claim: result.claim,
    backupId: result.backupId,
    claimUid: result.claimUid,
    method: result.method,
    methodReason: result.methodReason,
    consistency: result.consistency,
    cutTime: result.cutTime,
    ...(result.group === undefined ? {} : { group: groupOf(result.group) }),
    ...(result.hooks === undefined ? {} : { hooks: result.hooks.map(hookOf) }),
    ...Object.fromEntries(numbers.filter(([, value]) => value !== undefined)),
    errorCount: result.errorCount,
    errors: result.errors.slice(0, MOST_ERRORS),
    durationMs: Math.round(result.durationMs),
    warnings: [...result.warnings],
  };
}

function hookOf(record: HookRecord) {
  return { hook: record.hook, target: record.target, ok: wentWell(record) };
}

function groupOf({ name, way, skewMs, windowMs }: NonNullable<ClaimBackupResult['group']>) {
  return { name, way, skewMs, windowMs };
}

function recordedLeft(left: {
  readonly claim: string;
  readonly status: 'skipped' | 'failed' | 'uncovered' | 'blocked';
  readonly error: HoldfastError;
}): RecordedClaim {
  const { claim, status, error } = left;
  return { claim, status: status === 'blocked' ? 'failed' : status, code: error.code, message: error.message };
}
