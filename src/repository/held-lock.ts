/**
 * A lock that is kept fresh while its holder works. Refreshing writes a new file and then removes the old one, so that
 * there is never a moment without a lock (restic format v2, "Locks").
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { encodeLock, type LockFile } from './format/lock.ts';
import { formatTime } from './format/time.ts';
import { type Repository, saveFile } from './repository.ts';

/** Who holds a lock: what does not change when it is refreshed. */
export type LockHolder = Omit<LockFile, 'time'>;

/** Locks that were not refreshed for so long count as stale. */
export const staleAfterMs = 30 * 60_000;
const refreshEveryMs = 5 * 60_000;
/** When others may soon take the lock for stale: what is left covers a refresh and a half that fail. */
const deadlineMs = staleAfterMs - 1.5 * refreshEveryMs;
/** After a refresh that failed. */
const retryEveryMs = 60_000;
/** Short, so that a machine that slept notices at once how late it is. */
const pollMs = 1000;
/** How long writers wait for what others wrote at the same moment to show up. */
export const settleMs = 200;

export function writeLock(repository: Repository, holder: LockHolder, nowMs: number): Promise<string> {
  return saveFile(repository, 'locks', encodeLock({ time: formatTime(BigInt(nowMs) * 1_000_000n), ...holder }));
}

export class HeldLock {
  readonly #repository: Repository;
  readonly #holder: LockHolder;
  readonly #clock: Clock;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  readonly #settling: Promise<void>;
  readonly #refreshing: Promise<void>;
  /** Files that are ours; the last one is the valid lock, earlier ones could not be removed yet. */
  #ids: string[];
  #refreshedMs: number;
  #nextMs: number;

  /** `settle` rejects when somebody else's lock excludes this one, and when its signal is aborted. */
  constructor(
    repository: Repository,
    holder: LockHolder,
    clock: Clock,
    id: string,
    writtenMs: number,
    settle?: (signal: AbortSignal) => Promise<void>,
  ) {
    this.#repository = repository;
    this.#holder = holder;
    this.#clock = clock;
    this.#ids = [id];
    this.#refreshedMs = writtenMs;
    this.#nextMs = writtenMs + refreshEveryMs;
    this.#settling = settle ? this.#settle(settle) : Promise.resolve();
    this.#refreshing = this.#keepFresh();
  }

  /** Aborted, with the error as its reason, when the lock is gone: whoever works under it must stop. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Asks the store whether the lock is still there. Throws LOCK_LOST or why it never held, and aborts the signal with it. */
  async confirm(): Promise<void> {
    await this.#settling;
    let asked: string | undefined;
    let isThere = false;
    // A refresh may replace the file while the store is asked for it: then the new one is asked for.
    while (!isThere && asked !== this.#ids.at(-1)) {
      asked = this.#ids.at(-1);
      isThere = await this.#isThere();
    }
    if (!isThere) this.#lose('somebody removed it');
    this.#lost.signal.throwIfAborted();
  }

  /** Removes the lock. Safe to call again. */
  async release(): Promise<void> {
    this.#released.abort();
    await Promise.all([this.#settling, this.#refreshing]);
    for (const id of this.#ids) await this.#repository.store.remove('locks', id);
    this.#ids = [];
  }

  async #settle(settle: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await settle(this.#released.signal);
    } catch (error) {
      if (!this.#released.signal.aborted) this.#lost.abort(error);
    }
  }

  async #keepFresh(): Promise<void> {
    while (await this.#pause()) {
      if (this.#clock.nowMs() < this.#nextMs) continue;
      const isLate = this.#clock.nowMs() - this.#refreshedMs >= deadlineMs;
      try {
        const isHeld = await this.#refresh(isLate);
        if (!isHeld) return this.#lose('somebody removed it');
      } catch (error) {
        if (isLate) return this.#lose(`it could not be refreshed for too long, at last: ${messageOf(error)}`);
        this.#nextMs = this.#clock.nowMs() + retryEveryMs;
      }
    }
  }

  /** false once the lock was released. */
  async #pause(): Promise<boolean> {
    const { signal } = this.#released;
    await this.#clock.sleep(pollMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return !signal.aborted;
  }

  /** Whether the lock was still there, and is now fresh. A late one might have been removed while it was replaced. */
  async #refresh(isLate: boolean): Promise<boolean> {
    if (!(await this.#isThere())) return false;
    const nowMs = this.#clock.nowMs();
    this.#ids.push(await writeLock(this.#repository, this.#holder, nowMs));
    if (isLate) {
      await this.#clock.sleep(settleMs);
      if (!(await this.#isThere())) return false;
    }
    this.#refreshedMs = nowMs;
    this.#nextMs = nowMs + refreshEveryMs;
    await this.#removeReplaced();
    return true;
  }

  /** What cannot be removed now is tried again with the next refresh, and by release, which reports it. */
  async #removeReplaced(): Promise<void> {
    const valid = this.#ids.at(-1)!;
    const left: string[] = [];
    for (const id of this.#ids.slice(0, -1)) {
      await this.#repository.store.remove('locks', id).catch(() => left.push(id));
    }
    this.#ids = [...left, valid];
  }

  async #isThere(): Promise<boolean> {
    return (await this.#repository.store.stat('locks', this.#ids.at(-1)!)) !== undefined;
  }

  #lose(reason: string): void {
    this.#lost.abort(new HoldfastError('LOCK_LOST', { reason }));
  }
}
