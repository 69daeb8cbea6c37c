/**
 * Finds out, for every tree below some roots, whether it is whole, and what stands in its place where not. Each tree is
 * read once, the inner ones first. Nothing is written here.
 */
import { hash } from 'node:crypto';
import { BlobReader } from './blob-reader.ts';
import { isDamage } from './check-findings.ts';
import { decodeTree, encodeTree, type TreeNode } from './format/tree.ts';
import type { LoadedIndex } from './load-index.ts';
import { type Holdings, isWholeTree, type Loss, mendTree, readableNodes } from './repair-tree.ts';
import type { Repository } from './repository.ts';
import { deepestFolder } from './walk-tree.ts';

export interface ChangedTree {
  /** The tree in its place. */
  readonly id: string;
  readonly losses: readonly Loss[];
}

export interface MenderOptions {
  readonly onTree?: (trees: number) => void;
  readonly signal?: AbortSignal;
}

const emptyTreeBytes = encodeTree([]);
export const emptyTree = { id: hash('sha256', emptyTreeBytes, 'hex'), bytes: emptyTreeBytes } as const;

export class TreeMender {
  /** By the id of the tree as it was, the inner ones first. */
  readonly changed = new Map<string, ChangedTree>();
  /** What was needed and could not be had: `data <id>`, `tree <id>`. */
  readonly missing = new Set<string>();
  readonly #repository: Repository;
  readonly #index: LoadedIndex;
  readonly #options: MenderOptions;
  #reader: BlobReader;
  /** By entry of the index: 1 for trees that are whole. */
  readonly #whole: Uint8Array;
  readonly #unreadable = new Set<string>();
  readonly #holdings: Holdings;
  #trees = 0;

  constructor(repository: Repository, index: LoadedIndex, options: MenderOptions = {}) {
    this.#repository = repository;
    this.#index = index;
    this.#options = options;
    this.#reader = new BlobReader(repository, index);
    this.#whole = new Uint8Array(index.blobs.size);
    this.#holdings = {
      dataBytes: (id) => {
        const entry = index.blobs.find('data', Buffer.from(id, 'hex'));
        if (entry >= 0) return index.plainLength(entry);
        this.missing.add(`data ${id}`);
        return undefined;
      },
      subtree: (id) => this.inPlaceOf(id),
    };
  }

  /** What stands in place of a tree that was judged: itself, another one, or undefined where it cannot be read. */
  inPlaceOf(id: string): string | undefined {
    return this.#unreadable.has(id) ? undefined : (this.changed.get(id)?.id ?? id);
  }

  /** Judges a tree and all below it. */
  async judge(id: string, depth = 0): Promise<void> {
    if (this.#isJudged(id)) return;
    this.#options.signal?.throwIfAborted();
    const bytes = depth > deepestFolder ? undefined : await this.#load(id);
    const nodes = bytes && nodesOf(bytes, id);
    if (!nodes) {
      this.#unreadable.add(id);
      this.missing.add(`tree ${id}`);
      return;
    }
    for (const { type, subtree } of nodes.readable) {
      if (type === 'dir' && subtree !== undefined) await this.judge(subtree, depth + 1);
    }
    this.#options.onTree?.(++this.#trees);
    if (nodes.all && isWholeTree(nodes.readable, this.#holdings)) {
      this.#whole[this.#entryOf(id)] = 1;
      return;
    }
    const mended = mendTree(bytes, id, emptyTree.id, this.#holdings);
    this.changed.set(id, { id: hash('sha256', mended.bytes, 'hex'), losses: mended.losses });
  }

  /** What is to be stored in place of a tree that was found to be changed. Throws FILE_DAMAGED, FILE_NOT_FOUND. */
  async mend(id: string): Promise<Buffer> {
    const { bytes } = mendTree(await this.#reader.load('tree', id), id, emptyTree.id, this.#holdings);
    if (hash('sha256', bytes, 'hex') === this.changed.get(id)?.id) return bytes;
    throw new Error(`the tree ${id} was mended in two ways`);
  }

  #isJudged(id: string): boolean {
    const entry = this.#entryOf(id);
    return this.#unreadable.has(id) || this.changed.has(id) || (entry >= 0 && this.#whole[entry] === 1);
  }

  #entryOf(id: string): number {
    return this.#index.blobs.find('tree', Buffer.from(id, 'hex'));
  }

  /** undefined where it is not there as it should be, seen twice: the first fault may have been in transit. */
  async #load(id: string): Promise<Buffer | undefined> {
    if (this.#entryOf(id) < 0) return undefined;
    try {
      return await this.#reader.load('tree', id);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    this.#reader = new BlobReader(this.#repository, this.#index);
    try {
      return await this.#reader.load('tree', id);
    } catch (error) {
      if (isDamage(error)) return undefined;
      throw error;
    }
  }
}

/** undefined for what is no tree; `all` where every entry can be understood. */
function nodesOf(bytes: Buffer, id: string): { readable: TreeNode[]; all: boolean } | undefined {
  try {
    return { readable: decodeTree(bytes, id), all: true };
  } catch {
    try {
      return { readable: readableNodes(bytes, id), all: false };
    } catch {
      return undefined;
    }
  }
}
