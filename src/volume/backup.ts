/** Backs up one folder as one snapshot: index and parent, walk, packs, index files, and the snapshot last of all. */
import { statSync } from 'node:fs';
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import type { Snapshot, StoredSnapshot } from '../repository/format/snapshot.ts';
import { formatTime, parseTime } from '../repository/format/time.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import { PackUploader } from '../repository/pack-uploader.ts';
import type { Repository } from '../repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../repository/snapshots.ts';
import type { EntryProblem } from './backup-jobs.ts';
import { type Place, storeSource } from './backup-place.ts';
import { FolderWalk } from './backup-walk.ts';
import { BackupWorkers } from './backup-workers.ts';
import { type ExcludeRules, type Exclusion, makeExclusion } from './exclude.ts';

export interface BackupOptions {
  /** An existing directory, or a symbolic link to one. */
  readonly source: string;
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /** What is left out; patterns are matched from the root of the first of `paths`. */
  readonly exclude?: ExcludeRules;
  readonly username?: string;
  /** When the data was cut, in milliseconds since 1970 (fractions are dropped); the time of the snapshot. Default now. */
  readonly timeMs?: number;
  /** Default: the content becomes the root of the tree. */
  readonly place?: Place;
  /** What to compare with: a snapshot id, null for nothing, default the newest of the same host and paths. */
  readonly parentId?: string | null;
  /** Whether a complete backup says so in a tag; an incomplete one always does. */
  readonly tagComplete?: boolean;
  readonly workers?: number;
  readonly packSizeBytes?: number;
  readonly onProgress?: (progress: BackupProgress) => void;
  readonly signal?: AbortSignal;
  /** Called when all is stored, before the snapshot is: throws when the lock was lost, since then packs may be, too. */
  readonly confirmLock?: () => Promise<void>;
  readonly clock?: Clock;
}

export interface BackupProgress {
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
}

export interface BackupSummary {
  readonly backupId: string;
  readonly treeId: string;
  readonly parentId: string | undefined;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  readonly dirsNew: number;
  readonly dirsChanged: number;
  readonly dirsUnmodified: number;
  /** Files that were gone when it was their turn; a live folder loses files all the time. */
  readonly filesVanished: number;
  readonly filesChangedWhileRead: number;
  readonly bytesProcessed: number;
  /** New content, before compression. */
  readonly bytesAdded: number;
  /** What the repository grew by. */
  readonly bytesStored: number;
  /** Not empty: the backup is incomplete. */
  readonly errors: readonly EntryProblem[];
  readonly durationMs: number;
}

const defaultPackSizeBytes = 16 << 20;
/** Files changed this shortly before the parent was cut may have changed again within the same tick of their clock. */
const settleNs = 2_000_000_000n;
const programVersion = `holdfast ${version}`;

/**
 * Stores the folder. The caller holds a lock on the repository and passes its signal on. Files that cannot be read
 * are in `errors`, everything else throws: USAGE (exclusions), SOURCE_UNREADABLE, INTERRUPTED, INDEX_FULL, and what the store throws.
 * After a throw no snapshot exists; packs that were stored are indexed, so that the next run need not store them again.
 */
