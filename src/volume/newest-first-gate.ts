/** Lets a few in at a time and the newest first, so that the walk goes deep before it goes wide. */
export class NewestFirstGate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.pop();
    if (next) next();
    else this.#free++;
  }
}
