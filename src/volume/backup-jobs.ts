/** What the main thread and the workers of a backup say to each other. Paths and names are bytes, kept as latin1 in strings. */
import type { BlobType, SharedBlobIndex } from '../repository/blob-index.ts';
import type { Compression } from '../repository/compression.ts';
import type { FinishedPack, PackSlot } from '../repository/packer.ts';
import type { WrittenSegment } from './chunk-writer.ts';
import type { EntryAttributes } from './read-attributes.ts';

/** The first message to a thread. */
export interface BackupWorkerSetup {
  readonly kind: 'setup';
  readonly key: { readonly encrypt: Uint8Array; readonly macK: Uint8Array; readonly macR: Uint8Array };
  /** What the main thread has found to work. */
  readonly codec: 'native' | 'plain';
  readonly chunker: { readonly kind: 'gear-v1' | 'rabin'; readonly polynomial: bigint };
  readonly index: SharedBlobIndex;
  readonly packSizeBytes: number;
  /** What each kind of blob gets. */
  readonly compression: Readonly<Record<BlobType, Compression>>;
  /** Whether what was compressed is decompressed again and compared. */
  readonly verify: boolean;
  readonly dataSlots: readonly PackSlot[];
  readonly treeSlots: readonly PackSlot[];
  /** One word: 1 once the run has failed or ended, and what is left to do is to be dropped. */
  readonly stop: SharedArrayBuffer;
}

/** Entries of one folder, in tree order; the answer holds their encoded nodes. */
export interface EntriesJob {
  readonly kind: 'entries';
  readonly folder: string;
  /** With `/` between them: one long string passes between threads much faster than many short ones. */
  readonly names: string;
  /** The part of the parent tree in which these names are to be looked for; in memory of its own, which goes along. */
  readonly parent: Uint8Array<ArrayBuffer> | undefined;
  /** Entries changed at or after this time are read again even if they look unchanged. */
  readonly rereadFromNs: bigint;
  readonly change: ChangeRules;
}

/** What makes a file count as changed, beside its size and its time. Not to be relied on where files are copied about. */
export interface ChangeRules {
  readonly ignoreInode: boolean;
  readonly ignoreCtime: boolean;
}

/** A part of a large file: the whole of it, or one segment that is cut into chunks on its own. */
export interface SegmentJob {
  readonly kind: 'segment';
  readonly path: string;
  readonly inode: bigint;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly isSparse: boolean;
}

/** A blob made by the main thread (a tree, a recipe) that it has claimed in the index already. */
export interface BlobJob {
  readonly kind: 'blob';
  readonly type: 'data' | 'tree';
  readonly id: string;
  readonly bytes: Uint8Array;
  /** Where `bytes` are a zstd frame already: how much it holds. Default 0, they are not. */
  readonly uncompressedLength?: number;
}

/** Finish the open packs. */
export interface FlushJob {
  readonly kind: 'flush';
}

export type BackupJob = EntriesJob | SegmentJob | BlobJob | FlushJob;

/** A place in the encoded nodes that the main thread fills. */
export interface Hole {
  readonly kind: 'folder' | 'file';
  /** Where it is: for a folder 64 bytes wait for the id of its tree, for a file its whole node is missing here. */
  readonly at: number;
  /** latin1 */
  readonly name: string;
  /** Of a file only: everything but its content. */
  readonly attributes?: EntryAttributes;
  /** Of a file only: whether the parent had it. */
  readonly known?: boolean;
  /** Of a file only: it takes less on the disk than it holds. */
  readonly isSparse?: boolean;
}

export interface EntryProblem {
  /** For people: not UTF-8 is replaced. */
  readonly path: string;
  readonly message: string;
}

export interface EntryCounts {
  filesNew: number;
  filesChanged: number;
  filesUnmodified: number;
  /** Files that were there when the folder was listed and gone when it was their turn. */
  vanished: number;
  /** Files that changed while they were read. */
  changedWhileRead: number;
  bytesProcessed: number;
  bytesAdded: number;
  dataBlobs: number;
}

export interface EntriesResult {
  readonly kind: 'entries';
  /** Nodes as JSON, each followed by a comma. */
  readonly nodes: Uint8Array;
  /** Instead of nodes: they are these bytes of the job's part of the parent tree, without a comma at the end. */
  readonly unchanged: { readonly start: number; readonly end: number } | undefined;
  readonly holes: readonly Hole[];
  readonly counts: EntryCounts;
  readonly problems: readonly EntryProblem[];
}

export interface SegmentResult extends WrittenSegment {
  readonly kind: 'segment';
  readonly changedWhileRead: boolean;
}

export interface DoneResult {
  readonly kind: 'done';
}

export type BackupResult = EntriesResult | SegmentResult | DoneResult;

/** A problem with one path that does not end the run, thrown inside a job. */
export interface FailedResult {
  readonly kind: 'failed';
  readonly message: string;
  /** Code of the system (ENOENT, EIO …) or of Holdfast (INDEX_FULL). */
  readonly code: string | undefined;
}

export type FromBackupWorker =
  | { readonly type: 'result'; readonly result: BackupResult | FailedResult }
  | {
      readonly type: 'pack';
      readonly pack: FinishedPack;
      readonly blobType: 'data' | 'tree';
      readonly oversized: SharedArrayBuffer | undefined;
    };

export function noCounts(): EntryCounts {
  return {
    filesNew: 0,
    filesChanged: 0,
    filesUnmodified: 0,
    vanished: 0,
    changedWhileRead: 0,
    bytesProcessed: 0,
    bytesAdded: 0,
    dataBlobs: 0,
  };
}

export function addCounts(sum: EntryCounts, counts: EntryCounts): void {
  for (const key of Object.keys(sum) as (keyof EntryCounts)[]) sum[key] += counts[key];
}
