/**
 * The ids of a file's blobs in little memory: 36 bytes for each run of equal ids. A sparse file of terabytes has millions
 * of blobs, nearly all of them the same.
 */

const idBytes = 32;
const mostInRun = 0xffffffff;
/** `"<64 hex>",` */
const jsonIdBytes = 67;
const jsonPieceIds = 16_384;

export interface ContentRun {
  readonly id: string;
  readonly count: number;
}

export interface PackedRuns {
  /** 32 bytes a run. */
  readonly ids: Uint8Array;
  readonly counts: Uint32Array;
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

  /** `id` as 32 bytes, `count` times; joins the last run where that is of the same id. */
  addBytes(id: Uint8Array, count = 1): void {
    const last = idBytes * (this.#runs - 1);
    const isSame = this.#runs > 0 && this.#ids.compare(id, 0, idBytes, last, last + idBytes) === 0;
    if (!isSame || this.#counts[this.#runs - 1]! + count > mostInRun) {
      if (this.#runs === this.#counts.length) this.#grow();
      this.#ids.set(id, idBytes * this.#runs);
      this.#runs += 1;
    }
    this.#counts[this.#runs - 1]! += count;
    this.#length += count;
  }

  /** What another thread appends to a list of its own. */
  packed(): PackedRuns {
    const ids = new Uint8Array(this.#ids.subarray(0, idBytes * this.#runs));
    return { ids, counts: this.#counts.slice(0, this.#runs) };
  }

  append({ ids, counts }: PackedRuns): void {
    for (let run = 0; run < counts.length; run++) {
      this.addBytes(ids.subarray(idBytes * run, idBytes * (run + 1)), counts[run]!);
    }
  }

  /** Begins a new list in the same memory. */
  clear(): void {
    this.#counts.fill(0, 0, this.#runs);
    this.#runs = 0;
    this.#length = 0;
  }

  /** How many bytes `json` yields. */
  get jsonBytes(): number {
    return Math.max(0, this.#length * jsonIdBytes - 1);
  }

  /** `"<64 hex>","<64 hex>"`, in pieces of about a megabyte, which may be of the same memory again. */
  *json(): Generator<Buffer, void> {
    let ids: string[] = [];
    let left = this.#length;
    for (const { id, count } of this) {
      const text = `"${id}",`;
      let times = count;
      if (times > 2 * jsonPieceIds) {
        yield Buffer.from(ids.join(''), 'latin1');
        ids = [];
        const many = Buffer.from(text.repeat(jsonPieceIds), 'latin1');
        // At least one id stays for below, where the last comma is dropped.
        for (; times > jsonPieceIds; times -= jsonPieceIds) yield many;
        left -= count - times;
      }
      for (; times > 0; times--) {
        ids.push(text);
        left -= 1;
        if (ids.length < jsonPieceIds && left > 0) continue;
        const piece = Buffer.from(ids.join(''), 'latin1');
        ids = [];
        yield left > 0 ? piece : piece.subarray(0, -1);
      }
    }
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
