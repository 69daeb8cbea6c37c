/**
 * Walks a folder on the main thread: lists directories, hands their entries to the workers in batches, puts the
 * answers together as trees, children before parents. The walk runs ahead of the workers by a bounded number of jobs.
 */
import { hash } from 'node:crypto';
import { Semaphore } from '../base/concurrency.ts';
import { codeOf, isHoldfastError, messageOf } from '../base/errors.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import type { BlobReader } from '../repository/blob-reader.ts';
import {
  addCounts,
  type ChangeRules,
  type EntriesResult,
  type EntryCounts,
  type EntryProblem,
  noCounts,
} from './backup-jobs.ts';
import { handled, LargeFiles } from './backup-large-file.ts';
import type { BackupWorkers } from './backup-workers.ts';
import type { Exclusion } from './exclude.ts';
import { emptyListing, type Listing, listFolder } from './folder-listing.ts';
import { NewestFirstGate } from './newest-first-gate.ts';
import { startOf, subtreeOf } from './parent-tree.ts';
import {
  bytesOfTree,
  compressTree,
  hashOfTree,
  sizeOfTree,
  type TreePiece,
  treeEnd,
  treeStart,
  wholeTreeBytes,
} from './tree-pieces.ts';

/** Entries of one job: enough to pay for the messages, few enough to share the work evenly. */
const entriesPerJob = 128;
/** Holds a folder with a million entries, and the list of blobs of a sparse file of many TiB that is cut by gear. */
const largestParentBytes = 400 << 20;
const jobsAheadPerWorker = 6;
/** Folders whose jobs are being handed out at the same time. */
const openFolders = 8;
const comma = Buffer.from(',');

export interface WalkOptions {
  readonly workers: BackupWorkers;
  readonly index: BlobIndex;
  readonly reader: BlobReader;
  /** Large files are cut in segments by several workers, where the chunker allows it. */
  readonly segmented: boolean;
  readonly rereadFromNs: bigint;
  readonly change: ChangeRules;
  /** Large trees are compressed here, with the same care as the threads do. */
  readonly verify: boolean;
  /** False in repositories of version 1, whose trees have to fit into memory. */
  readonly canCompress: boolean;
  readonly exclusion: Exclusion | undefined;
  readonly onProgress: () => void;
}

export interface FolderCounts {
  new: number;
  changed: number;
  unmodified: number;
}

/** A batch whose large files are being read. */
interface Batch {
  readonly result: EntriesResult;
  /** Where the nodes lie in the parent tree, if they are the same there. */
  readonly unchanged: { readonly start: number; readonly end: number } | undefined;
  /** The nodes of its large files, by name; nothing of one that could not be read. */
  readonly largeFiles: Map<string, Promise<readonly TreePiece[]>>;
}

