/** Restores a snapshot, or a folder of it, into a folder: walk, plan, write; then links, and the attributes of folders last. */
import { closeSync } from 'node:fs';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { syncFileSystem } from './libc.ts';
import { joinShown, OpenFolders, withoutHandles } from './open-folders.ts';
import { FileComparer } from './restore-compare.ts';
import type { JobResult } from './restore-job.ts';
import { EntryMaker } from './restore-maker.ts';
import type { RestoreOptions, RestoreProblem, RestoreSummary } from './restore-options.ts';
import { RestorePlan } from './restore-plan.ts';
import { Selection } from './restore-selection.ts';
import { findFolder, type SourceFolder } from './restore-source.ts';
import { SplitFiles, type SplitOutcome } from './restore-split.ts';
import { isTargetLost, type PreparedTarget, prepareTarget, unmarkTarget } from './restore-target.ts';
import { holeFinder, RestoreVerifier } from './restore-verifier.ts';
import { RestoreWalk, type WalkVisitor } from './restore-walk.ts';
import { RestoreWorkers } from './restore-workers.ts';
import { type AttributeWarning, AttributeWriter } from './write-attributes.ts';

/**
 * The caller holds a lock on the repository. Entries that fail are in `errors`, the rest goes on. Throws FOLDER_NOT_IN_BACKUP,
 * USAGE for patterns, RESTORE_TARGET_UNUSABLE (also when it becomes full), INTERRUPTED, and what the store throws when it is out of reach.
 */
export async function restoreFolder(repository: Repository, options: RestoreOptions): Promise<RestoreSummary> {
  const startMs = performance.now();
  const selection = new Selection(options.select);
  const index = await loadIndex(repository, 'read');
  const reader = new BlobReader(repository, index);
  const source = await findFolder(reader, options);
  // To delete what is not in the backup is to say that the target may have content.
  const overwrite = options.overwrite ?? (options.delete ? 'always' : undefined);
  const target = prepareTarget(options.target, { backupId: options.snapshot.id, overwrite });
  const run = new RestoreRun({ repository, index, reader, target, selection, options });
  const interrupt = () => run.interrupt();
  options.signal?.addEventListener('abort', interrupt, { once: true });
  if (options.signal?.aborted) interrupt();
  try {
    await run.restore(source);
    return { ...run.summary(), durationMs: Math.round(performance.now() - startMs) };
  } catch (error) {
    if (!isTargetLost(error)) throw error;
    const context = { target: options.target, reason: withoutHandles(messageOf(error)) };
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', context, { cause: error });
  } finally {
    options.signal?.removeEventListener('abort', interrupt);
    await run.close();
    closeSync(target.fd);
  }
}

interface RunContext {
  readonly repository: Repository;
  readonly index: LoadedIndex;
  readonly reader: BlobReader;
  readonly target: PreparedTarget;
  readonly selection: Selection;
  readonly options: RestoreOptions;
}

/** The state of one restore. Paths are latin1, below the target. */
class RestoreRun {
  readonly #context: RunContext;
  readonly #folders: OpenFolders;
  readonly #attributes: AttributeWriter;
  readonly #splits: SplitFiles;
  readonly #workers: RestoreWorkers;
  readonly #plan: RestorePlan;
  readonly #maker: EntryMaker;
  /** An entry counts once, with the first reason. */
  readonly #errors = new Map<string, RestoreProblem>();
  #filesWritten = 0;
  #filesUnchanged = 0;
  #bytes = 0;
  #bytesUnchanged = 0;
  #bytesFetched = 0;
  #warnings: readonly AttributeWarning[] = [];

