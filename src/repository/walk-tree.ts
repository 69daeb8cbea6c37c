/**
 * Goes through the trees of a snapshot, entry by entry, in the order of restic: names ascending, a folder before what is in it.
 * Only the trees between the root and the current entry are in memory.
 */
import { damagedFile } from '../base/damaged-file.ts';
import type { HoldfastError } from '../base/errors.ts';
import type { BlobReader } from './blob-reader.ts';
import { problemWithName } from './entry-rules.ts';
import type { TreeNode } from './format/tree.ts';

export type TreeReader = Pick<BlobReader, 'loadTree'>;

export interface TreeEntry {
  /** From the root of the snapshot: `/shop/data`. */
  readonly path: Buffer;
  readonly node: TreeNode;
}

export interface WalkOptions {
  /** Where the tree is in the snapshot; by default it is its root. */
  readonly path?: Buffer;
  /** Whether to go into this folder. Default: into all. */
  readonly enter?: (folder: TreeEntry) => boolean;
  readonly signal?: AbortSignal;
}

/** No file system nests that deep; what claims to is made to keep us busy. */
export const deepestFolder = 16_384;

interface Level {
  readonly path: Buffer;
  readonly nodes: readonly TreeNode[];
  next: number;
}

/** Throws FILE_NOT_FOUND, FILE_DAMAGED, and the reason of the signal. */
export async function* walkTree(
  reader: TreeReader,
  treeId: string,
  { path = Buffer.alloc(0), enter, signal }: WalkOptions = {},
): AsyncGenerator<TreeEntry, void> {
  const levels: Level[] = [{ path, nodes: await loadSoundTree(reader, treeId, 0), next: 0 }];
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const node = level.nodes[level.next];
    if (!node) {
      levels.pop();
      continue;
    }
    level.next += 1;
    signal?.throwIfAborted();
    const entry = { path: joinTreePath(level.path, node.name), node };
    yield entry;
    if (node.subtree === undefined || (enter && !enter(entry))) continue;
    levels.push({ path: entry.path, nodes: await loadSoundTree(reader, node.subtree, levels.length), next: 0 });
  }
}

/** The nodes of a tree, after a look at what is not safe to show or to write anywhere. Throws FILE_NOT_FOUND, FILE_DAMAGED. */
export async function loadSoundTree(reader: TreeReader, id: string, depth: number): Promise<TreeNode[]> {
  if (depth > deepestFolder) throw damaged(id, `it lies more than ${deepestFolder} folders deep`);
  const nodes = await reader.loadTree(id);
  for (const node of nodes) {
    const problem = problemWith(node);
    if (problem !== undefined) throw damaged(id, `the entry ${JSON.stringify(node.name.toString())} ${problem}`);
  }
  return nodes;
}

function problemWith({ name, type, subtree }: TreeNode): string | undefined {
  const problem = problemWithName(name);
  if (problem !== undefined) return problem;
  if ((type === 'dir') !== (subtree !== undefined)) return 'is not a folder with a tree, nor anything else without one';
  return undefined;
}

function damaged(id: string, reason: string): HoldfastError {
  return damagedFile({ kind: 'tree', name: id }, reason);
}

export function joinTreePath(folder: Buffer, name: Buffer): Buffer {
  const path = Buffer.allocUnsafe(folder.length + 1 + name.length);
  folder.copy(path);
  path[folder.length] = 0x2f;
  name.copy(path, folder.length + 1);
  return path;
}
