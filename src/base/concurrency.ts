/** Bounds on what runs at the same time. */

/** Counts units of something limited: slots, or bytes of memory. Waiters are served in the order they came. */
export class Semaphore {
  readonly limit: number;
  #free: number;
  readonly #waiting: { readonly amount: number; readonly resolve: () => void }[] = [];

  constructor(limit: number) {
    if (!(limit > 0)) throw new TypeError(`a semaphore needs a positive limit, not ${limit}`);
    this.limit = limit;
    this.#free = limit;
  }

  /** Units not taken at the moment. */
  get free(): number {
    return this.#free;
  }

  /** Takes `amount` units. More than the limit counts as the limit: such a one waits until it is alone. */
  acquire(amount = 1): Promise<void> {
    const wanted = Math.min(amount, this.limit);
    if (this.#waiting.length === 0 && wanted <= this.#free) {
      this.#free -= wanted;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting.push({ amount: wanted, resolve });
    });
  }

  /** Gives back what one acquire took; call it with the same amount. */
  release(amount = 1): void {
    this.#free += Math.min(amount, this.limit);
    if (this.#free > this.limit) throw new TypeError('a semaphore was released more often than acquired');
    for (let next = this.#waiting[0]; next && next.amount <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#free -= next.amount;
      next.resolve();
    }
  }

  /** Runs `fn` while holding `amount` units. */
  async run<T>(fn: () => Promise<T>, amount = 1): Promise<T> {
    await this.acquire(amount);
    try {
      return await fn();
    } finally {
      this.release(amount);
    }
  }
}

/**
 * The results of `fn` in the order of the items, at most `limit` calls at a time; one item is drawn ahead.
 * After the first error nothing new is started; it is thrown when the calls under way have ended, so none runs on unseen.
 */
export async function mapLimited<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  fn: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const semaphore = new Semaphore(limit);
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let index = 0;
  try {
    for await (const item of items) {
      await semaphore.acquire();
      if (failures.length > 0) break;
      const position = index;
      index += 1;
      const call: Promise<void> = runOne(item, position).finally(() => running.delete(call));
      running.add(call);
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
  return results;

  async function runOne(item: T, position: number): Promise<void> {
    try {
      results[position] = await fn(item, position);
    } catch (error) {
      failures.push(error);
    } finally {
      semaphore.release();
    }
  }
}
