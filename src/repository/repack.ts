/**
 * Writes the blobs that are still needed of some packs into new packs: fetched in ranges, opened, verified, sealed anew.
 * What is compressed stays as it is; trees that are not become so. On the main thread: the work is mostly waiting for
 * the store. Memory: the ranges under way, and as many pack buffers as may be uploaded at once.
 */
import type { Clock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type BlobCodec, createBlobCodec } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';
import { maxChunkBytes } from './chunker/chunker.ts';
import type { IndexedBlob, IndexedPack } from './format/index-file.ts';
import { sealBytes } from './format/pack.ts';
import { PackUploader } from './pack-uploader.ts';
import { type FinishedPack, Packer, type PackSlot, slotBytes } from './packer.ts';
import type { Repository } from './repository.ts';

/** The blobs that have to be copied, each once. */
export interface WantedBlobs {
  has(type: BlobType, id: string): boolean;
  /** Takes a blob off: it is in a new pack. */
  done(type: BlobType, id: string): void;
}

export interface RepackOptions {
  readonly packSizeBytes: number;
  readonly clock: Clock;
  readonly onPack?: () => void;
  readonly signal?: AbortSignal;
}

const packsAtOnce = 3;
/** Bytes between needed blobs that are fetched along rather than asked around. */
const gapBytes = 1 << 20;
const rangeBytes = 32 << 20;
/** restic's usual level, about zstd's 3. */
const compressionLevel = 3;

/** Copies and indexes the wanted blobs of these packs; the bytes stored. The packs themselves stay. */
export async function repackPacks(
  repository: Repository,
  packs: AsyncIterable<IndexedPack>,
  wanted: WantedBlobs,
  options: RepackOptions,
): Promise<number> {
  const sink = new Sink(repository, options);
  const copier = new BlobCopier(repository, wanted, sink);
  try {
    await mapLimited(packs, packsAtOnce, async ({ id, blobs }) => {
      for (const range of rangesOf(blobs.filter((blob) => wanted.has(blob.type, blob.id)))) {
        options.signal?.throwIfAborted();
        await copier.copy(id, range);
      }
      options.onPack?.();
    });
    return await sink.finish();
  } catch (error) {
    await sink.settle();
    throw error;
  }
}

/** Blobs that lie near each other, to be fetched together. */
export function rangesOf(blobs: readonly IndexedBlob[]): IndexedBlob[][] {
  const ranges: IndexedBlob[][] = [];
  let range: IndexedBlob[] = [];
  for (const blob of blobs) {
    const last = range.at(-1);
    const end = blob.offset + blob.length;
    if (last && (blob.offset - (last.offset + last.length) > gapBytes || end - range[0]!.offset > rangeBytes)) {
      ranges.push(range);
      range = [];
    }
    range.push(blob);
  }
  if (range.length > 0) ranges.push(range);
  return ranges;
}

class BlobCopier {
  readonly #repository: Repository;
  readonly #wanted: WantedBlobs;
  readonly #sink: Sink;
  readonly #codec: BlobCodec;
  readonly #hash = Buffer.alloc(32);
  #opened = Buffer.alloc(0);
  #plain = Buffer.alloc(0);

  constructor(repository: Repository, wanted: WantedBlobs, sink: Sink) {
    this.#repository = repository;
    this.#wanted = wanted;
    this.#sink = sink;
    this.#codec = createBlobCodec(repository.key);
  }

