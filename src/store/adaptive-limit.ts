/**
 * How many requests may be under way at a store that now and then asks for less: half as many each time it does, one more
 * for each round that goes well.
 */
import type { Clock } from '../base/clock.ts';
import { isHoldfastError } from '../base/errors.ts';

/** Nobody else waits longer for what one request was told: each finds out for itself whether it is worth it. */
const longestPauseMs = 60_000;

export class AdaptiveLimit {
  readonly #most: number;
  readonly #clock: Clock;
  #limit: number;
  #running = 0;
  #wellDone = 0;
  #pausedUntilMs = 0;
  /** Counts the reductions: what was begun before the last one says nothing new. */
  #round = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number, clock: Clock) {
    this.#most = most;
    this.#limit = most;
    this.#clock = clock;
  }

  /** Requests at the same time, at the moment. */
  get limit(): number {
    return this.#limit;
  }

  /** Runs `fn` when there is room. STORE_BUSY makes less room, and pauses everybody for a while, as the server said. */
  async run<T>(fn: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#enter(signal);
    const round = this.#round;
    try {
      const result = await fn();
      this.#succeeded();
      return result;
    } catch (error) {
      if (isHoldfastError(error, 'STORE_BUSY')) this.#overloaded(round, waitMsOf(error));
      throw error;
    } finally {
      this.#running -= 1;
      this.#wake();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    while (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    // Taken before the pause, so that all do not start at once after it.
    this.#running += 1;
    const pauseMs = this.#pausedUntilMs - this.#clock.nowMs();
    if (pauseMs <= 0) return;
    try {
      await this.#clock.sleep(pauseMs, signal);
    } catch (error) {
      this.#running -= 1;
      this.#wake();
      throw error;
    }
  }

  #succeeded(): void {
    this.#wellDone += 1;
    if (this.#limit === this.#most || this.#wellDone < this.#limit) return;
    this.#wellDone = 0;
    this.#limit += 1;
  }

  #overloaded(round: number, waitMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.nowMs() + Math.min(waitMs, longestPauseMs));
    if (round !== this.#round) return;
    this.#round += 1;
    this.#wellDone = 0;
    this.#limit = Math.max(1, Math.floor(Math.min(this.#limit, this.#running) / 2));
  }

  #wake(): void {
    for (let room = this.#limit - this.#running; room > 0; room -= 1) this.#waiting.shift()?.();
  }
}

/** What the server asked for (Retry-After), 0 where it said nothing. */
export function waitMsOf(error: unknown): number {
  const waitMs = isHoldfastError(error) ? error.context.waitMs : undefined;
  return typeof waitMs === 'number' ? waitMs : 0;
}
