/**
 * The innermost path of a backup, in a worker: file bytes are read into the chunker's memory, cut, hashed, looked up,
 * and stored if new. All calls are synchronous; the bytes are copied once, by the compressor or into the pack.
 */
import { readSync } from 'node:fs';
import type { BlobCodec } from '../repository/blob-codec.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import type { Chunker } from '../repository/chunker/chunker.ts';
import { ContentRuns, type PackedRuns } from '../repository/format/content-runs.ts';
import type { Packer } from '../repository/packer.ts';
import { nextData } from './libc.ts';

export interface WrittenBytes {
  /** Holes that were not read count, too. */
  readBytes: number;
  bytesAdded: number;
  dataBlobs: number;
}

/** What one small file became. */
export interface WrittenContent extends WrittenBytes {
  /** `"<64 hex>","<64 hex>"`, empty for an empty file. */
  content: string;
}

/** What a part of a large file became. */
export interface WrittenSegment extends WrittenBytes {
  readonly runs: PackedRuns;
}

export interface FileSegment {
  readonly offset: number;
  readonly lengthBytes: number;
  /** Size of the whole file as it is now. */
  readonly fileBytes: number;
  /** Whether to look for holes. */
  readonly isSparse: boolean;
}

const idBytes = 32;
const noBytes: Readonly<WrittenBytes> = { readBytes: 0, bytesAdded: 0, dataBlobs: 0 };

export class ChunkWriter {
  readonly #codec: BlobCodec;
  readonly #chunker: Chunker;
  readonly #index: BlobIndex;
  readonly #packer: Packer;
  readonly #throwIfStopped: () => void;
  readonly #id = Buffer.allocUnsafe(idBytes);
  #zeroId: Buffer | undefined;

  constructor(codec: BlobCodec, chunker: Chunker, index: BlobIndex, packer: Packer, throwIfStopped: () => void) {
    this.#codec = codec;
    this.#chunker = chunker;
    this.#index = index;
    this.#packer = packer;
    this.#throwIfStopped = throwIfStopped;
  }

  /** Stores what the open file holds in [offset, offset + lengthBytes), less if the file ends before. */
  write(file: number, offset: number, lengthBytes: number): WrittenContent {
    const written: WrittenContent = { content: '', ...noBytes };
    this.#cutAll(file, { offset, lengthBytes }, written, (id) => {
      written.content += written.content === '' ? `"${id}"` : `,"${id}"`;
    });
    return written;
  }

  /** As write, for parts of large files. Holes are not read: the chunks that they are cut into are known. */
  writeSegment(file: number, segment: FileSegment): WrittenSegment {
    const runs = new ContentRuns();
    const written = { ...noBytes };
    const skip = segment.isSparse ? (done: number) => this.#skipHole(file, segment, done, runs, written) : undefined;
    this.#cutAll(file, segment, written, () => runs.addBytes(this.#id), skip);
    return { ...written, runs: runs.packed() };
  }

  /** `skip` is asked after each cut, with how far it came, how many bytes from there on are stored already. */
  #cutAll(
    file: number,
    { offset, lengthBytes }: Pick<FileSegment, 'offset' | 'lengthBytes'>,
    written: WrittenBytes,
    add: (id: string) => void,
    skip?: (doneBytes: number) => number,
  ): void {
    const { buffer } = this.#chunker;
    this.#chunker.reset();
    let start = 0;
    let end = 0;
    let atEnd = lengthBytes === 0;
    let isAtCut = true;
    for (;;) {
      this.#throwIfStopped();
      const skipped = skip && isAtCut ? skip(written.readBytes - (end - start)) : 0;
      if (skipped > 0) {
        // What was read ahead may be less than that, or more.
        written.readBytes += Math.max(0, skipped - (end - start));
        start = Math.min(start + skipped, end);
        atEnd ||= written.readBytes === lengthBytes;
      }
      const cut = this.#chunker.next(start, end, atEnd);
      isAtCut = cut > 0;
      if (cut > 0) {
        this.#store(buffer.subarray(start, start + cut), written, add);
        start += cut;
        continue;
      }
      if (atEnd) return;
      if (start > 0) {
        buffer.copyWithin(0, start, end);
        end -= start;
        start = 0;
      }
      const wanted = Math.min(buffer.length - end, lengthBytes - written.readBytes);
      const count = readSync(file, buffer, end, wanted, offset + written.readBytes);
      end += count;
      written.readBytes += count;
      atEnd = count === 0 || written.readBytes === lengthBytes;
    }
  }

  #skipHole(file: number, segment: FileSegment, done: number, runs: ContentRuns, written: WrittenBytes): number {
    const from = segment.offset + done;
    const to = Math.min(segment.offset + segment.lengthBytes, segment.fileBytes);
    const { zeroChunkBytes } = this.#chunker;
    if (to - from < zeroChunkBytes) return 0;
    const skipped = this.#chunker.skipZeros(Math.min(nextData(file, from) ?? to, to) - from);
    if (skipped > 0) runs.addBytes(this.#zeroChunkId(written), skipped / zeroChunkBytes);
    return skipped;
  }

  /** Stores the chunk of zeros where it is not there yet. */
  #zeroChunkId(written: WrittenBytes): Buffer {
    if (!this.#zeroId) {
      this.#store(Buffer.alloc(this.#chunker.zeroChunkBytes), written, () => undefined);
      this.#zeroId = Buffer.from(this.#id);
    }
    return this.#zeroId;
  }

  #store(data: Buffer, written: WrittenBytes, add: (id: string) => void): void {
    this.#codec.hash(data, this.#id, 0);
    const id = this.#id.toString('hex');
    if (this.#index.claim('data', this.#id)) {
      this.#packer.add(id, data);
      written.bytesAdded += data.length;
      written.dataBlobs++;
    }
    add(id);
  }
}
