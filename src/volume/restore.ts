/** Restores a snapshot, or a folder of it, into a folder: walk, plan, write; then links, and the attributes of folders last. */
import { closeSync, openSync } from 'node:fs';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { syncFileSystem } from './libc.ts';
import type { JobResult } from './restore-job.ts';
import { RestorePlan } from './restore-plan.ts';
import { SplitFiles } from './restore-split.ts';
import { isTargetLost, type PreparedTarget, prepareTarget } from './restore-target.ts';
import { RestoreWalk, type WalkCounts } from './restore-walk.ts';
import { RestoreWorkers } from './restore-workers.ts';
import { type AttributeWarning, AttributeWriter } from './write-attributes.ts';

export interface RestoreOptions {
  readonly snapshot: Pick<StoredSnapshot, 'id' | 'tree'>;
  /** A folder of the snapshot, as `/ns/claim/volume`: its content goes directly into the target, its attributes onto it. */
  readonly subfolder?: string;
  /** A new or empty folder (lost+found does not count). */
  readonly target: string;
  /** Restore into a folder that has content: entries of the same name are replaced, others stay. Default false. */
  readonly overwrite?: boolean;
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
  /** Regular files that are completely restored, hard links among them. */
  readonly files: number;
  readonly folders: number;
  /** Symbolic links, FIFOs and devices. */
  readonly others: number;
  /** Sockets, which nothing can restore. */
  readonly skipped: number;
  /** Content of files; a hard link has none of its own. */
  readonly bytes: number;
  /** Not empty: the restore is incomplete. A file with damaged parts has zeros in their place. */
  readonly errors: readonly RestoreProblem[];
  /** What the target could not hold, such as owners without the right to set them. */
  readonly warnings: readonly AttributeWarning[];
  readonly durationMs: number;
}

/**
 * The caller holds a lock on the repository. Entries that fail are in `errors`, the rest goes on. Throws FOLDER_NOT_IN_BACKUP,
 * RESTORE_TARGET_UNUSABLE (also when it becomes full), INTERRUPTED, and what the store throws when it is out of reach.
 */
export async function restoreFolder(repository: Repository, options: RestoreOptions): Promise<RestoreSummary> {
  const startMs = performance.now();
  const index = await loadIndex(repository, 'read');
  const reader = new BlobReader(repository, index);
  const source = await findFolder(reader, options);
  const target = prepareTarget(options.target, { mayHaveContent: options.overwrite ?? false });
  const run = new RestoreRun(repository, index, reader, target, options);
  const interrupt = () => run.interrupt();
  options.signal?.addEventListener('abort', interrupt, { once: true });
  if (options.signal?.aborted) interrupt();
  try {
    await run.restore(source);
    return { ...run.summary(), durationMs: Math.round(performance.now() - startMs) };
  } catch (error) {
    if (!isTargetLost(error)) throw error;
    const context = { target: options.target, reason: messageOf(error) };
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', context, { cause: error });
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    await run.close();
  }
}

interface SourceFolder {
  readonly treeId: string;
  /** undefined for the root of the snapshot. */
  readonly node: TreeNode | undefined;
}

async function findFolder(reader: BlobReader, { snapshot, subfolder = '' }: RestoreOptions): Promise<SourceFolder> {
  let folder: SourceFolder = { treeId: snapshot.tree, node: undefined };
  for (const name of subfolder.split('/').filter((part) => part !== '' && part !== '.')) {
    const bytes = Buffer.from(name);
    const node = (await reader.loadTree(folder.treeId)).find((entry) => entry.name.equals(bytes));
    if (node?.subtree === undefined) {
      throw new HoldfastError('FOLDER_NOT_IN_BACKUP', { backup: snapshot.id.slice(0, 8), folder: subfolder });
    }
    folder = { treeId: node.subtree, node };
  }
  return folder;
}

/** The state of one restore. */
class RestoreRun {
  readonly #options: RestoreOptions;
  readonly #target: Buffer;
  readonly #attributes: AttributeWriter;
  readonly #splits: SplitFiles;
  readonly #workers: RestoreWorkers;
  readonly #plan: RestorePlan;
  readonly #walk: RestoreWalk;
  /** By path as latin1: an entry counts once, with the first reason. */
  readonly #errors = new Map<string, RestoreProblem>();
  #filesWritten = 0;
  #bytes = 0;
  #warnings: readonly AttributeWarning[] = [];

