/**
 * Locks: restic's protocol, so that restic and Holdfast keep out of each other's way (restic format v2, "Locks").
 * Readers and writers share; who removes packs is alone.
 */
import { hostname } from 'node:os';
import { type Clock, systemClock } from '../base/clock.ts';
import { codeOf, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { currentUser } from '../base/user.ts';
import type { StoredFile } from '../store/store.ts';
import { decodeLock, type LockFile } from './format/lock.ts';
import { formatTime } from './format/time.ts';
import { HeldLock, type LockHolder, settleMs, staleAfterMs, writeLock } from './held-lock.ts';
import { loadFile, type Repository } from './repository.ts';

export interface Lock {
  /**
   * Aborted when the lock is gone (LOCK_LOST) or turns out to be excluded by one that was taken at the same moment
   * (REPOSITORY_LOCKED), with the error as its reason: whoever works under it must stop.
   */
  readonly signal: AbortSignal;
  /**
   * Asks the store whether the lock is still there, for the last moment before a result counts. Throws LOCK_LOST,
   * REPOSITORY_LOCKED.
   */
  confirm(): Promise<void>;
  /** Removes the lock. Safe to call again. */
  release(): Promise<void>;
}

export interface LockOptions {
  readonly exclusive: boolean;
  /** Names the holder for others; in a cluster `<pod>.<pod uid>.<cluster uid>`. */
  readonly hostname: string;
  /** How long to wait for others to finish. Default 0. */
  readonly waitMs?: number;
  /** Told before each pause of the wait. */
  readonly onWait?: (wait: LockWait) => void;
  readonly clock?: Clock;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

export interface LockWait {
  /** REPOSITORY_LOCKED, with who holds the lock in its context. */
  readonly locked: HoldfastError;
  /** Since the lock was taken or last refreshed, by this machine's clock. */
  readonly heldMs: number;
  readonly leftMs: number;
}

export interface StoredLock {
  readonly id: string;
  /** When it was taken or last refreshed, by the store's clock. */
  readonly modifiedMs: number;
  /** undefined where the file cannot be read. */
  readonly content: LockFile | undefined;
}

export interface StaleLockOptions {
  /** Removes every lock, whoever holds it. */
  readonly all?: boolean;
  /** Only tells which locks would go. */
  readonly plan?: boolean;
  /** Locks of this host are also stale when their process is gone. Default: this machine's name. */
  readonly hostname?: string;
  /** Whether the holder of a lock that is old enough is known to be gone. Default: age is enough. */
  readonly isGone?: (lock: StoredLock) => Promise<boolean>;
  readonly clock?: Clock;
}

/** A lock that cannot be read may be half written, or its holder refreshes it: it is read again after these pauses. */
const rereadPausesMs = [5000, 10_000, 20_000];
const firstWaitMs = 5000;
const longestWaitMs = 60_000;

/**
 * Takes a lock. Throws REPOSITORY_LOCKED when others hold one that excludes it. Where listings may be late, a shared lock
 * is given before it is certain that no exclusive one was taken at the same moment: `confirm` waits for that.
 */
export async function acquireLock(repository: Repository, options: LockOptions): Promise<Lock> {
  const clock = options.clock ?? systemClock;
  const untilMs = clock.nowMs() + (options.waitMs ?? 0);
  for (let pauseMs = firstWaitMs; ; pauseMs = Math.min(2 * pauseMs, longestWaitMs)) {
    options.signal?.throwIfAborted();
    try {
      return await tryAcquire(repository, options, clock);
    } catch (error) {
      const leftMs = untilMs - clock.nowMs();
      if (!isHoldfastError(error, 'REPOSITORY_LOCKED') || leftMs <= 0) throw error;
      options.onWait?.({ locked: error, heldMs: heldMs(error, clock), leftMs });
      await clock.sleep(Math.min(pauseMs, leftMs), options.signal);
    }
  }
}

function heldMs({ context }: HoldfastError, clock: Clock): number {
  const sinceMs = Date.parse(String(context.since));
  return Number.isNaN(sinceMs) ? 0 : Math.max(0, clock.nowMs() - sinceMs);
}

/** All locks, oldest first. */
export async function listLocks(repository: Repository): Promise<StoredLock[]> {
  const locks: StoredLock[] = [];
  for (const file of await lockFiles(repository)) {
    try {
      locks.push(await readLock(repository, file));
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) continue;
      if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
      locks.push({ id: file.name, modifiedMs: file.modifiedMs, content: undefined });
    }
  }
  return locks.sort((a, b) => a.modifiedMs - b.modifiedMs);
}

/** Removes locks that were not refreshed for 30 minutes by the store's clock, or all; the removed ones. */
export async function removeStaleLocks(repository: Repository, options: StaleLockOptions = {}): Promise<StoredLock[]> {
  const locks = await listLocks(repository);
  if (locks.length === 0) return [];
  const host = options.hostname ?? hostname();
  const nowMs = options.all ? 0 : await storeNowMs(repository, host, options.clock ?? systemClock);
  const removed: StoredLock[] = [];
  for (const lock of locks) {
    if (!options.all && !(await isStale(lock, nowMs, host, options.isGone))) continue;
    if (!options.plan) await repository.store.remove('locks', lock.id);
    removed.push(lock);
  }
  return removed;
}

async function tryAcquire(repository: Repository, options: LockOptions, clock: Clock): Promise<Lock> {
  const holder = holderOf(options);
  await refuseConflicts(repository, options, clock);
  const writtenMs = clock.nowMs();
  const id = await writeLock(repository, holder, writtenMs);
  // Of two that write and then list, one sees the other: at once where listings are complete.
  const waits = !repository.store.listsAtOnce;
  const settle = async (signal: AbortSignal): Promise<void> => {
    // Two that came at the same moment both see the other's lock now, and at least one gives way.
    await clock.sleep(settleMs, signal);
    await refuseConflicts(repository, { ...options, signal }, clock, id);
  };
  try {
    await refuseConflicts(repository, options, clock, id);
    if (waits && options.exclusive) await settle(options.signal ?? new AbortController().signal);
  } catch (error) {
    await repository.store.remove('locks', id);
    throw error;
  }
  // Whoever removes nothing may begin meanwhile: what was read or written by then harms nobody.
  return new HeldLock(repository, holder, clock, id, writtenMs, waits && !options.exclusive ? settle : undefined);
}

function holderOf({ exclusive, hostname: host }: Pick<LockOptions, 'exclusive' | 'hostname'>): LockHolder {
  const { username, uid, gid } = currentUser();
  return { exclusive, hostname: host, username, pid: process.pid, uid, gid };
}

async function refuseConflicts(
  repository: Repository,
  options: LockOptions,
  clock: Clock,
  own?: string,
): Promise<void> {
  for (const file of await lockFiles(repository)) {
    if (file.name === own) continue;
    const lock = await readPatiently(repository, file, options, clock);
    if (lock && (options.exclusive || !lock.content || lock.content.exclusive)) throw locked(lock);
  }
}

/** undefined where the lock is gone by now; one without content where it stays unreadable. */
async function readPatiently(
  repository: Repository,
  file: StoredFile,
  options: LockOptions,
  clock: Clock,
): Promise<StoredLock | undefined> {
  for (const pauseMs of [...rereadPausesMs, undefined]) {
    try {
      return await readLock(repository, file);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
      if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
    }
    if (pauseMs !== undefined) await clock.sleep(pauseMs, options.signal);
  }
  return { id: file.name, modifiedMs: file.modifiedMs, content: undefined };
}

function locked({ id, modifiedMs, content }: StoredLock): HoldfastError {
  const holder = content
    ? `${content.hostname} (process ${content.pid})`
    : `somebody unknown (lock ${id} is unreadable)`;
  const since = content?.time ?? formatTime(BigInt(Math.round(modifiedMs)) * 1_000_000n);
  const kind = content?.exclusive === false ? 'shared' : 'exclusive';
  return new HoldfastError('REPOSITORY_LOCKED', { holder, since, kind });
}

/** Lock files of length zero are what a full disk left behind; readers of the format pass over them. */
async function lockFiles(repository: Repository): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for await (const file of repository.store.list('locks')) if (file.sizeBytes > 0) files.push(file);
  return files;
}

async function readLock(repository: Repository, { name, modifiedMs }: StoredFile): Promise<StoredLock> {
  const content = decodeLock(await loadFile(repository, 'locks', name), name);
  return { id: name, modifiedMs, content };
}

/** The time on the store's clock, which a lock of our own, written for a moment, tells. */
async function storeNowMs(repository: Repository, host: string, clock: Clock): Promise<number> {
  const id = await writeLock(repository, holderOf({ exclusive: false, hostname: host }), clock.nowMs());
  try {
    const file = await repository.store.stat('locks', id);
    return file?.modifiedMs ?? clock.nowMs();
  } finally {
    await repository.store.remove('locks', id);
  }
}

async function isStale(
  lock: StoredLock,
  nowMs: number,
  host: string,
  isGone: StaleLockOptions['isGone'],
): Promise<boolean> {
  const { content } = lock;
  if (content && content.hostname === host && !isProcessAlive(content.pid)) return true;
  if (nowMs - lock.modifiedMs <= staleAfterMs) return false;
  return isGone ? isGone(lock) : true;
}

function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Anything but "no such process" means that there is one.
    return codeOf(error) !== 'ESRCH';
  }
}
