/** Repeats what may succeed later, with growing pauses. */
import { systemClock } from './clock.ts';
import { isHoldfastError } from './errors.ts';

export interface RetryOptions {
  /** How often `fn` is called at most. */
  readonly attempts: number;
  /** Pause after the first failure; it doubles with each further one. */
  readonly baseMs: number;
  /** No pause is longer. */
  readonly maxMs: number;
  /** Default: a HoldfastError that calls itself retryable. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** A pause that the failure itself asks for; no pause after it is shorter. Default 0. */
  readonly leastPauseMs?: (error: unknown) => number;
  /** Told of each failure that will be tried again. */
  readonly onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
  readonly signal?: AbortSignal;
  readonly sleep?: (durationMs: number, signal?: AbortSignal) => Promise<void>;
  /** In [0, 1); default Math.random. */
  readonly random?: () => number;
}

/**
 * The result of the first call of `fn(attempt)` that succeeds, attempt counting from 1; else the error of the last call.
 * Each pause lies between half of its nominal length and all of it, so that many clients do not come back at once.
 * An aborted signal ends the wait with its reason.
 */
export async function withRetry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { attempts, baseMs, maxMs, signal, sleep = systemClock.sleep, random = Math.random } = options;
  const isRetryable = options.isRetryable ?? ((error: unknown) => isHoldfastError(error) && error.retryable);
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      if (attempt >= attempts || signal?.aborted || !isRetryable(error)) throw error;
      const nominalMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1));
      const pauseMs = Math.max(Math.round(nominalMs * (0.5 + random() / 2)), options.leastPauseMs?.(error) ?? 0);
      options.onRetry?.(error, attempt, pauseMs);
      await sleep(pauseMs, signal);
    }
  }
}