export async function backupFolder(repository: Repository, options: BackupOptions): Promise<BackupSummary> {
  const clock = options.clock ?? systemClock;
  const startMs = clock.nowMs();
  if (repository.version !== 2) {
    throw new HoldfastError('REPOSITORY_UNSUPPORTED', {
      url: repository.url,
      reason: 'its format has version 1, which is only read',
    });
  }
  requireFolder(options.source);
  const { exclude, source, paths } = options;
  const exclusion = exclude && makeExclusion(exclude, source, paths[0] ?? source);
  const parent = await chooseParent(repository, options);
  const index = await loadIndex(repository, 'write');
  const uploader = new PackUploader(repository, clock);
  const workers = new BackupWorkers({
    repository,
    index: index.blobs,
    uploader,
    packSizeBytes: options.packSizeBytes ?? defaultPackSizeBytes,
    workers: options.workers,
  });
  const interrupt = () => workers.fail(interruptionOf(options.signal));
  options.signal?.addEventListener('abort', interrupt, { once: true });
  if (options.signal?.aborted) interrupt();
  try {
    const walk = startWalk(repository, { ...options, exclusion }, parent, index, workers);
    const treeId = await storeSource(walk, new BlobReader(repository, index), {
      path: options.source,
      place: options.place,
      timeNs: nsOf(options.timeMs ?? startMs),
      parentTree: parent?.tree,
    });
    await workers.flush();
    await uploader.finish();
    await options.confirmLock?.();
    const endMs = clock.nowMs();
    const facts = { walk, treeId, parentId: parent?.id, storedBytes: uploader.storedBytes, startMs, endMs };
    const backupId = await saveSnapshot(repository, describe(options, facts));
    return summarize(backupId, facts);
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

function nsOf(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}

function requireFolder(source: string): void {
  try {
    if (!statSync(source).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path: source, reason: messageOf(error) }, { cause: error });
  }
}

async function chooseParent(repository: Repository, options: BackupOptions): Promise<StoredSnapshot | undefined> {
  if (options.parentId === null) return undefined;
  const snapshots = await listSnapshots(repository);
  if (options.parentId !== undefined) {
    const found = snapshots.find((snapshot) => snapshot.id === options.parentId);
    if (!found) throw new HoldfastError('BACKUP_NOT_FOUND', { name: options.parentId });
    return found;
  }
  const paths = options.paths.join('\0');
  return snapshots.findLast((snapshot) => snapshot.hostname === options.host && snapshot.paths.join('\0') === paths);
}

function startWalk(
  repository: Repository,
  options: BackupOptions & { readonly exclusion: Exclusion | undefined },
  parent: StoredSnapshot | undefined,
  index: LoadedIndex,
  workers: BackupWorkers,
): FolderWalk {
  const walk: FolderWalk = new FolderWalk({
    workers,
    index: index.blobs,
    reader: new BlobReader(repository, index),
    segmented: repository.config.holdfast_chunker === 'gear-v1',
    rereadFromNs: ((parent && parseTime(parent.time)) ?? 0n) - settleNs,
    exclusion: options.exclusion,
    onProgress: () => options.onProgress?.(progressOf(walk)),
  });
  return walk;
}

function progressOf(walk: FolderWalk): BackupProgress {
  const { filesNew, filesChanged, filesUnmodified, bytesProcessed } = walk.counts;
  return { files: filesNew + filesChanged + filesUnmodified, bytes: bytesProcessed, errors: walk.problems.length };
}

interface Facts {
  readonly walk: FolderWalk;
  readonly treeId: string;
  readonly parentId: string | undefined;
  readonly storedBytes: number;
  readonly startMs: number;
  readonly endMs: number;
}

function describe(options: BackupOptions, { walk, treeId, parentId, storedBytes, startMs, endMs }: Facts): Snapshot {
  const { counts, folders } = walk;
  const state = walk.problems.length > 0 ? ['state=incomplete'] : options.tagComplete ? ['state=complete'] : [];
  return {
    time: formatTime(nsOf(options.timeMs ?? startMs)),
    ...(parentId === undefined ? {} : { parent: parentId }),
    tree: treeId,
    paths: options.paths,
    hostname: options.host,
    ...(options.username === undefined ? {} : { username: options.username }),
    excludes: [...(options.exclude?.patterns ?? []), ...(options.exclude?.patternsIgnoringCase ?? [])],
    tags: [...options.tags, ...state],
    program_version: programVersion,
    summary: {
      backup_start: formatTime(nsOf(startMs)),
      backup_end: formatTime(nsOf(endMs)),
      files_new: counts.filesNew,
      files_changed: counts.filesChanged,
      files_unmodified: counts.filesUnmodified,
      dirs_new: folders.new,
      dirs_changed: folders.changed,
      dirs_unmodified: folders.unmodified,
      data_blobs: counts.dataBlobs,
      tree_blobs: walk.treeBlobs,
      data_added: counts.bytesAdded,
      data_added_packed: storedBytes,
      total_files_processed: counts.filesNew + counts.filesChanged + counts.filesUnmodified,
      total_bytes_processed: counts.bytesProcessed,
    },
  };
}

function summarize(backupId: string, { walk, treeId, parentId, storedBytes, startMs, endMs }: Facts): BackupSummary {
  const { counts, folders } = walk;
  return {
    backupId,
    treeId,
    parentId,
    filesNew: counts.filesNew,
    filesChanged: counts.filesChanged,
    filesUnmodified: counts.filesUnmodified,
    dirsNew: folders.new,
    dirsChanged: folders.changed,
    dirsUnmodified: folders.unmodified,
    filesVanished: counts.vanished,
    filesChangedWhileRead: counts.changedWhileRead,
    bytesProcessed: counts.bytesProcessed,
    bytesAdded: counts.bytesAdded,
    bytesStored: storedBytes,
    errors: walk.problems,
    durationMs: endMs - startMs,
  };
}
