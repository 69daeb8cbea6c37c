/**
 * Worker side of writing: appends sealed blobs to a pack in shared memory and hands full packs to the uploader
 * (pack-uploader.ts) on the main thread. A blob is compressed straight into the pack and sealed where it lies.
 * Pack layout: restic format v2, "Pack files".
 */
import type { BlobCodec } from './blob-codec.ts';
import { looksIncompressible } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';
import { encodePackHeader, type PackEntry, sealBytes } from './format/pack.ts';

/** A pack buffer that a worker and the uploader pass to each other. */
export interface PackSlot {
  readonly bytes: SharedArrayBuffer;
  /** One word: 0 free, 1 with the uploader. */
  readonly state: SharedArrayBuffer;
}

/** A finished pack, as the uploader gets it. */
export interface FinishedPack {
  readonly slot: number;
  readonly lengthBytes: number;
  readonly id: string;
  readonly entries: readonly PackEntry[];
}

export interface PackerOptions {
  readonly codec: BlobCodec;
  readonly type: BlobType;
  /** A pack is closed when it reaches this size. */
  readonly packSizeBytes: number;
  readonly compressionLevel: number;
  readonly slots: readonly PackSlot[];
  /** Called while waiting for a slot: throws when nobody will free one any more. */
  readonly throwIfStopped?: () => void;
  /** Passes a pack on; must not wait for its upload. */
  readonly emit: (pack: FinishedPack, oversized?: SharedArrayBuffer) => void;
}

const ivBytes = 16;
/** Room at the end of a pack buffer for the sealed header: 41 bytes an entry. */
const headerEntryBytes = 41;
/** Entries that fit a header which restic still reads (16 MiB), with a margin. */
const maxEntries = 100_000;
const slotFree = 0;
const slotTaken = 1;

/** Bytes that a slot needs so that one more largest blob still fits a pack that is just below its size. */
export function slotBytes(packSizeBytes: number, maxBlobBytes: number): number {
  return packSizeBytes + maxBlobBytes + sealBytes + (maxEntries >> 4) * headerEntryBytes + 4096;
}

export class Packer {
  readonly #options: PackerOptions;
  readonly #buffers: Buffer[];
  readonly #states: Int32Array[];
  #slot = -1;
  #position = 0;
  #entries: PackEntry[] = [];

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#buffers = options.slots.map((slot) => Buffer.from(slot.bytes));
    this.#states = options.slots.map((slot) => new Int32Array(slot.state));
  }

  /** Adds a blob that the caller has claimed in the index. Blocks the thread while no pack buffer is free. */
  add(id: string, data: Uint8Array): void {
    this.#add(id, data, 0);
  }

  /** As add, for a blob that is compressed already: a frame that holds `uncompressedLength` bytes. */
  addCompressed(id: string, frame: Uint8Array, uncompressedLength: number): void {
    this.#add(id, frame, uncompressedLength);
  }

  #add(id: string, data: Uint8Array, uncompressedLength: number): void {
    if (this.#slot < 0) this.#slot = this.#takeSlot();
    // An empty buffer stays: what does not fit into it fits into no other.
    if (!this.#fits(data.length) && this.#entries.length > 0) {
      this.flush();
      this.#slot = this.#takeSlot();
    }
    if (this.#fits(data.length)) this.#append(this.#buffers[this.#slot]!, id, data, uncompressedLength);
    else this.#addOversized(id, data, uncompressedLength);
    if (this.#position >= this.#options.packSizeBytes || this.#entries.length >= maxEntries) this.flush();
  }

  /** Finishes the open pack, if it holds anything. */
  flush(): void {
    if (this.#slot < 0 || this.#entries.length === 0) return;
    const slot = this.#slot;
    const pack = this.#finish(this.#buffers[slot]!, slot);
    this.#slot = -1;
    this.#options.emit(pack);
  }

  #fits(dataBytes: number): boolean {
    const header = (this.#entries.length + 1) * headerEntryBytes + sealBytes + 4;
    return this.#position + dataBytes + sealBytes + header <= this.#buffers[this.#slot]!.length;
  }

  /** A blob larger than any slot (the tree of a huge directory) gets a pack of its own, in memory of its own. */
  #addOversized(id: string, data: Uint8Array, uncompressedLength: number): void {
    const memory = new SharedArrayBuffer(data.length + 2 * sealBytes + headerEntryBytes + 4);
    const bytes = Buffer.from(memory);
    this.#append(bytes, id, data, uncompressedLength);
    const pack = this.#finish(bytes, -1);
    this.#options.emit(pack, memory);
  }

  /** `uncompressedLength` is 0 for data as it is, which is compressed here where that pays. */
  #append(pack: Buffer, id: string, data: Uint8Array, uncompressedLength: number): void {
    const { type } = this.#options;
    const start = this.#position;
    if (uncompressedLength > 0) this.#options.codec.sealFrom(data, pack, start);
    const frameBytes = uncompressedLength > 0 ? 0 : this.#compressAndSeal(pack, data, start);
    const length = (frameBytes || data.length) + sealBytes;
    this.#entries.push({ type, id, length, uncompressedLength: frameBytes > 0 ? data.length : uncompressedLength });
    this.#position = start + length;
  }

  /** The length of the frame; 0 where the data was sealed as it is. */
  #compressAndSeal(pack: Buffer, data: Uint8Array, start: number): number {
    const { codec, compressionLevel, type } = this.#options;
    const frameBytes =
      type === 'data' && looksIncompressible(data) ? 0 : codec.compress(data, pack, start + ivBytes, compressionLevel);
    if (frameBytes > 0) codec.sealInPlace(pack, start, frameBytes);
    else codec.sealFrom(data, pack, start);
    return frameBytes;
  }

  #finish(pack: Buffer, slot: number): FinishedPack {
    const { codec } = this.#options;
    const header = encodePackHeader(this.#entries);
    pack.set(header, this.#position + ivBytes);
    codec.sealInPlace(pack, this.#position, header.length);
    const headerBytes = header.length + sealBytes;
    pack.writeUInt32LE(headerBytes, this.#position + headerBytes);
    const lengthBytes = this.#position + headerBytes + 4;
    const id = Buffer.allocUnsafe(32);
    codec.hash(pack.subarray(0, lengthBytes), id, 0);
    const finished = { slot, lengthBytes, id: id.toString('hex'), entries: this.#entries };
    this.#entries = [];
    this.#position = 0;
    return finished;
  }

  /** The next free buffer; waits for the uploader when all are with it. */
  #takeSlot(): number {
    for (;;) {
      for (const [slot, state] of this.#states.entries()) {
        if (Atomics.compareExchange(state, 0, slotFree, slotTaken) === slotFree) return slot;
      }
      this.#options.throwIfStopped?.();
      Atomics.wait(this.#states[0]!, 0, slotTaken, 5);
    }
  }
}

/** Gives a slot back to its worker, once its bytes are stored. */
export function freeSlot(slot: PackSlot): void {
  const state = new Int32Array(slot.state);
  Atomics.store(state, 0, slotFree);
  Atomics.notify(state, 0);
}
