/** The frame of every backup: index, threads and uploads around what is stored, then the snapshot, last of all. */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import type { Compression } from '../repository/compression.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { parseTime } from '../repository/format/time.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import { PackUploader } from '../repository/pack-uploader.ts';
import type { Repository } from '../repository/repository.ts';
import { saveSnapshot } from '../repository/snapshots.ts';
import type { ChangeRules } from './backup-jobs.ts';
import {
  type BackupFacts,
  type BackupProgress,
  type BackupSummary,
  describeSnapshot,
  incompleteTag,
  nsOf,
  progressOf,
  type SnapshotLabels,
  summarize,
} from './backup-summary.ts';
import { BackupThreads } from './backup-thread.ts';
import { FolderWalk } from './backup-walk.ts';
import { BackupWorkers } from './backup-workers.ts';
import type { Exclusion } from './exclude.ts';

/** What every kind of backup takes. */
export interface RunOptions extends SnapshotLabels {
  /** When the data was cut, in milliseconds since 1970 (fractions are dropped); the time of the snapshot. Default now. */
  readonly timeMs?: number;
  readonly workers?: number;
  /** Some may have been started already; none are left when the backup ends. */
  readonly threads?: BackupThreads;
  /** 4 to 128 MiB. Default 16. */
  readonly packSizeBytes?: number;
  /** Default auto. */
  readonly compression?: Compression;
  /** Decompress what was compressed and compare, before it is stored. Default true. */
  readonly verify?: boolean;
  readonly onProgress?: (progress: BackupProgress) => void;
  readonly signal?: AbortSignal;
  /** Called when all is stored, before the snapshot is: throws when the lock was lost, since then packs may be, too. */
  readonly confirmLock?: () => Promise<void>;
  readonly clock?: Clock;
}

/** What is backed up. */
export interface RunSource {
  readonly parent: StoredSnapshot | undefined;
  readonly exclusion?: Exclusion | undefined;
  /** Default: all that a file's status tells counts. */
  readonly change?: ChangeRules;
  /** Makes no snapshot where the tree is the parent's. */
  readonly skipIfUnchanged?: boolean;
  /** Stores everything; the id of the root tree. */
  store(tools: RunTools): Promise<string>;
}

export interface RunTools {
  readonly walk: FolderWalk;
  readonly reader: BlobReader;
  readonly index: LoadedIndex;
  readonly workers: BackupWorkers;
  /** Time of the snapshot, for entries that stand on no disk. */
  readonly timeNs: bigint;
}

export const defaultPackSizeBytes = 16 << 20;
const manyFiles = 4096;
/** Files changed this shortly before the parent was cut may have changed again within the same tick of their clock. */
const strictChange: ChangeRules = { ignoreInode: false, ignoreCtime: false };
const settleNs = 2_000_000_000n;

/**
 * Stores the source as a snapshot. The caller holds a lock on the repository and passes its signal on. Throws
 * INTERRUPTED, INDEX_FULL, and what the source and the store throw. After a throw no snapshot exists; packs that were
 * stored are indexed, so that the next run need not store them again.
 */
export async function runBackup(
  repository: Repository,
  options: RunOptions,
  source: RunSource,
): Promise<BackupSummary> {
  const { clock = systemClock, threads = new BackupThreads() } = options;
  const startMs = clock.nowMs();
  try {
    if (hasManyFiles(source.parent) && options.workers !== 1) threads.prepare();
    const index = await loadIndex(repository, 'write');
    return await storeSource(repository, options, source, { index, threads, clock, startMs });
  } finally {
    await threads.close();
  }
}

/** More than one thread will be needed for certain. */
function hasManyFiles(parent: StoredSnapshot | undefined): boolean {
  return (parent?.summary?.total_files_processed ?? 0) > manyFiles;
}

interface Begun {
  readonly index: LoadedIndex;
  readonly threads: BackupThreads;
  readonly clock: Clock;
  readonly startMs: number;
}

async function storeSource(
  repository: Repository,
  options: RunOptions,
  source: RunSource,
  { index, threads, clock, startMs }: Begun,
): Promise<BackupSummary> {
  const { parent } = source;
  const uploader = new PackUploader(repository, clock);
  const workers = new BackupWorkers({
    repository,
    index: index.blobs,
    uploader,
    packSizeBytes: options.packSizeBytes ?? defaultPackSizeBytes,
    workers: options.workers,
    compression: options.compression,
    verify: options.verify,
    threads,
  });
  const interrupt = () => workers.fail(interruptionOf(options.signal));
  options.signal?.addEventListener('abort', interrupt, { once: true });
  if (options.signal?.aborted) interrupt();
  try {
    const reader = new BlobReader(repository, index);
    const timeNs = nsOf(options.timeMs ?? startMs);
    const walk = startWalk(repository, options, source, { reader, index, workers });
    const treeId = await source.store({ walk, reader, index, workers, timeNs });
    await workers.flush();
    await uploader.finish();
    await options.confirmLock?.();
    const { storedBytes } = uploader;
    const facts: BackupFacts = { walk, treeId, parent, storedBytes, timeNs, startMs, endMs: clock.nowMs() };
    if (source.skipIfUnchanged && parent && saysTheSame(parent, facts)) return summarize(parent.id, true, facts);
    const backupId = await saveSnapshot(repository, describeSnapshot(options, facts));
    return summarize(backupId, false, facts);
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    await workers.close();
    await uploader.settle();
  }
}

function interruptionOf(signal: AbortSignal | undefined): HoldfastError {
  const reason: unknown = signal?.reason;
  return isHoldfastError(reason) ? reason : new HoldfastError('INTERRUPTED', { signal: String(reason) });
}

function startWalk(
  repository: Repository,
  { onProgress, verify = true }: RunOptions,
  { parent, exclusion, change = strictChange }: RunSource,
  { reader, index, workers }: Pick<RunTools, 'reader' | 'index' | 'workers'>,
): FolderWalk {
  const walk: FolderWalk = new FolderWalk({
    workers,
    index: index.blobs,
    reader,
    segmented: repository.config.holdfast_chunker === 'gear-v1',
    rereadFromNs: (parent ? readTimeNs(parent) : 0n) - settleNs,
    exclusion,
    change,
    verify,
    canCompress: repository.version === 2,
    onProgress: () => onProgress?.(progressOf(walk)),
  });
  return walk;
}

/** When the files of a backup were read at the earliest: a time that was given for it may lie after that. */
function readTimeNs({ time, summary }: StoredSnapshot): bigint {
  const cutNs = parseTime(time) ?? 0n;
  const startNs = typeof summary?.backup_start === 'string' ? (parseTime(summary.backup_start) ?? cutNs) : cutNs;
  return startNs < cutNs ? startNs : cutNs;
}

/** An incomplete state is not that of a complete backup, even if the tree is the same. */
function saysTheSame(parent: StoredSnapshot, { treeId, walk }: BackupFacts): boolean {
  const parentIncomplete = parent.tags?.includes(incompleteTag) ?? false;
  return parent.tree === treeId && parentIncomplete === walk.problems.length > 0;
}
