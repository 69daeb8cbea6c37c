/**
 * The process in a mover's pod: reads its job, opens the repository from its environment, backs up or restores the one
 * volume that is mounted, and leaves its answer as the pod's termination message. It never talks to the API server.
 */
import { readFile, statfs, writeFile } from 'node:fs/promises';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import {
  type BackupJob,
  encodeMoverAnswer,
  type MoverAnswer,
  type MoverJob,
  parseMoverJob,
  type RestoreJob,
} from '../base/mover-protocol.ts';
import { acquireLock, type Lock } from '../repository/locks.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { loadSnapshot } from '../repository/snapshots.ts';
import { openStore } from '../store/open-store.ts';
import { tellRetries } from '../store/retrying-store.ts';
import { backupFolder } from './backup.ts';
import { backupDevice } from './backup-device.ts';
import { emptyFolder } from './empty-folder.ts';
import { restoreFolder } from './restore.ts';
import { restoreDevice } from './restore-device.ts';
import { backupInShape } from './shaped-backup.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface MoverSurroundings {
  /** HOLDFAST_JOB_FILE or HOLDFAST_JOB, HOLDFAST_POD_NAME, HOLDFAST_POD_UID, password and store credentials. */
  readonly env: Environment;
  readonly log: Log;
  /** Aborted by SIGTERM. */
  readonly signal: AbortSignal;
  /** Where the answer is left; undefined for nowhere. */
  readonly answerFile: string | undefined;
}

/** For somebody who removes packs to finish. */
const LOCK_WAIT_MS = 10 * 60_000;
/** The network of a pod may come up after the pod. */
const FIRST_PATIENCE_MS = 60_000;
/** Every 5 s a line of progress. */
const PROGRESS_MS = 5_000;

/** Never throws: 0 done, 3 done without some files, else the exit code of the failure. */
export async function runMover(kind: MoverJob['kind'], surroundings: MoverSurroundings): Promise<number> {
  const { log, answerFile } = surroundings;
  const answer = await moveOrExplain(kind, surroundings);
  if (answer.failure !== undefined) log.error(answer.failure.message, { code: answer.failure.code });
  else log.info('done', { backupId: answer.backupId, ...answer.counts, errors: answer.errorCount });
  for (const { path, message } of answer.errors) log.warn('not moved', { path, reason: message });
  if (answerFile !== undefined) await writeFile(answerFile, encodeMoverAnswer(answer));
  return answer.exitCode;
}

async function moveOrExplain(kind: MoverJob['kind'], surroundings: MoverSurroundings): Promise<MoverAnswer> {
  try {
    const job = await readJob(surroundings.env);
    if (job.kind !== kind) throw new HoldfastError('USAGE', { problem: `The job is a ${job.kind}, not a ${kind}` });
    return await moveWithLock(job, surroundings);
  } catch (error) {
    return failureOf(kind, error);
  }
}

async function moveWithLock(job: MoverJob, { env, log, signal }: MoverSurroundings): Promise<MoverAnswer> {
  const store = await openStore(job.repository, {
    env,
    signal,
    firstPatienceMs: FIRST_PATIENCE_MS,
    onRetry: tellRetries((reason, pauseMs) => log.warn('trying again', { reason, pauseMs })),
  });
  try {
    const repository = await openRepository(store, passwordOf(env));
    const lock = await acquireLock(repository, {
      exclusive: false,
      hostname: lockHost(job, env),
      waitMs: LOCK_WAIT_MS,
      signal,
    });
    // Whichever comes first: SIGTERM, or the loss of the lock.
    const either = AbortSignal.any([signal, lock.signal]);
    try {
      log.info('repository open', { repository: job.repository, kind: job.kind });
      return job.kind === 'backup'
        ? await backUp(repository, job, { log, signal: either, lock })
        : await restore(repository, job, { env, log, signal: either });
    } catch (error) {
      throw lock.signal.aborted ? lock.signal.reason : error;
    } finally {
      await lock.release();
    }
  } finally {
    await store.close();
  }
}

interface Work {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly lock: Lock;
}

async function backUp(repository: Repository, job: BackupJob, work: Work): Promise<MoverAnswer> {
  return job.sourceKind === 'device' ? backUpDevice(repository, job, work) : backUpFolder(repository, job, work);
}

async function backUpDevice(repository: Repository, job: BackupJob, { log, signal, lock }: Work): Promise<MoverAnswer> {
  const recipe = Buffer.from(`${JSON.stringify(job.recipe, null, 2)}\n`);
  const summary = await backupDevice(repository, {
    device: job.source,
    host: job.host,
    paths: job.paths,
    tags: job.tags,
    timeMs: job.timeMs,
    place: { dirs: job.folders, name: 'volume', files: [{ name: job.recipeFileName, content: recipe }] },
    tagComplete: true,
    onProgress: progressLog(log),
    signal,
    confirmLock: () => lock.confirm(),
  });
  return answerOf('backup', summary, { backupId: summary.backupId });
}