export class FolderWalk {
  readonly counts: EntryCounts = noCounts();
  readonly folders: FolderCounts = { new: 0, changed: 0, unmodified: 0 };
  readonly problems: EntryProblem[] = [];
  treeBlobs = 0;
  readonly #options: WalkOptions;
  readonly #jobs: Semaphore;
  readonly #gate = new NewestFirstGate(openFolders);
  readonly #largeFiles: LargeFiles;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#jobs = new Semaphore(options.workers.count * jobsAheadPerWorker);
    const { workers, segmented, onProgress } = options;
    const { counts, problems } = this;
    this.#largeFiles = new LargeFiles({ workers, segmented, onProgress, jobs: this.#jobs, counts, problems });
  }

  /**
   * Stores the folder and all below it; the id of its tree. `path` is latin1. `parentTree` is what the folder was
   * last time. A folder that cannot be listed becomes an empty one and a problem.
   */
  async folder(path: string, parentTree: string | undefined): Promise<string> {
    await this.#gate.enter();
    let parent: Buffer | undefined;
    let listing = emptyListing;
    let batches: Promise<Batch>[];
    try {
      listing = this.#list(path);
      parent = await this.#loadParent(parentTree);
      batches = await this.#handOut(path, listing.names, parent);
    } finally {
      this.#gate.leave();
    }
    const subtrees = this.#descend(path, listing.folders, parent);
    const done = await Promise.all(batches);
    const tree =
      parentTree !== undefined && parent && isSameTree(parent, done)
        ? parentTree
        : await this.storeTree(await this.#assemble(path, done, parent, subtrees));
    this.folders[parentTree === undefined ? 'new' : parentTree === tree ? 'unmodified' : 'changed']++;
    return tree;
  }

  /** Starts on the folders within; the ids of their trees by name. */
  #descend(path: string, folders: ReadonlySet<string>, parent: Buffer | undefined): Map<string, Promise<string>> {
    const subtrees = new Map<string, Promise<string>>();
    let from = 0;
    for (const name of folders) {
      const known = parent && subtreeOf(parent, name, from);
      if (known) from = known.end;
      subtrees.set(name, handled(this.folder(`${path}/${name}`, known?.id)));
    }
    return subtrees;
  }

  /** Stores a tree; its id. */
  async storeTree(pieces: readonly TreePiece[]): Promise<string> {
    const sizeBytes = sizeOfTree(pieces);
    const { workers, index, canCompress, verify } = this.#options;
    if (sizeBytes <= wholeTreeBytes || !canCompress)
      return this.storeBlob('tree', Buffer.concat([...bytesOfTree(pieces)]));
    const id = hashOfTree(pieces);
    if (index.claim('tree', id)) {
      this.treeBlobs++;
      this.counts.bytesAdded += sizeBytes;
      await workers.storeBlob('tree', id.toString('hex'), await compressTree(pieces, id, verify), sizeBytes);
    }
    return id.toString('hex');
  }

  async storeBlob(type: 'data' | 'tree', bytes: Buffer): Promise<string> {
    const id = hash('sha256', bytes, 'buffer');
    if (this.#options.index.claim(type, id)) {
      if (type === 'tree') this.treeBlobs++;
      else this.counts.dataBlobs++;
      this.counts.bytesAdded += bytes.length;
      await this.#options.workers.storeBlob(type, id.toString('hex'), bytes);
    }
    return id.toString('hex');
  }

  #list(path: string): Listing {
    try {
      const listing = listFolder(path);
      return this.#options.exclusion?.apply(path, listing) ?? listing;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') this.counts.vanished++;
      else this.problems.push({ path: Buffer.from(path, 'latin1').toString(), message: messageOf(error) });
      return emptyListing;
    }
  }

  /** A parent tree that is lost, or too large to be held, costs time, not the backup: its files are read again. */
  async #loadParent(id: string | undefined): Promise<Buffer | undefined> {
    if (id === undefined) return undefined;
    try {
      if (this.#options.reader.plainLength('tree', id) > largestParentBytes) return undefined;
      return await this.#options.reader.load('tree', id);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND') || isHoldfastError(error, 'FILE_DAMAGED')) return undefined;
      throw error;
    }
  }

  /** Starts the jobs of a folder; returns once all are under way. */
  async #handOut(folder: string, names: readonly string[], parent: Buffer | undefined): Promise<Promise<Batch>[]> {
    const batches: Promise<Batch>[] = [];
    let from = 0;
    for (let start = 0; start < names.length; start += entriesPerJob) {
      const batch = names.slice(start, start + entriesPerJob);
      const next = names[start + entriesPerJob];
      const end = parent && next !== undefined ? startOf(parent, next, from) : parent?.length;
      await this.#jobs.acquire();
      batches.push(handled(this.#runBatch(folder, batch, parent && { parent, from, end: end! })));
      if (end !== undefined && end !== parent?.length) from = end;
    }
    return batches;
  }

  async #runBatch(
    folder: string,
    names: string[],
    slice: { parent: Buffer; from: number; end: number } | undefined,
  ): Promise<Batch> {
    const parent = slice && new Uint8Array(slice.parent.subarray(slice.from, slice.end));
    const { workers, rereadFromNs, change, onProgress } = this.#options;
    const result = await workers
      .run({ kind: 'entries', folder, names: names.join('/'), parent, rereadFromNs, change })
      .finally(() => this.#jobs.release());
    if (result.kind !== 'entries') throw new TypeError(`a worker answered ${result.kind} to entries`);
    addCounts(this.counts, result.counts);
    this.problems.push(...result.problems);
    onProgress();
    const largeFiles = new Map<string, Promise<readonly TreePiece[]>>();
    for (const hole of result.holes) {
      if (hole.kind === 'file')
        largeFiles.set(hole.name, handled(this.#largeFiles.read(`${folder}/${hole.name}`, hole)));
    }
    const unchanged = slice && result.unchanged && moved(result.unchanged, slice.from);
    return { result, unchanged, largeFiles };
  }

  /** The encoded nodes of a folder in order, with the trees of its folders and its large files put in. */
  async #assemble(
    path: string,
    batches: readonly Batch[],
    parent: Buffer | undefined,
    subtrees: Map<string, Promise<string>>,
  ): Promise<TreePiece[]> {
    const pieces: TreePiece[] = [];
    for (const { result, unchanged, largeFiles } of batches) {
      if (parent && unchanged) {
        pieces.push(parent.subarray(unchanged.start, unchanged.end), comma);
        continue;
      }
      const nodes = Buffer.from(result.nodes.buffer, result.nodes.byteOffset, result.nodes.length);
      let done = 0;
      for (const hole of result.holes) {
        if (hole.kind === 'folder') {
          // One that became a folder only after the listing is walked now.
          const tree = await (subtrees.get(hole.name) ?? this.folder(`${path}/${hole.name}`, undefined));
          nodes.write(tree, hole.at, 'latin1');
        } else {
          pieces.push(nodes.subarray(done, hole.at), ...((await largeFiles.get(hole.name)) ?? []));
          done = hole.at;
        }
      }
      pieces.push(nodes.subarray(done));
    }
    await Promise.all(subtrees.values());
    return pieces;
  }
}

function moved({ start, end }: { readonly start: number; readonly end: number }, by: number) {
  return { start: start + by, end: end + by };
}

/** Whether the batches are all nodes of the tree, and nothing else is in it. */
function isSameTree(tree: Buffer, batches: readonly Batch[]): boolean {
  let next = treeStart.length;
  for (const { unchanged } of batches) {
    if (unchanged?.start !== next) return false;
    next = unchanged.end + 1;
  }
  const end = tree.length - treeEnd.length;
  return (
    next === end + 1 &&
    tree.compare(treeStart, 0, treeStart.length, 0, treeStart.length) === 0 &&
    tree.compare(treeEnd, 0, treeEnd.length, end) === 0
  );
}
