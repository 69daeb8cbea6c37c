/** Tries again what a store may manage later: networks and servers fail for seconds and minutes, a backup takes hours. */
import { type Clock, systemClock } from '../base/clock.ts';
import { isHoldfastError, messageOf } from '../base/errors.ts';
import { withRetry } from '../base/retry.ts';
import { AdaptiveLimit, waitMsOf } from './adaptive-limit.ts';
import type { Store, StoredFile } from './store.ts';

export interface RetryingOptions {
  readonly clock?: Clock;
  /** How long an operation is tried after its first failure, on a store that has answered before; default ten minutes. */
  readonly patienceMs?: number;
  /** The same for a store that never answered yet, whose address may be wrong; default five seconds. */
  readonly firstPatienceMs?: number;
  /** Operations at the same time, as long as the store does not ask for fewer; default 64. */
  readonly mostAtOnce?: number;
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
}

/** For answers that make no sense: they rarely get better. */
const oddPatienceMs = 60_000;

/**
 * The same store; an operation that fails in a retryable way is repeated with growing pauses, and where the store says
 * that it is overloaded, fewer run at the same time.
 */
export function retryingStore(store: Store, options: RetryingOptions = {}): Store {
  const { clock = systemClock, patienceMs = 600_000, firstPatienceMs = 5_000, mostAtOnce = 64, onRetry } = options;
  const closing = new AbortController();
  const limit = new AdaptiveLimit(mostAtOnce, clock);
  let hasAnswered = false;

  async function retried<T>(fn: (attempt: number) => Promise<T>): Promise<T> {
    let firstFailureMs: number | undefined;

    function isWorthIt(error: unknown): boolean {
      if (!isHoldfastError(error)) return false;
      hasAnswered ||= !error.retryable || error.code === 'STORE_BUSY';
      firstFailureMs ??= clock.nowMs();
      const wholeMs = hasAnswered ? patienceMs : firstPatienceMs;
      const isOdd = error.code !== 'STORE_UNREACHABLE' && error.code !== 'STORE_BUSY';
      const spentMs = clock.nowMs() - firstFailureMs + waitMsOf(error);
      return error.retryable && spentMs < (isOdd ? Math.min(wholeMs, oddPatienceMs) : wholeMs);
    }

    const result = await withRetry((attempt) => limit.run(() => fn(attempt), closing.signal), {
      attempts: Number.POSITIVE_INFINITY,
      baseMs: 500,
      maxMs: 30_000,
      isRetryable: isWorthIt,
      leastPauseMs: waitMsOf,
      sleep: clock.sleep,
      signal: closing.signal,
      ...(onRetry ? { onRetry } : {}),
    });
    hasAnswered = true;
    return result;
  }

  return {
    url: store.url,
    uploadsAtOnce: store.uploadsAtOnce,
    listsAtOnce: store.listsAtOnce,
    put: (type, name, bytes, sha256) =>
      retried(async (attempt) => {
        // The first attempt may have arrived, and not only its answer may be lost: servers that see a file of that name
        // break off the upload, which looks like a broken connection to whoever is sending.
        if (attempt > 1 && type !== 'config' && (await store.stat(type, name))?.sizeBytes === bytes.length) return;
        try {
          await store.put(type, name, bytes, sha256);
        } catch (error) {
          if (attempt === 1 || !isHoldfastError(error, 'REPOSITORY_EXISTS')) throw error;
          if (!(await store.get(type, name)).equals(bytes)) throw error;
        }
      }),
    get: (type, name, range) => retried(() => store.get(type, name, range)),
    stat: (type, name) => retried(() => store.stat(type, name)),
    async *list(type) {
      // Whole before the first is handed out, so that a second attempt repeats nothing.
      yield* await retried(async () => {
        const files: StoredFile[] = [];
        for await (const file of store.list(type)) files.push(file);
        return files;
      });
    },
    remove: (type, name) => retried(() => store.remove(type, name)),
    replaceConfig: (bytes) => retried(() => store.replaceConfig(bytes)),
    async close() {
      closing.abort(new Error('the store was closed'));
      await store.close();
    },
  };
}

/** Tells of failures that are waited out, not of each: many operations fail at once, and most waits are short. */
export function tellRetries(
  tell: (reason: string, pauseMs: number) => void,
  clock: Clock = systemClock,
): NonNullable<RetryingOptions['onRetry']> {
  let nextMs = Number.NEGATIVE_INFINITY;
  return (error, _, pauseMs) => {
    if (pauseMs < 2_000 || clock.nowMs() < nextMs) return;
    nextMs = clock.nowMs() + 15_000;
    tell(messageOf(error), pauseMs);
  };
}
