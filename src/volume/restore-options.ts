/** What a restore is asked to do, and what it says it did. */
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { OverwriteMode } from './restore-existing.ts';
import type { SelectionRules } from './restore-selection.ts';
import type { AttributeWarning } from './write-attributes.ts';

export interface RestoreSource {
  readonly snapshot: Pick<StoredSnapshot, 'id' | 'tree'>;
  /** A folder of the snapshot, as `/ns/claim/volume`: its content goes directly into the target, its attributes onto it. */
  readonly subfolder?: string;
  /** Default: everything. Paths begin at the folder that is restored. */
  readonly select?: SelectionRules;
}

export interface RestoreOptions extends RestoreSource {
  /** New or empty (lost+found does not count), or with what a restore of the same backup left that was killed. */
  readonly target: string;
  /** Restore into a folder that has content, and how to treat what is there. Default: refuse that. */
  readonly overwrite?: OverwriteMode;
  /** Also delete what is selected and not in the backup, once everything else is done without an error. Default false. */
  readonly delete?: boolean;
  /** Read everything back from the disk in the end, and compare it with the backup. Default false. */
  readonly verify?: boolean;
  /**
   * Wait until all is on disk: an error of the disk is then one of the restore. For a file system of its own, such as a volume;
   * elsewhere it waits for what others write, too. Default false.
   */
  readonly durable?: boolean;
  readonly workers?: number;
  /** The variables with the credentials of the store; without them the threads use what the process has. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onProgress?: (progress: RestoreProgress) => void;
  readonly signal?: AbortSignal;
}

export interface RestoreProgress {
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
}

export interface RestoreProblem {
  /** For people: not UTF-8 is replaced. */
  readonly path: string;
  readonly message: string;
}

export interface RestoreSummary {
  /** Regular files that are completely restored, hard links and unchanged ones among them. */
  readonly files: number;
  /** Of them, those whose content was there already. */
  readonly filesUnchanged: number;
  readonly folders: number;
  /** Symbolic links, FIFOs and devices. */
  readonly others: number;
  /** Sockets, which nothing can restore. */
  readonly skipped: number;
  /** Files, links and special files that stay as they are, by the mode of overwriting. */
  readonly leftAlone: number;
  /** Entries that were not in the backup. */
  readonly deleted: number;
  /** Content of files; a hard link has none of its own. */
  readonly bytes: number;
  /** Of them, those that were there already. */
  readonly bytesUnchanged: number;
  /** Read from packs for it, with what lies between the pieces. Trees and indexes do not count. */
  readonly bytesFetched: number;
  /** Not empty: the restore is incomplete. A file with damaged parts has zeros in their place, and not its time. */
  readonly errors: readonly RestoreProblem[];
  /** What the target could not hold, such as owners without the right to set them. */
  readonly warnings: readonly AttributeWarning[];
  readonly durationMs: number;
}
