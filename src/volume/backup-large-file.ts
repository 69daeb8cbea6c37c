/** Large files of a backup: handed to the threads in segments, whose chunks are put together in order. */
import type { Semaphore } from '../base/concurrency.ts';
import { segmentBytes } from '../repository/chunker/chunker.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';
import { encodeNodeHead } from '../repository/format/tree.ts';
import type { EntryCounts, EntryProblem, Hole, SegmentJob, SegmentResult } from './backup-jobs.ts';
import { type BackupWorkers, JobFailure } from './backup-workers.ts';
import type { EntryAttributes } from './read-attributes.ts';
import type { TreePiece } from './tree-pieces.ts';

export interface LargeFilesOptions {
  readonly workers: BackupWorkers;
  /** Cut by several workers, where the chunker allows it. */
  readonly segmented: boolean;
  /** Bounds how many jobs are under way. */
  readonly jobs: Semaphore;
  readonly counts: EntryCounts;
  readonly problems: EntryProblem[];
  readonly onProgress: () => void;
}

/** Holes cost nothing, so much of a sparse file is one job: a whole number of segments. */
const sparseStepBytes = 64 * segmentBytes;

export class LargeFiles {
  readonly #options: LargeFilesOptions;

  constructor(options: LargeFilesOptions) {
    this.#options = options;
  }

  /** `path` is latin1. The node of the file, as pieces; nothing of a file that cannot be read, which is counted. */
  async read(path: string, hole: Hole): Promise<readonly TreePiece[]> {
    const attributes = asBuffers(hole.attributes!);
    const content = new ContentRuns();
    const total = { readBytes: 0, isChanged: false };
    try {
      let done: Promise<void> = Promise.resolve();
      for await (const segment of this.#segments(path, attributes, hole.isSparse ?? false)) {
        done = handled(this.#append(done, segment, content, total));
      }
      await done;
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error;
      if (error.code === 'ENOENT') this.#options.counts.vanished++;
      else this.#options.problems.push({ path: Buffer.from(path, 'latin1').toString(), message: error.message });
      return [];
    }
    this.#options.counts[hole.known ? 'filesChanged' : 'filesNew']++;
    if (total.isChanged) this.#options.counts.changedWhileRead++;
    return [
      Buffer.from(`${encodeNodeHead({ ...attributes, sizeBytes: total.readBytes })}[`),
      content,
      Buffer.from(']},'),
    ];
  }

  /** Its segments in order, each handed out as soon as there is room for it. */
  async *#segments(path: string, { sizeBytes, inode }: EntryAttributes, isSparse: boolean) {
    const wholeStep = isSparse ? sparseStepBytes : segmentBytes;
    const stepBytes = this.#options.segmented ? wholeStep : sizeBytes;
    for (let offset = 0; offset < sizeBytes; offset += stepBytes) {
      await this.#options.jobs.acquire();
      const lengthBytes = Math.min(stepBytes, sizeBytes - offset);
      // In an object, since a promise that is yielded would be waited for.
      yield { result: handled(this.#segment({ kind: 'segment', path, inode, offset, lengthBytes, isSparse })) };
    }
  }

  /** Adds what a segment became once all before it are there, so that little waits in memory. */
  async #append(
    before: Promise<void>,
    { result }: { readonly result: Promise<SegmentResult> },
    content: ContentRuns,
    total: { readBytes: number; isChanged: boolean },
  ): Promise<void> {
    await before;
    const { runs, readBytes, changedWhileRead } = await result;
    content.append(runs);
    total.readBytes += readBytes;
    total.isChanged ||= changedWhileRead;
  }

  async #segment(job: SegmentJob): Promise<SegmentResult> {
    const { workers, jobs, counts, onProgress } = this.#options;
    const result = await workers.run(job).finally(() => jobs.release());
    if (result.kind !== 'segment') throw new TypeError(`a worker answered ${result.kind} to a segment`);
    counts.bytesProcessed += result.readBytes;
    counts.bytesAdded += result.bytesAdded;
    counts.dataBlobs += result.dataBlobs;
    onProgress();
    return result;
  }
}

/** A message between threads turns Buffers into bare Uint8Arrays. */
function asBuffers(attributes: EntryAttributes): EntryAttributes {
  const { name, extendedAttributes } = attributes;
  return {
    ...attributes,
    name: Buffer.from(name),
    extendedAttributes: extendedAttributes.map((attribute) => ({ ...attribute, value: Buffer.from(attribute.value) })),
  };
}

/** Marks a promise that is awaited later as one whose rejection is seen. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
