/** What a backup says of itself: to who watches it, in its snapshot, and to who started it. */
import { version } from '../base/version.ts';
import type { Snapshot, StoredSnapshot } from '../repository/format/snapshot.ts';
import { formatTime } from '../repository/format/time.ts';
import type { EntryProblem } from './backup-jobs.ts';
import type { FolderWalk } from './backup-walk.ts';

export interface BackupProgress {
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
}

export interface BackupSummary {
  /** The snapshot that holds this state: a new one, or the parent where nothing differed and that was to be skipped. */
  readonly backupId: string;
  /** True where no snapshot was made because its tree would have been the parent's. */
  readonly isSkipped: boolean;
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

/** What the caller says of the backup, and nobody measures. */
export interface SnapshotLabels {
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly username?: string;
  /** Patterns of what was left out. */
  readonly excludes?: readonly string[];
  /** Whether a complete backup says so in a tag; an incomplete one always does. */
  readonly tagComplete?: boolean;
}

export interface BackupFacts {
  readonly walk: FolderWalk;
  readonly treeId: string;
  readonly parent: StoredSnapshot | undefined;
  readonly storedBytes: number;
  /** Time of the snapshot. */
  readonly timeNs: bigint;
  readonly startMs: number;
  readonly endMs: number;
}

export const incompleteTag = 'state=incomplete';
const programVersion = `holdfast ${version}`;

export function nsOf(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n;
}

export function progressOf({ counts, problems }: FolderWalk): BackupProgress {
  const { filesNew, filesChanged, filesUnmodified, bytesProcessed } = counts;
  return { files: filesNew + filesChanged + filesUnmodified, bytes: bytesProcessed, errors: problems.length };
}

export function describeSnapshot(labels: SnapshotLabels, facts: BackupFacts): Snapshot {
  const { walk, treeId, parent, storedBytes, timeNs, startMs, endMs } = facts;
  const { counts, folders } = walk;
  const state = walk.problems.length > 0 ? [incompleteTag] : labels.tagComplete ? ['state=complete'] : [];
  return {
    time: formatTime(timeNs),
    ...(parent === undefined ? {} : { parent: parent.id }),
    tree: treeId,
    paths: labels.paths,
    hostname: labels.host,
    ...(labels.username === undefined ? {} : { username: labels.username }),
    excludes: labels.excludes ?? [],
    tags: [...labels.tags, ...state],
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

export function summarize(backupId: string, isSkipped: boolean, facts: BackupFacts): BackupSummary {
  const { walk, treeId, parent, storedBytes, startMs, endMs } = facts;
  const { counts, folders } = walk;
  return {
    backupId,
    isSkipped,
    treeId,
    parentId: parent?.id,
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