  constructor(
    repository: Repository,
    index: LoadedIndex,
    reader: BlobReader,
    target: PreparedTarget,
    options: RestoreOptions,
  ) {
    const replace = options.overwrite ?? false;
    const { conditions } = target;
    this.#options = options;
    this.#target = Buffer.from(target.path);
    this.#attributes = new AttributeWriter(conditions);
    this.#splits = new SplitFiles(this.#attributes, replace, (path, error) => this.#splitFinished(path, error));
    this.#workers = new RestoreWorkers({
      url: repository.url,
      env: options.env,
      key: repository.key,
      conditions,
      replace,
      target: options.target,
      workers: options.workers,
      onResult: (result) => this.#jobDone(result),
    });
    this.#plan = new RestorePlan({ index, splits: this.#splits, submit: (job) => this.#workers.submit(job) });
    this.#walk = new RestoreWalk({
      loadTree: (id) => reader.loadTree(id),
      addFile: (folder, node) => this.#plan.addFile(folder, node),
      attributes: this.#attributes,
      replace,
      onError: (path, message) => this.#failed(path, message),
      throwIfEnded: () => this.#workers.throwIfFailed(),
    });
  }

  async restore({ treeId, node }: SourceFolder): Promise<void> {
    await this.#walk.run(treeId, this.#target, node);
    await this.#plan.finish();
    this.#warnings = await this.#workers.finish();
    if (this.#splits.openCount > 0) throw new Error(`${this.#splits.openCount} files were never finished`);
    await this.#finish();
    this.#verifyCounts(this.#walk.counts);
  }

  async #finish(): Promise<void> {
    // Opened before it gets its final mode, with which we might not be allowed to.
    const fd = openSync(this.#target, 'r');
    try {
      this.#walk.finish();
      if (this.#options.durable) await syncFileSystem(fd);
    } finally {
      closeSync(fd);
    }
  }

  summary(): Omit<RestoreSummary, 'durationMs'> {
    const { folders, others, skipped, hardLinks } = this.#walk.counts;
    return {
      files: this.#filesWritten + hardLinks,
      folders,
      others,
      skipped,
      bytes: this.#bytes,
      errors: [...this.#errors.values()],
      warnings: mergeWarnings([...this.#attributes.warnings, ...this.#warnings]),
    };
  }

  interrupt(): void {
    const signal = String(this.#options.signal?.reason ?? 'a signal');
    this.#workers.fail(new HoldfastError('INTERRUPTED', { signal }));
  }

  close(): Promise<void> {
    return this.#workers.close();
  }

  #jobDone({ filesDone, bytesWritten, splitNumbers, failures }: JobResult): void {
    this.#filesWritten += filesDone;
    this.#bytes += bytesWritten;
    for (const { path, message } of failures) this.#failed(Buffer.from(path), message);
    try {
      for (const number of splitNumbers) this.#splits.jobDone(number);
    } catch (error) {
      this.#workers.fail(error);
    }
    this.#progress();
  }

  #splitFinished(path: Buffer, error: unknown): void {
    if (isTargetLost(error)) throw error;
    if (error !== undefined) this.#failed(path, messageOf(error));
    else if (!this.#errors.has(path.toString('latin1'))) this.#filesWritten += 1;
  }

  #failed(path: Buffer, message: string): void {
    const key = path.toString('latin1');
    if (!this.#errors.has(key)) this.#errors.set(key, { path: path.toString(), message });
    this.#progress();
  }

  /** Every file of the trees is written or has an error; anything else is our mistake, and must not look like success. */
  #verifyCounts({ files, hardLinks }: WalkCounts): void {
    const accounted = this.#filesWritten + hardLinks;
    if (accounted > files || accounted + this.#errors.size < files) {
      throw new Error(`of ${files} files ${accounted} were restored and ${this.#errors.size} failed`);
    }
  }

  #progress(): void {
    this.#options.onProgress?.({ files: this.#filesWritten, bytes: this.#bytes, errors: this.#errors.size });
  }
}

/** The threads find the same things independently. */
function mergeWarnings(warnings: readonly AttributeWarning[]): AttributeWarning[] {
  const merged = new Map<string, AttributeWarning>();
  for (const warning of warnings) {
    const known = merged.get(warning.message);
    if (known) known.count += warning.count;
    else merged.set(warning.message, { ...warning });
  }
  return [...merged.values()];
}
