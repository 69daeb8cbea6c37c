/** Where the content of a folder goes in the tree of its snapshot: at its root, or below folders that name the claim. */
import type { BlobReader } from '../repository/blob-reader.ts';
import { encodeNode } from '../repository/format/tree.ts';
import { madeUpFile, madeUpFolder } from '../repository/made-up-node.ts';
import type { FolderWalk } from './backup-walk.ts';
import { type EntryAttributes, readAttributes } from './read-attributes.ts';

/** Where the folder's content goes in the snapshot's tree: below `dirs`, in a folder `name`, beside some files. */
export interface Place {
  readonly dirs: readonly string[];
  readonly name: string;
  readonly files: readonly { readonly name: string; readonly content: Buffer }[];
}

export interface Source {
  readonly path: string;
  readonly place: Place | undefined;
  /** Time of the folders that stand on no disk. */
  readonly timeNs: bigint;
  /** The root tree of the parent snapshot. */
  readonly parentTree: string | undefined;
}

/** Stores the source and, where asked for, the folders above it; the id of the root tree. */
export async function storeSource(walk: FolderWalk, reader: BlobReader, source: Source): Promise<string> {
  const { place, parentTree, timeNs } = source;
  const path = Buffer.from(source.path);
  const known = parentTree && (await findSubtree(reader, parentTree, place ? [...place.dirs, place.name] : []));
  const tree = await walk.folder(path.toString('latin1'), known);
  return place ? storePlace(walk, place, path, tree, timeNs) : tree;
}

async function fileNodes(walk: FolderWalk, files: Place['files'], timeNs: bigint): Promise<NamedNode[]> {
  const nodes: NamedNode[] = [];
  for (const { name, content } of files) {
    nodes.push(fileNode(name, content.length, await walk.storeBlob('data', content), timeNs));
  }
  return nodes;
}

async function storePlace(
  walk: FolderWalk,
  place: Place,
  path: Buffer,
  content: string,
  timeNs: bigint,
): Promise<string> {
  // The folder itself, where the path is a link to it.
  const folder = Buffer.concat([path, Buffer.from('/.')]);
  const attributes = readAttributes(folder, Buffer.from(place.name));
  if (!attributes) throw new TypeError('a folder cannot be a socket');
  return storeGivenPlace(walk, place, attributes, content, timeNs);
}

/** The place of content whose own folder is known by its attributes; the id of the root tree. */
export async function storeGivenPlace(
  walk: FolderWalk,
  place: Place,
  attributes: EntryAttributes,
  content: string,
  timeNs: bigint,
): Promise<string> {
  const nodes = [
    { name: place.name, json: encodeNode({ ...attributes, content: null, subtree: content }) },
    ...(await fileNodes(walk, place.files, timeNs)),
  ];
  return storeAbove(walk, place.dirs, await walk.storeTree(inOrder(nodes)), timeNs);
}

/** The place of content that stands on no disk as a folder, such as the image of a device; the id of the root tree. */
export async function storeMadeUpPlace(
  walk: FolderWalk,
  place: Place,
  content: string,
  timeNs: bigint,
): Promise<string> {
  const nodes = [dirNode(place.name, content, timeNs), ...(await fileNodes(walk, place.files, timeNs))];
  return storeAbove(walk, place.dirs, await walk.storeTree(inOrder(nodes)), timeNs);
}

/** Stores the folders above a tree, the outermost first in `dirs`; the id of the root tree. */
export async function storeAbove(
  walk: FolderWalk,
  dirs: readonly string[],
  content: string,
  timeNs: bigint,
): Promise<string> {
  let tree = content;
  for (const name of dirs.toReversed()) tree = await walk.storeTree(inOrder([dirNode(name, tree, timeNs)]));
  return tree;
}

interface NamedNode {
  readonly name: string;
  readonly json: string;
}

function inOrder(nodes: readonly NamedNode[]): Buffer[] {
  const sorted = nodes.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return sorted.map((node) => Buffer.from(`${node.json},`));
}

function fileNode(name: string, sizeBytes: number, blob: string, timeNs: bigint): NamedNode {
  return { name, json: encodeNode(madeUpFile(name, sizeBytes, blob, timeNs)) };
}

function dirNode(name: string, subtree: string, timeNs: bigint): NamedNode {
  return { name, json: encodeNode(madeUpFolder(name, subtree, timeNs)) };
}

/** The tree of a folder in an earlier snapshot; undefined if it is not there or cannot be read. */
async function findSubtree(reader: BlobReader, root: string, names: readonly string[]): Promise<string | undefined> {
  let tree: string | undefined = root;
  try {
    for (const name of names) {
      if (tree === undefined) return undefined;
      const nodes = await reader.loadTree(tree);
      tree = nodes.find((node) => node.name.equals(Buffer.from(name)))?.subtree;
    }
    return tree;
  } catch {
    return undefined;
  }
}
