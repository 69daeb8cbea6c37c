/**
 * The ids of a file's blobs in little memory: 36 bytes for each run of equal ids. A sparse file of terabytes has millions
 * of blobs, nearly all of them the same.
 */

const idBytes = 32;

export interface ContentRun {
  readonly id: string;
  readonly count: number;
}

export class ContentRuns {
  #ids = Buffer.allocUnsafe(64 * idBytes);
  #counts = new Uint32Array(64);
  #runs = 0;
  #length = 0;

  /** How many ids there are, repeated ones counted each time. */
  get length(): number {
    return this.#length;
  }

  /** `id` as 64 hex digits. */
  add(id: string): void {
    if (this.#runs === this.#counts.length) this.#grow();
    this.#ids.write(id, idBytes * this.#runs, 'hex');
    this.#counts[this.#runs] = 1;
    this.#runs += 1;
    this.#length += 1;
  }

  /** The last id once more. */
  repeat(): void {
    this.#counts[this.#runs - 1]! += 1;
    this.#length += 1;
  }

  *[Symbol.iterator](): Generator<ContentRun, void> {
    for (let run = 0; run < this.#runs; run++) {
      const id = this.#ids.toString('hex', idBytes * run, idBytes * (run + 1));
      yield { id, count: this.#counts[run]! };
    }
  }

  #grow(): void {
    const ids = Buffer.allocUnsafe(2 * this.#ids.length);
    this.#ids.copy(ids);
    this.#ids = ids;
    const counts = new Uint32Array(2 * this.#counts.length);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}

/** The same for a list of ids. */
export function* runsOf(ids: readonly string[]): Generator<ContentRun, void> {
  for (let at = 0; at < ids.length; ) {
    const id = ids[at]!;
    let end = at + 1;
    while (end < ids.length && ids[end] === id) end += 1;
    yield { id, count: end - at };
    at = end;
  }
}
