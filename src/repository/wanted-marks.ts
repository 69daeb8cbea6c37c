/** The blobs of one repository that another lacks, as bits beside the index. */
import type { BlobType } from './blob-index.ts';
import type { IndexedPack } from './format/index-file.ts';
import type { LoadedIndex } from './load-index.ts';
import type { WantedBlobs } from './repack.ts';
import { usedBit } from './used-blobs.ts';

/** Beside usedBit: the blob has to be copied, and was not yet. */
const wantedBit = 0x40;

export class WantedMarks implements WantedBlobs {
  /** A byte for each entry of the source's index. Whoever walks the trees sets usedBit. */
  readonly marks: Uint8Array;
  /** What was wanted from the start: blobs, their sealed bytes, and packs that have some. */
  blobs = 0;
  bytes = 0;
  packs = 0;
  /** Blobs that are wanted still. */
  left = 0;
  readonly #source: LoadedIndex;
  readonly #target: LoadedIndex;
  readonly #id = Buffer.allocUnsafe(32);

  constructor(source: LoadedIndex, target: LoadedIndex) {
    this.#source = source;
    this.#target = target;
    this.marks = new Uint8Array(source.blobs.size);
  }

  /** Wants what is used of a pack, is not in the target, and was in no pack before. */
  want({ blobs }: IndexedPack): void {
    const before = this.blobs;
    for (const { type, id, length } of blobs) {
      const entry = this.#entryOf(type, id);
      if (entry < 0 || this.marks[entry] !== usedBit || this.#target.blobs.has(type, this.#id)) continue;
      this.marks[entry] = usedBit | wantedBit;
      this.blobs += 1;
      this.bytes += length;
    }
    if (this.blobs === before) return;
    this.packs += 1;
    this.left += this.blobs - before;
  }

  has(type: BlobType, id: string): boolean {
    const entry = this.#entryOf(type, id);
    return entry >= 0 && (this.marks[entry]! & wantedBit) !== 0;
  }

  done(type: BlobType, id: string): void {
    this.marks[this.#entryOf(type, id)]! &= ~wantedBit;
    this.left -= 1;
  }

  /** Whether one of both repositories lists it. A tree must be in the source, where it is read. */
  isKnown(type: BlobType, id: string): boolean {
    return this.#entryOf(type, id) >= 0 || (type === 'data' && this.#target.blobs.has(type, this.#id));
  }

  /** Whether a blob that is needed is in the target by now. */
  isCopied(type: BlobType, id: string): boolean {
    return this.isKnown(type, id) && !this.has(type, id);
  }

  #entryOf(type: BlobType, id: string): number {
    this.#id.write(id, 'hex');
    return this.#source.blobs.find(type, this.#id);
  }
}