  async copy(packId: string, blobs: readonly IndexedBlob[]): Promise<void> {
    const bytes = await this.#fetch(packId, blobs);
    const start = blobs[0]!.offset;
    for (const blob of blobs) {
      await this.#sink.roomFor(blob.type);
      // Another pack may have brought it meanwhile. From here to its end, a blob is copied without a pause.
      if (!this.#wanted.has(blob.type, blob.id)) continue;
      const sealed = bytes.subarray(blob.offset - start, blob.offset - start + blob.length);
      if (!this.#tryCopy(sealed, blob)) await this.#copyAgain(packId, blob);
    }
  }

  #fetch(packId: string, blobs: readonly IndexedBlob[]): Promise<Buffer> {
    const last = blobs.at(-1)!;
    const offset = blobs[0]!.offset;
    return this.#repository.store.get('data', packId, { offset, length: last.offset + last.length - offset });
  }

  /** The fault may have been in transit. */
  async #copyAgain(packId: string, blob: IndexedBlob): Promise<void> {
    const sealed = await this.#fetch(packId, [blob]);
    await this.#sink.roomFor(blob.type);
    if (!this.#wanted.has(blob.type, blob.id) || this.#tryCopy(sealed, blob)) return;
    const reason = `it cannot be read in the pack ${packId}`;
    throw new HoldfastError('FILE_DAMAGED', { kind: `${blob.type} blob`, name: blob.id, reason });
  }

  /** false where the bytes are not those of the blob. */
  #tryCopy(sealed: Buffer, { type, id, uncompressedLength }: IndexedBlob): boolean {
    try {
      if (this.#opened.length < sealed.length) this.#opened = Buffer.allocUnsafeSlow(sealed.length);
      const content = this.#opened.subarray(0, sealed.length - sealBytes);
      this.#codec.open(sealed, content, id);
      let plain = content;
      if (uncompressedLength > 0) {
        if (this.#plain.length < uncompressedLength) this.#plain = Buffer.allocUnsafeSlow(uncompressedLength);
        plain = this.#plain.subarray(0, uncompressedLength);
        this.#codec.decompress(content, plain, id);
      }
      this.#codec.hash(plain, this.#hash, 0);
      if (this.#hash.toString('hex') !== id) return false;
      this.#sink.add(type, id, content, uncompressedLength);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_DAMAGED')) return false;
      throw error;
    }
    this.#wanted.done(type, id);
    return true;
  }
}

/** Packers for trees and for data, and the uploads of what they finish. */
class Sink {
  readonly #uploader: PackUploader;
  readonly #packers: Readonly<Record<BlobType, Packer>>;
  readonly #uploads: Readonly<Record<BlobType, Set<Promise<void>>>> = { data: new Set(), tree: new Set() };
  readonly #slotCount: number;
  #failure: { error: unknown } | undefined;

  constructor(repository: Repository, { packSizeBytes, clock }: RepackOptions) {
    this.#uploader = new PackUploader(repository, clock);
    // One fills, one may be taken while a blob is added, the others are on their way.
    this.#slotCount = 2 + Math.min(repository.store.uploadsAtOnce, 4);
    const codec = createBlobCodec(repository.key);
    const packerOf = (type: BlobType): Packer => {
      const slots = packSlots(this.#slotCount, packSizeBytes);
      const emit = (pack: FinishedPack, oversized?: SharedArrayBuffer): void =>
        this.#upload(type, pack, oversized ? undefined : slots[pack.slot], oversized);
      return new Packer({ codec, type, packSizeBytes, compressionLevel, slots, emit });
    };
    this.#packers = { data: packerOf('data'), tree: packerOf('tree') };
  }

  /** Waits until a blob can be added without blocking the thread. Throws what an upload failed with. */
  async roomFor(type: BlobType): Promise<void> {
    const uploads = this.#uploads[type];
    while (uploads.size > this.#slotCount - 2) await Promise.race(uploads);
    if (this.#failure) throw this.#failure.error;
  }

  /** Right after roomFor. */
  add(type: BlobType, id: string, content: Uint8Array, uncompressedLength: number): void {
    if (uncompressedLength > 0) this.#packers[type].addCompressed(id, content, uncompressedLength);
    else this.#packers[type].add(id, content);
  }

  /** Waits for all uploads and the index of them; the bytes stored. */
  async finish(): Promise<number> {
    this.#packers.data.flush();
    this.#packers.tree.flush();
    await this.#uploader.finish();
    return this.#uploader.storedBytes;
  }

  settle(): Promise<void> {
    return this.#uploader.settle();
  }

  #upload(type: BlobType, pack: FinishedPack, slot: PackSlot | undefined, oversized?: SharedArrayBuffer): void {
    const memory = oversized ?? slot!.bytes;
    const upload = this.#uploader
      .upload(pack, memory, slot, (error) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#uploads[type].delete(upload));
    this.#uploads[type].add(upload);
  }
}

/** Shared memory is only taken as it is written to, so a slot that is never used costs nothing. */
function packSlots(count: number, packSizeBytes: number): PackSlot[] {
  return Array.from({ length: count }, () => ({
    bytes: new SharedArrayBuffer(slotBytes(packSizeBytes, maxChunkBytes)),
    state: new SharedArrayBuffer(4),
  }));
}
