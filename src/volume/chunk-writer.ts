/**
 * The innermost path of a backup, in a worker: file bytes are read into the chunker's memory, cut, hashed, looked up,
 * and stored if new. All calls are synchronous; the bytes are copied once, by the compressor or into the pack.
 */
import { readSync } from 'node:fs';
import type { BlobCodec } from '../repository/blob-codec.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import type { Chunker } from '../repository/chunker/chunker.ts';
import type { Packer } from '../repository/packer.ts';

/** What one file or segment became. */
export interface WrittenContent {
  /** `"<64 hex>","<64 hex>"`, empty for an empty file. */
  content: string;
  readBytes: number;
  bytesAdded: number;
  dataBlobs: number;
}

const idBytes = 32;

export class ChunkWriter {
  readonly #codec: BlobCodec;
  readonly #chunker: Chunker;
  readonly #index: BlobIndex;
  readonly #packer: Packer;
  readonly #throwIfStopped: () => void;
  readonly #id = Buffer.allocUnsafe(idBytes);

  constructor(codec: BlobCodec, chunker: Chunker, index: BlobIndex, packer: Packer, throwIfStopped: () => void) {
    this.#codec = codec;
    this.#chunker = chunker;
    this.#index = index;
    this.#packer = packer;
    this.#throwIfStopped = throwIfStopped;
  }

  /** Stores what the open file holds in [offset, offset + lengthBytes), less if the file ends before. */
  write(file: number, offset: number, lengthBytes: number): WrittenContent {
    const written: WrittenContent = { content: '', readBytes: 0, bytesAdded: 0, dataBlobs: 0 };
    const { buffer } = this.#chunker;
    this.#chunker.reset();
    let start = 0;
    let end = 0;
    let atEnd = lengthBytes === 0;
    for (;;) {
      this.#throwIfStopped();
      const cut = this.#chunker.next(start, end, atEnd);
      if (cut > 0) {
        this.#store(buffer.subarray(start, start + cut), written);
        start += cut;
        continue;
      }
      if (atEnd) return written;
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

  #store(data: Buffer, written: WrittenContent): void {
    this.#codec.hash(data, this.#id, 0);
    const id = this.#id.toString('hex');
    if (this.#index.claim('data', this.#id)) {
      this.#packer.add(id, data);
      written.bytesAdded += data.length;
      written.dataBlobs++;
    }
    written.content += written.content === '' ? `"${id}"` : `,"${id}"`;
  }
}
