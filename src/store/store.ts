/**
 * Where the bytes of a repository rest. A store knows files by type and name, nothing of their content.
 * Every implementation and wrapper passes test/contract/store-contract.ts.
 */

/** The six kinds of files of a restic repository (format v2, "Objects and names"). `config` has one file, named "config". */
export type FileType = 'config' | 'keys' | 'snapshots' | 'index' | 'locks' | 'data';

export interface StoredFile {
  /** 64 lower-case hex digits; "config" for the config. */
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was written, by the store's own clock; object stores may cut it to the second, in one call and not in another. */
  readonly modifiedMs: number;
}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export interface Store {
  /** The repository address as the user gave it, without credentials. */
  readonly url: string;

  /** How many puts at the same time are worth their memory: few on a disk, more where each waits for a network. */
  readonly uploadsAtOnce: number;

  /** Whether a listing is sure to have all that was written before it began, by whomever. */
  readonly listsAtOnce: boolean;

  /**
   * Writes a whole file, atomically: it is either there with all its bytes and durable, or not there.
   * Never overwrites: a file of that name with the same size counts as written (its name is its hash);
   * with another size it is FILE_DAMAGED; for `config`, an existing file is REPOSITORY_EXISTS.
   * A config or key makes the place (folder, bucket) where it is missing; anything else is STORE_MISSING then.
   * `sha256` is the hex hash of `bytes` where the caller knows it; the store has it verified end to end where it can.
   * `bytes` may be backed by a SharedArrayBuffer and is not touched after the promise settles.
   */
  put(type: FileType, name: string, bytes: Uint8Array, sha256?: string): Promise<void>;

  /** Reads a file or a range of it. The result has exactly the length that was asked for. Missing: FILE_NOT_FOUND; too short: FILE_DAMAGED. */
  get(type: FileType, name: string, range?: Range): Promise<Buffer>;

  /** undefined where there is no such file. */
  stat(type: FileType, name: string): Promise<StoredFile | undefined>;

  /** All files of the type, in any order. Names that are not 64 hex digits are left out. An empty store lists nothing. */
  list(type: FileType): AsyncIterable<StoredFile>;

  /** Deletes a file. A file that is not there is not an error. */
  remove(type: FileType, name: string): Promise<void>;

  /**
   * Writes another config in place of the one that is there, the only file that is ever written over. At every moment
   * the old one or the new one is there, whole. Without a config: FILE_NOT_FOUND.
   */
  replaceConfig(bytes: Uint8Array): Promise<void>;

  /**
   * What writers that were killed left half written: no reader takes it for a file of the repository. Counts, and with
   * `remove` removes, what is older than that. Absent where a killed writer leaves nothing.
   */
  sweepLeftovers?(options: { readonly olderThanMs: number; readonly remove: boolean }): Promise<Leftovers>;

  close(): Promise<void>;
}

export interface Leftovers {
  readonly files: number;
  readonly bytes: number;
}