async function backUpFolder(repository: Repository, job: BackupJob, { log, signal, lock }: Work): Promise<MoverAnswer> {
  const run = {
    signal,
    confirmLock: () => lock.confirm(),
    onShape: (layout: string, paths: readonly string[]) =>
      log.info('goes on with the backups of another program', { layout, paths }),
  };
  const summary = await backupInShape(repository, job, await encodeWithUsage(job), run, (options) =>
    backupFolder(repository, { ...options, source: job.source, onProgress: progressLog(log) }),
  );
  return answerOf('backup', summary, { backupId: summary.backupId });
}

async function restore(
  repository: Repository,
  job: RestoreJob,
  { env, log, signal }: Pick<MoverSurroundings, 'env' | 'log' | 'signal'>,
): Promise<MoverAnswer> {
  if (job.targetKind === 'device') return restoreImage(repository, job, log, signal);
  if (job.startOver === true) await emptyFolder(job.target);
  const summary = await restoreFolder(repository, {
    snapshot: await loadSnapshot(repository, job.backupId),
    subfolder: job.subfolder,
    target: job.target,
    ...(job.overwrite === true ? { overwrite: 'always' as const, delete: job.deleteOthers === true } : {}),
    env,
    // The volume is unmounted next, and an error of a late write would be lost there.
    durable: true,
    onProgress: progressLog(log),
    signal,
  });
  for (const { message, firstPath, count } of summary.warnings) log.warn(message, { firstPath, count });
  return answerOf('restore', summary, { backupId: job.backupId });
}

/** Every byte is written, so that it does not matter what an earlier mover left. */
async function restoreImage(
  repository: Repository,
  job: RestoreJob,
  log: Log,
  signal: AbortSignal,
): Promise<MoverAnswer> {
  const { subfolder, target } = job;
  const snapshot = await loadSnapshot(repository, job.backupId);
  const summary = await restoreDevice(repository, {
    snapshot,
    subfolder,
    target,
    onProgress: progressLog(log),
    signal,
  });
  return answerOf('restore', summary, { backupId: job.backupId });
}

/** All numbers of a summary, and the errors it collected. */
function answerOf(
  kind: MoverJob['kind'],
  summary: object & { errors: readonly { path: string; message: string }[] },
  rest: { backupId: string },
): MoverAnswer {
  const values: readonly [string, unknown][] = Object.entries(summary);
  const numbers = values.filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  const errorCount = summary.errors.length;
  const errors = summary.errors.map(({ path, message }) => ({ path, message }));
  const exitCode = errorCount === 0 ? 0 : 3;
  return { version: 1, kind, exitCode, counts: Object.fromEntries(numbers), errorCount, errors, ...rest };
}

function failureOf(kind: MoverJob['kind'], error: unknown): MoverAnswer {
  const known = isHoldfastError(error);
  return {
    version: 1,
    kind,
    exitCode: known && error.exitCode !== 0 && error.exitCode !== 3 ? error.exitCode : 1,
    counts: {},
    errorCount: 0,
    errors: [],
    failure: known
      ? { code: error.code, message: error.message, hint: error.hint }
      : { code: 'BUG', message: error instanceof Error ? (error.stack ?? error.message) : messageOf(error), hint: '' },
  };
}

/** The recipe with what the mounted file system says of itself (R7.3). Used counts what its root cannot have back. */
async function encodeWithUsage(job: BackupJob): Promise<Buffer> {
  const { blocks, bfree, bsize } = await statfs(job.source);
  const sizes = { ...(job.recipe.sizes as object | undefined), usedBytes: (blocks - bfree) * bsize };
  const recipe = { ...job.recipe, sizes: { ...sizes, filesystemBytes: blocks * bsize } };
  return Buffer.from(`${JSON.stringify(recipe, null, 2)}\n`);
}

async function readJob(env: Environment): Promise<MoverJob> {
  const path = env.HOLDFAST_JOB_FILE;
  if (path !== undefined) return parseMoverJob(await readFile(path, 'utf8'));
  if (env.HOLDFAST_JOB !== undefined) return parseMoverJob(env.HOLDFAST_JOB);
  throw new HoldfastError('USAGE', { problem: 'A mover needs its job in HOLDFAST_JOB_FILE or HOLDFAST_JOB' });
}

function passwordOf(env: Environment): string {
  const password = env.HOLDFAST_PASSWORD ?? env.RESTIC_PASSWORD ?? '';
  if (password === '') throw new HoldfastError('PASSWORD_MISSING');
  return password;
}

/** Tells whose lock it is even when another cluster has a pod of that name. */
function lockHost(job: MoverJob, env: Environment): string {
  return [env.HOLDFAST_POD_NAME ?? 'mover', env.HOLDFAST_POD_UID ?? 'no-pod', job.clusterUid].join('.');
}

function progressLog(log: Log): (progress: { files: number; bytes: number }) => void {
  let nextMs = Date.now() + PROGRESS_MS;
  return ({ files, bytes }) => {
    if (Date.now() < nextMs) return;
    nextMs = Date.now() + PROGRESS_MS;
    log.info('progress', { files, bytes });
  };
}
