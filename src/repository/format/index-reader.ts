/**
 * Reads the usual form of an index file, as restic and Holdfast write it, straight from its bytes: an index of millions
 * of blobs is the better part of what a backup of unchanged files reads, and as objects it would not fit into memory.
 */
import { idBytes, idDigits, readHexId } from './hex-id.ts';
import type { BlobType } from './pack.ts';

/** Takes what an index file holds, in stored order. */
export interface IndexSink {
  pack(id: string): void;
  /** A blob of the last pack. `id` holds its 32 bytes for the time of the call; lengths as in IndexedBlob. */
  blob(type: BlobType, id: Uint8Array, offset: number, length: number, uncompressedLength: number): void;
}

const mostDigits = 10;
const largestNumber = 0xffff_ffff;
const zero = 0x30;
const openList = '{"packs":[';
const openPack = '{"id":"';
const openBlobs = '","blobs":[';
const openBlob = '{"id":"';
const isData = '","type":"data","offset":';
const isTree = '","type":"tree","offset":';
const hasLength = ',"length":';
const hasUncompressed = ',"uncompressed_length":';
const comma = ',';
const closeBlob = '}';
const closePack = ']}';
const closeList = ']}\n';

/**
 * Passes all of the file to the sink; false where it has another form, valid or not, and only JSON can tell: then the
 * sink may have taken a part of it already.
 */
export function readUsualIndex(bytes: Buffer, sink: IndexSink): boolean {
  return new IndexReader(bytes, sink).read();
}

class IndexReader {
  readonly #bytes: Buffer;
  readonly #sink: IndexSink;
  readonly #id = new Uint8Array(idBytes);
  #at = 0;
  #number = 0;

  constructor(bytes: Buffer, sink: IndexSink) {
    this.#bytes = bytes;
    this.#sink = sink;
  }

  read(): boolean {
    if (!this.#skip(openList)) return false;
    do if (!this.#pack()) return false;
    while (this.#skip(comma));
    return this.#skip(closeList) && this.#at === this.#bytes.length;
  }

  #pack(): boolean {
    if (!this.#skip(openPack) || !this.#readId()) return false;
    this.#sink.pack(this.#bytes.toString('latin1', this.#at - idDigits, this.#at));
    if (!this.#skip(openBlobs)) return false;
    do if (!this.#blob()) return false;
    while (this.#skip(comma));
    return this.#skip(closePack);
  }

  #blob(): boolean {
    if (!this.#skip(openBlob) || !this.#readId()) return false;
    const isOfData = this.#skip(isData);
    if (!isOfData && !this.#skip(isTree)) return false;
    if (!this.#readNumber()) return false;
    const offset = this.#number;
    if (!this.#skip(hasLength) || !this.#readNumber()) return false;
    const length = this.#number;
    this.#number = 0;
    if (this.#skip(hasUncompressed) && !this.#readNumber()) return false;
    if (!this.#skip(closeBlob)) return false;
    this.#sink.blob(isOfData ? 'data' : 'tree', this.#id, offset, length, this.#number);
    return true;
  }

  #skip(text: string): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
    this.#at = at + text.length;
    return true;
  }

  #readId(): boolean {
    if (!readHexId(this.#bytes, this.#at, this.#id)) return false;
    this.#at += idDigits;
    return true;
  }

  /** A whole number as JSON has it, below 4 GiB. */
  #readNumber(): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let number = 0;
    for (; at < bytes.length; at++) {
      const digit = bytes[at]! - zero;
      if (digit < 0 || digit > 9) break;
      number = number * 10 + digit;
    }
    const digits = at - start;
    this.#at = at;
    this.#number = number;
    return digits > 0 && digits <= mostDigits && number <= largestNumber && (digits === 1 || bytes[start] !== zero);
  }
}
