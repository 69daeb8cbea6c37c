/** From a path that a user typed to the entry of a snapshot. */
import { HoldfastError } from '../base/errors.ts';
import { goUnquote } from './format/go-json.ts';
import type { StoredSnapshot } from './format/snapshot.ts';
import type { TreeNode } from './format/tree.ts';
import { joinTreePath, loadSoundTree, type TreeReader } from './walk-tree.ts';

export interface FoundEntry {
  /** `/shop/data`; empty for the root of the snapshot. */
  readonly path: Buffer;
  /** undefined for the root, which has no attributes. */
  readonly node: TreeNode | undefined;
  /** Of the root and of folders. */
  readonly treeId: string | undefined;
}

const shortIdLength = 8;

/**
 * The entry at `path`, with or without a leading slash. A path that is not there is tried once more with the escapes
 * that listings show (`\xff`, `\n`, `\\`) read back. Throws PATH_NOT_IN_BACKUP, FILE_NOT_FOUND, FILE_DAMAGED.
 */
export async function findEntry(reader: TreeReader, snapshot: StoredSnapshot, path: string): Promise<FoundEntry> {
  const plain = Buffer.from(path);
  const unescaped = path.includes('\\') ? goUnquote(path) : undefined;
  const found =
    (await descend(reader, snapshot.tree, plain)) ?? (unescaped && (await descend(reader, snapshot.tree, unescaped)));
  if (!found) throw new HoldfastError('PATH_NOT_IN_BACKUP', { backup: snapshot.id.slice(0, shortIdLength), path });
  return found;
}

async function descend(reader: TreeReader, root: string, path: Buffer): Promise<FoundEntry | undefined> {
  let entry: FoundEntry = { path: Buffer.alloc(0), node: undefined, treeId: root };
  for (const [depth, name] of splitPath(path).entries()) {
    if (entry.treeId === undefined) return undefined;
    const nodes = await loadSoundTree(reader, entry.treeId, depth);
    const node = nodes.find((candidate) => candidate.name.equals(name));
    if (!node) return undefined;
    entry = { path: joinTreePath(entry.path, node.name), node, treeId: node.subtree };
  }
  return entry;
}

function splitPath(path: Buffer): Buffer[] {
  const names = path.toString('latin1').split('/');
  return names.filter((name) => name !== '' && name !== '.').map((name) => Buffer.from(name, 'latin1'));
}
