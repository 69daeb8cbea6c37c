/**
 * Content that comes as a stream, cut into chunks on the main thread, which has nothing else to do then; the other
 * threads compress and seal. One file after the other.
 */
import { hash } from 'node:crypto';
import { Semaphore } from '../base/concurrency.ts';
import { type ChunkerConfig, createChunker } from '../repository/chunker/chunker.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';
import type { RunTools } from './backup-run.ts';

/** Chunks that are with the other threads. */
const chunksAheadBytes = 32 << 20;

export class ContentCutter {
  readonly #tools: RunTools;
  readonly #chunker;
  readonly #ahead = new Semaphore(chunksAheadBytes);
  readonly #failures: unknown[] = [];
  readonly #content = new ContentRuns();
  #isTaken = false;
  /** Where in the chunker's memory the chunk begins that is being filled, and where the data ends. */
  #start = 0;
  #end = 0;
  #zeroChunk: Buffer | undefined;

  constructor(tools: RunTools, chunker: ChunkerConfig) {
    this.#tools = tools;
    this.#chunker = createChunker(chunker);
  }

  /** Goes on with the file. Waits while the other threads have enough to do. */
  async take(piece: Uint8Array): Promise<void> {
    const { buffer } = this.#chunker;
    for (let done = 0; done < piece.length; ) {
      if (this.#end === buffer.length) this.#moveToFront();
      const part = piece.subarray(done, done + buffer.length - this.#end);
      buffer.set(part, this.#end);
      this.#end += part.length;
      done += part.length;
      await this.#cut(false);
    }
    this.#tools.walk.counts.bytesProcessed += piece.length;
  }

  /** As so many zeros: right after a cut, those that are whole chunks of zeros are known without a look. */
  async takeZeros(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const isAtCut = this.#start === this.#end;
      const skipped = isAtCut && left >= this.#chunker.zeroChunkBytes ? this.#chunker.skipZeros(left) : 0;
      if (skipped > 0) {
        this.#add(await this.#storeZeros(), skipped / this.#chunker.zeroChunkBytes);
        this.#tools.walk.counts.bytesProcessed += skipped;
      } else await this.take(zeros.subarray(0, left));
      left -= skipped > 0 ? skipped : Math.min(left, zeros.length);
    }
  }

  /** The file is over: its content, in memory that is used again for the next one. */
  async finishFile(): Promise<ContentRuns> {
    await this.#cut(true);
    if (this.#isTaken) this.#content.clear();
    this.#isTaken = true;
    this.#start = 0;
    this.#end = 0;
    this.#chunker.reset();
    return this.#content;
  }

  /** Once the last file is finished: waits until all of it is with the packs. */
  async settle(): Promise<void> {
    await this.#ahead.acquire(chunksAheadBytes);
    this.#throwIfFailed();
  }

  #add(id: Buffer, count = 1): void {
    if (this.#isTaken) this.#content.clear();
    this.#isTaken = false;
    this.#content.addBytes(id, count);
  }

  #moveToFront(): void {
    this.#chunker.buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }

  async #cut(final: boolean): Promise<void> {
    for (;;) {
      const length = this.#chunker.next(this.#start, this.#end, final);
      if (length === 0) return;
      this.#add(await this.#store(this.#chunker.buffer.subarray(this.#start, this.#start + length)));
      this.#start += length;
    }
  }

  async #storeZeros(): Promise<Buffer> {
    this.#zeroChunk ??= await this.#store(Buffer.alloc(this.#chunker.zeroChunkBytes));
    return this.#zeroChunk;
  }

  /** Its id. */
  async #store(chunk: Buffer): Promise<Buffer> {
    this.#throwIfFailed();
    const { walk, index, workers } = this.#tools;
    const id = hash('sha256', chunk, 'buffer');
    if (!index.blobs.claim('data', id)) return id;
    walk.counts.dataBlobs++;
    walk.counts.bytesAdded += chunk.length;
    // Its own memory, since the chunker goes on in its buffer.
    const bytes = new Uint8Array(chunk);
    await this.#ahead.acquire(bytes.length);
    workers
      .run({ kind: 'blob', type: 'data', id: id.toString('hex'), bytes })
      .catch((error: unknown) => this.#failures.push(error))
      .finally(() => this.#ahead.release(bytes.length));
    return id;
  }

  #throwIfFailed(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}

const zeros = Buffer.alloc(1 << 20);
