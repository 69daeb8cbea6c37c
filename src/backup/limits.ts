/** Bounds on how many claims of a run are backed up at the same time: in all, and of one node, storage class or driver. */

export interface Room {
  /** Such as `node node-a`. */
  readonly key: string;
  readonly limit: number;
}

interface Waiting {
  readonly rooms: readonly Room[];
  readonly turn: 'first' | 'last';
  start(): void;
  refuse(error: unknown): void;
}

/** Places in rooms, given in the order of asking; one that has to wait holds up none behind it that need not. */
export class Rooms {
  readonly #taken = new Map<string, number>();
  readonly #waiting: Waiting[] = [];
  #failure: { readonly error: unknown } | undefined;

  /**
   * Does the work as soon as each of its rooms has place, at once where they have. `first` comes before all that wait.
   * After the first failure of any work nothing new is started: what waits then fails with the same error.
   */
  within<T>(rooms: readonly Room[], work: () => Promise<T>, turn: 'first' | 'last' = 'last'): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const start = (): void => {
      this.#change(rooms, 1);
      work()
        .then(resolve, (error: unknown) => {
          this.#failure ??= { error };
          reject(error);
        })
        .finally(() => {
          this.#change(rooms, -1);
          this.#admit();
        });
    };
    const behind = turn === 'last' ? -1 : this.#waiting.findIndex((other) => other.turn === 'last');
    this.#waiting.splice(behind < 0 ? this.#waiting.length : behind, 0, { rooms, turn, start, refuse: reject });
    this.#admit();
    return promise;
  }

  #admit(): void {
    if (this.#failure !== undefined) {
      for (const { refuse } of this.#waiting.splice(0)) refuse(this.#failure.error);
    }
    for (;;) {
      const next = this.#waiting.findIndex(({ rooms }) => rooms.every((room) => this.#hasPlace(room)));
      if (next < 0) return;
      for (const { start } of this.#waiting.splice(next, 1)) start();
    }
  }

  #hasPlace({ key, limit }: Room): boolean {
    return (this.#taken.get(key) ?? 0) < limit;
  }

  #change(rooms: readonly Room[], by: number): void {
    for (const { key } of rooms) this.#taken.set(key, (this.#taken.get(key) ?? 0) + by);
  }
}

/** The results of the work in its order. The first error is thrown when all that was under way has ended. */
export async function allEnded<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const failures: unknown[] = [];
  for (const one of work) one.catch((error: unknown) => failures.push(error));
  const ended = await Promise.allSettled(work);
  if (failures.length > 0) throw failures[0];
  return ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}
