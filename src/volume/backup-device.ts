/**
 * Backs up a block device as one file, `volume/volume.img`, read by all workers in segments. Long runs of zeros become one
 * and the same chunk, so that what was never written costs next to nothing.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Semaphore } from '../base/concurrency.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { segmentBytes } from '../repository/chunker/chunker.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';
import { encodeNodeHead } from '../repository/format/tree.ts';
import { madeUp } from '../repository/made-up-node.ts';
import type { Repository } from '../repository/repository.ts';
import type { SegmentJob, SegmentResult } from './backup-jobs.ts';
import { type Place, storeMadeUpPlace } from './backup-place.ts';
import { type RunOptions, type RunTools, runBackup } from './backup-run.ts';
import { type BackupSummary, progressOf } from './backup-summary.ts';
import { JobFailure } from './backup-workers.ts';
import { sizeOfDevice } from './device-size.ts';

/** The image's name in the folder `volume` of a backup. */
export const imageName = 'volume.img';
const jobsAheadPerWorker = 6;
/** Whoever restores it with restic gets a file that others cannot read, as the device was none of theirs. */
const imageMode = 0o600;

export interface DeviceOptions extends RunOptions {
  /** A block device; a file is taken as one too. */
  readonly device: string;
  readonly place: Place;
}

/** Throws SOURCE_UNREADABLE, since half an image is none, and what runBackup throws. */
export function backupDevice(repository: Repository, options: DeviceOptions): Promise<BackupSummary> {
  const { device, place } = options;
  const segmented = repository.config.holdfast_chunker === 'gear-v1';
  return runBackup(repository, options, {
    parent: undefined,
    store: async (tools) => {
      const tree = await storeImage(tools, device, segmented, () => options.onProgress?.(progressOf(tools.walk)));
      return storeMadeUpPlace(tools.walk, place, tree, tools.timeNs);
    },
  });
}

/** The id of a tree with the image alone. */
async function storeImage(tools: RunTools, path: string, segmented: boolean, report: () => void): Promise<string> {
  const { sizeBytes, inode } = openDevice(path);
  const results = await readSegments(
    tools,
    { path, inode, sizeBytes, step: segmented ? segmentBytes : sizeBytes },
    report,
  );
  const readBytes = results.reduce((sum, result) => sum + result.readBytes, 0);
  if (readBytes !== sizeBytes) throw unreadable(path, `only ${readBytes} of its ${sizeBytes} bytes could be read`);
  tools.walk.counts.filesNew++;
  report();
  const head = encodeNodeHead({
    ...madeUp(imageName, tools.timeNs),
    ...{ type: 'file', mode: imageMode, sizeBytes, links: 1 },
  });
  const content = new ContentRuns();
  for (const { runs } of results) content.append(runs);
  return tools.walk.storeTree([Buffer.from(`${head}[`), content, Buffer.from(']},')]);
}

interface Image {
  readonly path: string;
  readonly inode: bigint;
  readonly sizeBytes: number;
  /** Length of a segment. */
  readonly step: number;
}

async function readSegments({ workers, walk }: RunTools, image: Image, report: () => void): Promise<SegmentResult[]> {
  const { path, inode, sizeBytes, step } = image;
  const jobs = new Semaphore(workers.count * jobsAheadPerWorker);
  const read = async (job: SegmentJob): Promise<SegmentResult> => {
    const result = await workers.run(job);
    if (result.kind !== 'segment') throw new TypeError(`a worker answered ${result.kind} to a segment`);
    walk.counts.bytesProcessed += result.readBytes;
    walk.counts.bytesAdded += result.bytesAdded;
    walk.counts.dataBlobs += result.dataBlobs;
    report();
    return result;
  };
  const segments: Promise<SegmentResult>[] = [];
  try {
    for (let offset = 0; offset < sizeBytes; offset += step) {
      await jobs.acquire();
      const lengthBytes = Math.min(step, sizeBytes - offset);
      const segment = read({ kind: 'segment', path, inode, offset, lengthBytes, isSparse: false }).finally(() =>
        jobs.release(),
      );
      // Awaited below, when all are under way.
      segment.catch(() => undefined);
      segments.push(segment);
    }
    return await Promise.all(segments);
  } catch (error) {
    throw error instanceof JobFailure ? unreadable(path, error.message, error) : error;
  }
}

function openDevice(path: string): { readonly sizeBytes: number; readonly inode: bigint } {
  try {
    const file = openSync(path, constants.O_RDONLY);
    try {
      const stat = fstatSync(file, { bigint: true });
      if (!stat.isBlockDevice() && !stat.isFile()) throw new Error('it is no block device');
      return { sizeBytes: sizeOfDevice(file), inode: stat.ino };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw unreadable(path, messageOf(error), error);
  }
}

function unreadable(path: string, reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError('SOURCE_UNREADABLE', { path, reason }, { cause });
}