  constructor(context: RunContext) {
    const { repository, index, target, selection, options } = context;
    const { conditions, overwrite, device } = target;
    this.#context = context;
    const folders = new OpenFolders(target.fd);
    const attributes = new AttributeWriter(conditions);
    const show = (path: string) => this.#show(path);
    const onError = (path: string, message: string) => this.#failed(path, message);
    this.#folders = folders;
    this.#attributes = attributes;
    const onFinished = (path: string, outcome: SplitOutcome) => this.#splitFinished(path, outcome);
    this.#splits = new SplitFiles({ folders, attributes, show, onFinished });
    this.#workers = new RestoreWorkers({
      url: repository.url,
      env: options.env,
      key: repository.key,
      conditions,
      targetFd: target.fd,
      target: options.target,
      workers: options.workers,
      onResult: (result) => this.#jobDone(result),
    });
    this.#plan = new RestorePlan({
      index,
      splits: this.#splits,
      onZeros: (lengthBytes) => {
        this.#bytes += lengthBytes;
      },
      submit: (job) => this.#workers.submit(job),
    });
    const comparer = new FileComparer(index);
    this.#maker = new EntryMaker({
      folders,
      attributes,
      overwrite,
      deletes: options.delete && overwrite !== undefined ? { folders, selection, device, onError } : undefined,
      addFile: (folder, node, start) => this.#plan.addFile(folder, node, start),
      holdsContent: (path, node) => comparer.holds(path, node),
      onError,
      show,
    });
  }

  async restore({ treeId, node }: SourceFolder): Promise<void> {
    const { target, options } = this.#context;
    await this.#walk(this.#maker).run(treeId, node);
    await this.#plan.finish();
    await this.#workers.settled();
    if (this.#splits.openCount > 0) throw new Error(`${this.#splits.openCount} files were never finished`);
    this.#verifyCounts();
    if (options.verify) await this.#verify({ treeId, node });
    unmarkTarget(target, options.snapshot.id);
    this.#maker.finish(this.#errors.size > 0);
    if (options.durable) await syncFileSystem(target.fd);
    const { warnings, fetchedBytes } = await this.#workers.finish();
    this.#warnings = warnings;
    this.#bytesFetched = fetchedBytes;
  }

  #walk(visitor: WalkVisitor): RestoreWalk {
    const { reader, selection } = this.#context;
    return new RestoreWalk({
      loadTree: (id) => reader.openTree(id),
      selection,
      visitor,
      onError: (path, message) => this.#failed(path, message),
      throwIfEnded: () => this.#workers.throwIfFailed(),
    });
  }

  /** Hard links are not made yet: there is nothing of their own to read in them. */
  async #verify({ treeId, node }: SourceFolder): Promise<void> {
    const { index, target } = this.#context;
    await syncFileSystem(target.fd);
    const submit = this.#workers.submit.bind(this.#workers);
    const plan = new RestorePlan({ index, splits: undefined, isHole: holeFinder(this.#folders), submit });
    const isToVerify = (path: string) => !this.#errors.has(path) && this.#maker.isWritten(path);
    await this.#walk(new RestoreVerifier({ plan, isToVerify })).run(treeId, node);
    await plan.finish();
    await this.#workers.settled();
  }

  summary(): Omit<RestoreSummary, 'durationMs'> {
    const { folders, others, skipped, hardLinks, kept, keptBytes, filesLeft, othersLeft, deleted } = this.#maker.counts;
    return {
      files: this.#filesWritten + hardLinks + kept,
      filesUnchanged: this.#filesUnchanged + kept,
      folders,
      others,
      skipped,
      leftAlone: filesLeft + othersLeft,
      deleted,
      bytes: this.#bytes + keptBytes,
      bytesUnchanged: this.#bytesUnchanged + keptBytes,
      bytesFetched: this.#bytesFetched,
      errors: [...this.#errors.values()],
      warnings: mergeWarnings([...this.#attributes.warnings, ...this.#warnings]),
    };
  }

  interrupt(): void {
    const signal = String(this.#context.options.signal?.reason ?? 'a signal');
    this.#workers.fail(new HoldfastError('INTERRUPTED', { signal }));
  }

  async close(): Promise<void> {
    await this.#workers.close();
    this.#folders.close();
  }

  #show(path: string): string {
    return joinShown(this.#context.options.target, path).toString();
  }

  #jobDone({ filesDone, filesUnchanged, bytesWritten, bytesUnchanged, splits, failures }: JobResult): void {
    this.#filesWritten += filesDone;
    this.#filesUnchanged += filesUnchanged;
    this.#bytes += bytesWritten + bytesUnchanged;
    this.#bytesUnchanged += bytesUnchanged;
    for (const { path, message, splitNumber } of failures) {
      this.#failed(path, message);
      if (splitNumber >= 0) this.#splits.failed(splitNumber);
    }
    try {
      for (const { number, hasWritten } of splits) this.#splits.jobDone(number, hasWritten);
    } catch (error) {
      this.#workers.fail(error);
    }
    this.#progress();
  }

  #splitFinished(path: string, { error, isUnchanged }: SplitOutcome): void {
    if (isTargetLost(error)) throw error;
    if (error !== undefined) this.#failed(path, withoutHandles(messageOf(error)));
    else if (!this.#errors.has(path)) {
      this.#filesWritten += 1;
      if (isUnchanged) this.#filesUnchanged += 1;
    }
  }

  #failed(path: string, message: string): void {
    if (!this.#errors.has(path)) this.#errors.set(path, { path: this.#show(path), message });
    this.#progress();
  }

  /** Every file of the trees is written or has an error; anything else is our mistake, and must not look like success. */
  #verifyCounts(): void {
    const { files, hardLinks, kept, filesLeft } = this.#maker.counts;
    const accounted = this.#filesWritten + hardLinks + kept + filesLeft;
    if (accounted > files || accounted + this.#errors.size < files) {
      throw new Error(`of ${files} files ${accounted} were restored and ${this.#errors.size} failed`);
    }
  }

  #progress(): void {
    const { onProgress } = this.#context.options;
    onProgress?.({ files: this.#filesWritten, bytes: this.#bytes, errors: this.#errors.size });
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
