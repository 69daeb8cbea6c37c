/**
 * Backs up a stream of bytes, such as the dump of a database, as one file: as restic backs up its standard input. The
 * stream is cut on the main thread, which has nothing else to do; the other threads compress and seal.
 */
import { hash } from 'node:crypto';
import { Semaphore } from '../base/concurrency.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Chunker, chunkerOf, createChunker } from '../repository/chunker/chunker.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';
import { encodeNodeHead } from '../repository/format/tree.ts';
import type { Repository } from '../repository/repository.ts';
import { madeUp, storeAbove } from './backup-place.ts';
import { type RunOptions, type RunTools, runBackup } from './backup-run.ts';
import { type BackupSummary, progressOf } from './backup-summary.ts';

export interface StreamOptions extends Omit<RunOptions, 'paths'> {
  /** Path of the file in the backup; made absolute. */
  readonly filePath: string;
  /** What the stream is, for messages. */
  readonly name: string;
  /** An error that it throws ends the run, and no snapshot is made. */
  readonly stream: AsyncIterable<Uint8Array>;
}

/** Chunks that are with the other threads. */
const chunksAheadBytes = 32 << 20;
const progressEveryBytes = 4 << 20;

/** Throws USAGE for a path that names no file, SOURCE_UNREADABLE where nothing came, and what runBackup throws. */
export async function backupStream(repository: Repository, options: StreamOptions): Promise<BackupSummary> {
  const names = namesOf(options.filePath);
  const run = { ...options, paths: [`/${names.join('/')}`] };
  const chunker = createChunker(chunkerOf(repository.config));
  return runBackup(repository, run, {
    parent: undefined,
    store: (tools) => new StreamStore(tools, chunker, run).store(names),
  });
}

/** The parts of the path; `..` and `.` are resolved as below a root. */
function namesOf(filePath: string): readonly string[] {
  const names: string[] = [];
  for (const name of filePath.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  if (names.length > 0 && !filePath.endsWith('/') && !names.some((name) => name.includes('\0'))) return names;
  throw new HoldfastError('USAGE', { problem: `"${filePath}" is no path of a file` });
}

class StreamStore {
  readonly #tools: RunTools;
  readonly #chunker: Chunker;
  readonly #options: StreamOptions;
  readonly #content = new ContentRuns();
  readonly #ahead = new Semaphore(chunksAheadBytes);
  readonly #failures: unknown[] = [];
  /** Where in the chunker's memory the chunk begins that is being filled, and where the data ends. */
  #start = 0;
  #end = 0;
  #sizeBytes = 0;
  #reportedBytes = 0;

  constructor(tools: RunTools, chunker: Chunker, options: StreamOptions) {
    this.#tools = tools;
    this.#chunker = chunker;
    this.#options = options;
  }

  /** The id of the root tree. */
  async store(names: readonly string[]): Promise<string> {
    const { walk, timeNs } = this.#tools;
    const { stream, signal, name } = this.#options;
    for await (const piece of endingWith(stream, signal)) await this.#take(piece);
    await this.#cut(true);
    await this.#ahead.acquire(chunksAheadBytes);
    this.#throwIfFailed();
    if (this.#sizeBytes === 0) {
      throw new HoldfastError('SOURCE_UNREADABLE', { path: name, reason: 'nothing came from it' });
    }
    walk.counts.filesNew++;
    this.#report();
    const fileName = names.at(-1) ?? '';
    const node = { ...madeUp(fileName, timeNs), type: 'file', mode: 0o644, sizeBytes: this.#sizeBytes } as const;
    const head = Buffer.from(`${encodeNodeHead(node)}[`);
    const tree = await walk.storeTree([head, ...this.#content.json(), Buffer.from(']},')]);
    return storeAbove(walk, names.slice(0, -1), tree, timeNs);
  }

  async #take(piece: Uint8Array): Promise<void> {
    const { buffer } = this.#chunker;
    for (let done = 0; done < piece.length; ) {
      if (this.#end === buffer.length) this.#moveToFront();
      const part = piece.subarray(done, done + buffer.length - this.#end);
      buffer.set(part, this.#end);
      this.#end += part.length;
      done += part.length;
      await this.#cut(false);
    }
    this.#sizeBytes += piece.length;
    this.#tools.walk.counts.bytesProcessed += piece.length;
    if (this.#sizeBytes - this.#reportedBytes >= progressEveryBytes) this.#report();
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
      await this.#storeChunk(this.#chunker.buffer.subarray(this.#start, this.#start + length));
      this.#start += length;
    }
  }

  async #storeChunk(chunk: Buffer): Promise<void> {
    this.#throwIfFailed();
    const { walk, index, workers } = this.#tools;
    const id = hash('sha256', chunk, 'buffer');
    this.#content.addBytes(id);
    if (!index.blobs.claim('data', id)) return;
    walk.counts.dataBlobs++;
    walk.counts.bytesAdded += chunk.length;
    // Its own memory, since the chunker goes on in its buffer.
    const bytes = new Uint8Array(chunk);
    await this.#ahead.acquire(bytes.length);
    workers
      .run({ kind: 'blob', type: 'data', id: id.toString('hex'), bytes })
      .catch((error: unknown) => this.#failures.push(error))
      .finally(() => this.#ahead.release(bytes.length));
  }

  #throwIfFailed(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #report(): void {
    this.#reportedBytes = this.#sizeBytes;
    this.#options.onProgress?.(progressOf(this.#tools.walk));
  }
}

/** The stream until it ends; throws the reason of the signal as soon as it is aborted, even while nothing comes. */
async function* endingWith(stream: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  const onAbort = () => aborted.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const iterator = stream[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted.promise]);
      isDone = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // Not waited for: what comes to no end is why it is left.
    if (!isDone) void iterator.return?.()?.then(undefined, () => undefined);
  }
}
