/**
 * Backs up a stream of bytes, such as the dump of a database, as one file: as restic backs up its standard input.
 */
import { HoldfastError } from '../base/errors.ts';
import { type ChunkerConfig, chunkerOf } from '../repository/chunker/chunker.ts';
import { encodeNodeHead } from '../repository/format/tree.ts';
import { madeUp } from '../repository/made-up-node.ts';
import type { Repository } from '../repository/repository.ts';
import { storeAbove } from './backup-place.ts';
import { type RunOptions, type RunTools, runBackup } from './backup-run.ts';
import { type BackupSummary, progressOf } from './backup-summary.ts';
import { ContentCutter } from './content-cutter.ts';

export interface StreamOptions extends Omit<RunOptions, 'paths'> {
  /** Path of the file in the backup; made absolute. */
  readonly filePath: string;
  /** What the stream is, for messages. */
  readonly name: string;
  /** An error that it throws ends the run, and no snapshot is made. */
  readonly stream: AsyncIterable<Uint8Array>;
}

const progressEveryBytes = 4 << 20;

/** Throws USAGE for a path that names no file, SOURCE_UNREADABLE where nothing came, and what runBackup throws. */
export async function backupStream(repository: Repository, options: StreamOptions): Promise<BackupSummary> {
  const names = namesOf(options.filePath);
  const run = { ...options, paths: [`/${names.join('/')}`] };
  return runBackup(repository, run, {
    parent: undefined,
    store: (tools) => new StreamStore(tools, chunkerOf(repository.config), run).store(names),
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
  readonly #cutter: ContentCutter;
  readonly #options: StreamOptions;
  #sizeBytes = 0;
  #reportedBytes = 0;

  constructor(tools: RunTools, chunker: ChunkerConfig, options: StreamOptions) {
    this.#tools = tools;
    this.#cutter = new ContentCutter(tools, chunker);
    this.#options = options;
  }

  /** The id of the root tree. */
  async store(names: readonly string[]): Promise<string> {
    const { walk, timeNs } = this.#tools;
    const { stream, signal, name } = this.#options;
    for await (const piece of endingWith(stream, signal)) await this.#take(piece);
    const content = await this.#cutter.finishFile();
    await this.#cutter.settle();
    if (this.#sizeBytes === 0) {
      throw new HoldfastError('SOURCE_UNREADABLE', { path: name, reason: 'nothing came from it' });
    }
    walk.counts.filesNew++;
    this.#report();
    const fileName = names.at(-1) ?? '';
    const node = { ...madeUp(fileName, timeNs), type: 'file', mode: 0o644, sizeBytes: this.#sizeBytes } as const;
    const head = Buffer.from(`${encodeNodeHead(node)}[`);
    const tree = await walk.storeTree([head, ...content.json(), Buffer.from(']},')]);
    return storeAbove(walk, names.slice(0, -1), tree, timeNs);
  }

  async #take(piece: Uint8Array): Promise<void> {
    await this.#cutter.take(piece);
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes - this.#reportedBytes >= progressEveryBytes) this.#report();
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
