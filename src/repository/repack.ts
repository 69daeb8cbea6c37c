/**
 * Writes the blobs that are still needed of some packs into new packs: fetched in ranges, opened, verified, sealed anew.
 * What is compressed stays as it is; trees that are not become so. On the main thread: the work is mostly waiting for
 * the store. Memory: the ranges under way, and the sink's pack buffers.
 */
import { mapLimited } from '../base/concurrency.ts';
import { damagedFile } from '../base/damaged-file.ts';
import { isHoldfastError } from '../base/errors.ts';
import { type BlobCodec, createBlobCodec } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';
import { BlobSink, type SinkOptions } from './blob-sink.ts';
import { isAboutOneFile } from './check-findings.ts';
import type { IndexedBlob, IndexedPack } from './format/index-file.ts';
import { sealBytes } from './format/pack.ts';
import type { Repository } from './repository.ts';

/** The blobs that have to be copied, each once. */
export interface WantedBlobs {
  has(type: BlobType, id: string): boolean;
  /** Takes a blob off: it is in a new pack. */
  done(type: BlobType, id: string): void;
}

export interface RepackOptions extends SinkOptions {
  /** Where the new packs go. Default: into the repository that the blobs are of. */
  readonly target?: Repository;
  /** A blob that cannot be read stays wanted, and the next pack that has it is tried. Default: it is thrown. */
  readonly passOver?: boolean;
  readonly onPack?: () => void;
  readonly signal?: AbortSignal;
}

const packsAtOnce = 3;
/** Bytes between needed blobs that are fetched along rather than asked around. */
const gapBytes = 1 << 20;
const rangeBytes = 32 << 20;

/** Copies and indexes the wanted blobs of these packs; the bytes stored. The packs themselves stay. */
export async function repackPacks(
  repository: Repository,
  packs: AsyncIterable<IndexedPack>,
  wanted: WantedBlobs,
  options: RepackOptions,
): Promise<number> {
  const { target = repository, passOver = false } = options;
  const sink = new BlobSink(target, options);
  const copier = new BlobCopier(repository, wanted, { sink, passOver, compressed: target.version > 1 });
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

interface CopierOptions {
  readonly sink: BlobSink;
  readonly passOver: boolean;
  /** Whether what is compressed may stay so. */
  readonly compressed: boolean;
}

class BlobCopier {
  readonly #repository: Repository;
  readonly #wanted: WantedBlobs;
  readonly #sink: BlobSink;
  readonly #passOver: boolean;
  readonly #compressed: boolean;
  readonly #codec: BlobCodec;
  readonly #hash = Buffer.alloc(32);
  #opened = Buffer.alloc(0);
  #plain = Buffer.alloc(0);

  constructor(repository: Repository, wanted: WantedBlobs, { sink, passOver, compressed }: CopierOptions) {
    this.#repository = repository;
    this.#wanted = wanted;
    this.#sink = sink;
    this.#passOver = passOver;
    this.#compressed = compressed;
    this.#codec = createBlobCodec(repository.key);
  }

  async copy(packId: string, blobs: readonly IndexedBlob[]): Promise<void> {
    const bytes = await this.#tryFetch(packId, blobs);
    if (bytes === 'missing') return;
    const start = blobs[0]!.offset;
    for (const blob of blobs) {
      await this.#sink.roomFor(blob.type);
      // Another pack may have brought it meanwhile. From here to its end, a blob is copied without a pause.
      if (!this.#wanted.has(blob.type, blob.id)) continue;
      const sealed = bytes?.subarray(blob.offset - start, blob.offset - start + blob.length);
      if (!sealed || !this.#tryCopy(sealed, blob)) await this.#copyAgain(packId, blob);
    }
  }

  /** undefined where not all of these blobs can be fetched. */
  async #tryFetch(packId: string, blobs: readonly IndexedBlob[]): Promise<Buffer | 'missing' | undefined> {
    try {
      return await this.#fetch(packId, blobs);
    } catch (error) {
      if (!this.#passOver || !isAboutOneFile(error)) throw error;
      return isHoldfastError(error, 'FILE_NOT_FOUND') ? 'missing' : undefined;
    }
  }

  #fetch(packId: string, blobs: readonly IndexedBlob[]): Promise<Buffer> {
    const last = blobs.at(-1)!;
    const offset = blobs[0]!.offset;
    return this.#repository.store.get('data', packId, { offset, length: last.offset + last.length - offset });
  }

  /** The fault may have been in transit. */
  async #copyAgain(packId: string, blob: IndexedBlob): Promise<void> {
    const sealed = await this.#tryFetch(packId, [blob]);
    await this.#sink.roomFor(blob.type);
    if (!this.#wanted.has(blob.type, blob.id)) return;
    if (Buffer.isBuffer(sealed) && this.#tryCopy(sealed, blob)) return;
    if (this.#passOver) return;
    throw damagedFile({ kind: 'pack', name: packId }, `its ${blob.type} blob ${blob.id} cannot be read`);
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
      if (this.#compressed) this.#sink.add(type, id, content, uncompressedLength);
      else this.#sink.add(type, id, plain, 0);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_DAMAGED')) return false;
      throw error;
    }
    this.#wanted.done(type, id);
    return true;
  }
}
