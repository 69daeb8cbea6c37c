/**
 * Third step of a check: every tree of every snapshot opens, holds what a tree may hold, and names only blobs that the
 * index has. Each tree is read once, and trees that lie in one pack are read together.
 */
import { BlobReader } from './blob-reader.ts';
import type { Findings } from './check-findings.ts';
import { isKnownType, problemWithName } from './entry-rules.ts';
import type { StoredSnapshot } from './format/snapshot.ts';
import { decodeTree, type TreeNode } from './format/tree.ts';
import type { LoadedIndex } from './load-index.ts';
import type { Repository } from './repository.ts';
import { TreeQueue } from './tree-queue.ts';

export interface TreeProgress {
  readonly trees: number;
  /** Found and not read yet. */
  readonly waiting: number;
}

interface PendingTree {
  readonly id: string;
  /** Where it was first met, for people. */
  readonly place: string;
}

const packsAtOnce = 3;
const shortIdLength = 8;

/** How many different trees there are. */
export async function checkTrees(
  repository: Repository,
  index: LoadedIndex,
  snapshots: readonly StoredSnapshot[],
  findings: Findings,
  options: { readonly onProgress?: (progress: TreeProgress) => void; readonly signal?: AbortSignal } = {},
): Promise<number> {
  const walk = new TreeWalk(repository, index, findings);
  for (const { id, tree, hostname = '', time } of snapshots) {
    walk.meet(tree, `snapshot ${id.slice(0, shortIdLength)} (${hostname} ${time.slice(0, 19)}) `);
  }
  await walk.queue.drain(packsAtOnce, async (tree) => {
    options.signal?.throwIfAborted();
    await walk.read(tree);
    options.onProgress?.({ trees: walk.trees, waiting: walk.queue.waitingCount });
  });
  return walk.trees;
}

class TreeWalk {
  readonly queue = new TreeQueue<PendingTree>();
  trees = 0;
  readonly #index: LoadedIndex;
  readonly #reader: BlobReader;
  readonly #findings: Findings;
  /** One byte for each entry of the index: 1 once a tree was met or a data blob was asked for. */
  readonly #met: Uint8Array;
  readonly #missing = new Set<string>();

  constructor(repository: Repository, index: LoadedIndex, findings: Findings) {
    this.#index = index;
    this.#reader = new BlobReader(repository, index);
    this.#findings = findings;
    this.#met = new Uint8Array(index.blobs.size);
  }

  meet(id: string, place: string): void {
    const entry = this.#index.blobs.find('tree', Buffer.from(id, 'hex'));
    const found = entry < 0 ? undefined : this.#index.find('tree', id);
    if (!found) {
      this.#reportMissing('tree', id, place);
      return;
    }
    if (this.#met[entry] === 1) return;
    this.#met[entry] = 1;
    this.queue.add(found.packId, { id, place });
  }

  async read({ id, place }: PendingTree): Promise<void> {
    this.trees += 1;
    let nodes: TreeNode[];
    try {
      nodes = decodeTree(await this.#reader.load('tree', id), id);
    } catch (error) {
      this.#findings.failure('tree', id, error, ` (${place || '/'})`);
      return;
    }
    let previous: Buffer | undefined;
    for (const node of nodes) {
      this.#checkNode(node, id, place);
      if (previous && Buffer.compare(previous, node.name) >= 0) {
        this.#findings.hint('tree', id, `the entries of ${place}/ are not in order at "${node.name}"`);
      }
      previous = node.name;
    }
  }

  #checkNode(node: TreeNode, tree: string, place: string): void {
    const path = `${place}/${node.name}`;
    const wrong = (what: string): void => this.#findings.error('tree', tree, `${path} ${what}`);
    const problem = problemWithName(node.name);
    if (problem !== undefined) wrong(problem);
    if (!isKnownType(node.type)) wrong(`has the unknown type "${node.type}"`);
    if (node.type === 'dir') {
      if (node.subtree === undefined) wrong('is a folder without a tree');
      else this.meet(node.subtree, path);
    }
    if (node.type === 'file') {
      if (node.content === null) wrong('is a file without a list of content');
      else for (const id of node.content) this.#expectData(id, path);
    }
  }

  #expectData(id: string, path: string): void {
    if (!this.#index.blobs.has('data', Buffer.from(id, 'hex'))) this.#reportMissing('data', id, path);
  }

  /** Once for each blob, however many files need it. */
  #reportMissing(type: 'tree' | 'data', id: string, place: string): void {
    const key = `${type} ${id}`;
    if (this.#missing.has(key)) return;
    this.#missing.add(key);
    this.#findings.error('blob', id, `the ${type} blob ${id} is not in the index, but ${place || '/'} needs it`);
  }
}
