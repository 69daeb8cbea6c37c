/** The folder of a snapshot that is to be restored. */
import { HoldfastError } from '../base/errors.ts';
import type { BlobReader } from '../repository/blob-reader.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import type { RestoreSource } from './restore-options.ts';

export interface SourceFolder {
  readonly treeId: string;
  /** undefined for the root of the snapshot. */
  readonly node: TreeNode | undefined;
}

/** Throws FOLDER_NOT_IN_BACKUP, FILE_NOT_FOUND, FILE_DAMAGED. */
export async function findFolder(
  reader: Pick<BlobReader, 'openTree'>,
  { snapshot, subfolder = '' }: RestoreSource,
): Promise<SourceFolder> {
  let folder: SourceFolder = { treeId: snapshot.tree, node: undefined };
  for (const name of subfolder.split('/').filter((part) => part !== '' && part !== '.')) {
    const node = await childOf(reader, folder.treeId, Buffer.from(name));
    if (node?.subtree === undefined) {
      throw new HoldfastError('FOLDER_NOT_IN_BACKUP', { backup: snapshot.id.slice(0, 8), folder: subfolder });
    }
    folder = { treeId: node.subtree, node };
  }
  return folder;
}

async function childOf(
  reader: Pick<BlobReader, 'openTree'>,
  treeId: string,
  name: Buffer,
): Promise<TreeNode | undefined> {
  const tree = await reader.openTree(treeId);
  if (!('parts' in tree)) return tree.find((entry) => entry.name.equals(name));
  for await (const { nodes } of tree.parts()) {
    const found = nodes.find((entry) => entry.name.equals(name));
    if (found) return found;
  }
  return undefined;
}
