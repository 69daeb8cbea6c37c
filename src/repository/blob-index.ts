/**
 * The blobs of a repository in memory, shared by all worker threads: a chained hash table in SharedArrayBuffers.
 * Entries are only ever added, with compare-and-swap on the head of a chain, so that two workers which find the
 * same new chunk at the same time store it once. Memory is touched only as entries are written (≤ 60 bytes a blob).
 */
import { HoldfastError } from '../base/errors.ts';
import type { BlobType } from './format/pack.ts';

export type { BlobType };

/** What a worker needs to attach to the same index; goes through postMessage. */
export interface SharedBlobIndex {
  readonly buckets: SharedArrayBuffer;
  readonly entries: SharedArrayBuffer;
  readonly counter: SharedArrayBuffer;
}

export interface BlobLocation {
  /** Number of the pack in the order in which packs were added. */
  readonly pack: number;
  readonly offset: number;
  /** Length in the pack, sealed. */
  readonly length: number;
  /** Length before compression; 0 when the blob is stored uncompressed. */
  readonly uncompressedLength: number;
}

/** Words of an entry: id (8), pack with the type in its highest bit, offset, length, uncompressed length, next entry + 1. */
const wordsPerEntry = 13;
const packWord = 8;
const offsetWord = 9;
const lengthWord = 10;
const uncompressedWord = 11;
const nextWord = 12;
const treeBit = 0x8000_0000;
/** Pack number of a blob that a worker has taken on and that is not in an index file yet. */
const pendingPack = 0x7fff_ffff;

export class BlobIndex {
  readonly shared: SharedBlobIndex;
  readonly capacity: number;
  readonly #buckets: Int32Array;
  readonly #words: Int32Array;
  readonly #counter: Int32Array;
  readonly #mask: number;
  readonly #scratch = new Int32Array(8);
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer);

  private constructor(shared: SharedBlobIndex) {
    this.shared = shared;
    this.#buckets = new Int32Array(shared.buckets);
    this.#words = new Int32Array(shared.entries);
    this.#counter = new Int32Array(shared.counter);
    this.#mask = this.#buckets.length - 1;
    this.capacity = Math.floor(this.#words.length / wordsPerEntry);
  }

  /** An empty index for up to `capacity` blobs; `expected` sizes the table, more than that only lengthens the chains. */
  static create(capacity: number, expected = Math.min(capacity, 1 << 20)): BlobIndex {
    const bucketCount = 2 ** Math.ceil(Math.log2(Math.max(expected, 1 << 12)));
    return new BlobIndex({
      buckets: new SharedArrayBuffer(bucketCount * 4),
      entries: new SharedArrayBuffer(capacity * wordsPerEntry * 4),
      counter: new SharedArrayBuffer(4),
    });
  }

  static attach(shared: SharedBlobIndex): BlobIndex {
    return new BlobIndex(shared);
  }

  /** Number of entries, including those that lost a race and are in no chain. */
  get size(): number {
    return Atomics.load(this.#counter, 0);
  }

  /** The entry of a blob, or -1. `id` holds the 32 bytes at `at`. */
  find(type: BlobType, id: Uint8Array, at = 0): number {
    this.#loadId(id, at);
    const head = Atomics.load(this.#buckets, this.#scratch[0]! & this.#mask);
    return this.#search(head, 0, type === 'tree');
  }

  has(type: BlobType, id: Uint8Array, at = 0): boolean {
    return this.find(type, id, at) >= 0;
  }

  /** Takes on a blob: true for the one caller that has to store it, false for all others. Throws INDEX_FULL. */
  claim(type: BlobType, id: Uint8Array, at = 0): boolean {
    return this.#insert(type, id, at, pendingPack, 0, 0, 0);
  }

  /** Adds a blob from an index file. A blob that is there already keeps its first location. */
  add(type: BlobType, id: Uint8Array, location: BlobLocation): void {
    this.#insert(type, id, 0, location.pack, location.offset, location.length, location.uncompressedLength);
  }

  /** Where an entry's blob rests; undefined while it is only claimed. */
  location(entry: number): BlobLocation | undefined {
    const base = entry * wordsPerEntry;
    const pack = this.#words[base + packWord]! & 0x7fff_ffff;
    if (pack === pendingPack) return undefined;
    return {
      pack,
      offset: this.#words[base + offsetWord]! >>> 0,
      length: this.#words[base + lengthWord]! >>> 0,
      uncompressedLength: this.#words[base + uncompressedWord]! >>> 0,
    };
  }

  #loadId(id: Uint8Array, at: number): void {
    for (let i = 0; i < 32; i++) this.#scratchBytes[i] = id[at + i]!;
  }

  /** Follows a chain from `link` until `end`; links are entry numbers + 1, 0 ends a chain. */
  #search(link: number, end: number, tree: boolean): number {
    const words = this.#words;
    const id = this.#scratch;
    while (link !== end && link !== 0) {
      const base = (link - 1) * wordsPerEntry;
      if (words[base] === id[0] && words[base + 1] === id[1] && this.#sameId(base) && this.#isTree(base) === tree) {
        return link - 1;
      }
      link = words[base + nextWord]!;
    }
    return -1;
  }

  #sameId(base: number): boolean {
    for (let i = 2; i < 8; i++) if (this.#words[base + i] !== this.#scratch[i]) return false;
    return true;
  }

  #isTree(base: number): boolean {
    return this.#words[base + packWord]! < 0;
  }

  #insert(
    type: BlobType,
    id: Uint8Array,
    at: number,
    pack: number,
    offset: number,
    length: number,
    uncompressedLength: number,
  ): boolean {
    const tree = type === 'tree';
    this.#loadId(id, at);
    const bucket = this.#scratch[0]! & this.#mask;
    let head = Atomics.load(this.#buckets, bucket);
    if (this.#search(head, 0, tree) >= 0) return false;
    const entry = Atomics.add(this.#counter, 0, 1);
    if (entry >= this.capacity) throw new HoldfastError('INDEX_FULL', { blobs: this.capacity });
    const base = entry * wordsPerEntry;
    for (let i = 0; i < 8; i++) this.#words[base + i] = this.#scratch[i]!;
    this.#words[base + packWord] = tree ? pack | treeBit : pack;
    this.#words[base + offsetWord] = offset;
    this.#words[base + lengthWord] = length;
    this.#words[base + uncompressedWord] = uncompressedLength;
    for (;;) {
      this.#words[base + nextWord] = head;
      const seen = Atomics.compareExchange(this.#buckets, bucket, head, entry + 1);
      if (seen === head) return true;
      if (this.#search(seen, head, tree) >= 0) return false;
      head = seen;
    }
  }
}
