/** Tries again what a store may manage later: networks and servers fail for seconds and minutes, a backup takes hours. */
import { type Clock, systemClock } from '../base/clock.ts';
import { isHoldfastError } from '../base/errors.ts';
import { withRetry } from '../base/retry.ts';
import type { Store, StoredFile } from './store.ts';

export interface RetryingOptions {
  readonly clock?: Clock;
  /** How often an operation is tried on a store that has answered before; default 8, which lasts about a minute. */
  readonly attempts?: number;
  /** The same for a store that never answered yet, whose address may be wrong; default 4, about three seconds. */
  readonly firstAttempts?: number;
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
}

/** The same store; an operation that fails in a retryable way is repeated with growing pauses. */
export function retryingStore(store: Store, options: RetryingOptions = {}): Store {
  const { clock = systemClock, attempts = 8, firstAttempts = 4, onRetry } = options;
  const closing = new AbortController();
  let hasAnswered = false;

  async function retried<T>(fn: (attempt: number) => Promise<T>): Promise<T> {
    const result = await withRetry(fn, {
      attempts: hasAnswered ? attempts : firstAttempts,
      baseMs: 500,
      maxMs: 20_000,
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
    put: (type, name, bytes, sha256) =>
      retried(async (attempt) => {
        try {
          await store.put(type, name, bytes, sha256);
        } catch (error) {
          // The first attempt may have arrived although its answer did not.
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
