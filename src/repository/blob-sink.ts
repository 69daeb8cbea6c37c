/**
 * Writing blobs from the main thread, for work that mostly waits for the store: packers for trees and for data, and the
 * uploads of what they finish. Memory: as many pack buffers as may be uploaded at once.
 */
import type { Clock } from '../base/clock.ts';
import { createBlobCodec } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';
import { maxChunkBytes } from './chunker/chunker.ts';
import { compressionOf, withCompression } from './compression.ts';
import { PackUploader } from './pack-uploader.ts';
import { type FinishedPack, Packer, type PackSlot, slotBytes } from './packer.ts';
import type { Repository } from './repository.ts';

export interface SinkOptions {
  readonly packSizeBytes: number;
  readonly clock: Clock;
}

/** restic's usual level, about zstd's 3. */
const compressionLevel = 3;

export class BlobSink {
  readonly #uploader: PackUploader;
  readonly #packers: Readonly<Record<BlobType, Packer>>;
  readonly #uploads: Readonly<Record<BlobType, Set<Promise<void>>>> = { data: new Set(), tree: new Set() };
  readonly #slotCount: number;
  #failure: { error: unknown } | undefined;

  constructor(repository: Repository, { packSizeBytes, clock }: SinkOptions) {
    this.#uploader = new PackUploader(repository, clock);
    // One fills, one may be taken while a blob is added, the others are on their way.
    this.#slotCount = 2 + Math.min(repository.store.uploadsAtOnce, 4);
    const codec = createBlobCodec(repository.key);
    const packerOf = (type: BlobType): Packer => {
      const slots = packSlots(this.#slotCount, packSizeBytes);
      const emit = (pack: FinishedPack, oversized?: SharedArrayBuffer): void =>
        this.#upload(type, pack, oversized ? undefined : slots[pack.slot], oversized);
      const packing = withCompression(codec, compressionOf(repository.version, type));
      return new Packer({ codec: packing, type, packSizeBytes, compressionLevel, slots, emit });
    };
    this.#packers = { data: packerOf('data'), tree: packerOf('tree') };
  }

  /** Waits until a blob can be added without blocking the thread. Throws what an upload failed with. */
  async roomFor(type: BlobType): Promise<void> {
    const uploads = this.#uploads[type];
    while (uploads.size > this.#slotCount - 2) await Promise.race(uploads);
    if (this.#failure) throw this.#failure.error;
  }

  /** Right after roomFor. `uncompressedLength` is 0 for what is not compressed yet. */
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

  /** After a failure: lets what is under way end, and indexes what arrived. */
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
