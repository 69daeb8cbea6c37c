/**
 * Takes out of one tree what is lost, and leaves everything else in it as it stands, fields of other programs too.
 * A file keeps the parts that are there, as restic's `repair snapshots` does it; a folder whose tree cannot be read
 * becomes an empty one.
 */
import { isKnownType, problemWithName } from './entry-rules.ts';
import { damaged, isObject, type JsonObject } from './format/document.ts';
import { encodeExact, parseExactObject } from './format/exact-json.ts';
import { decodeTree, type TreeNode } from './format/tree.ts';

/** What is there. */
export interface Holdings {
  /** The length of a data blob before compression; undefined where it is lost. */
  dataBytes(id: string): number | undefined;
  /** The tree to use in place of this one: itself where it is whole; undefined where it cannot be read. */
  subtree(id: string): string | undefined;
}

export interface Loss {
  readonly name: Buffer;
  /** `parts` of a file; the list of a `folder`; a whole `entry`, which no program could restore; or something `within`. */
  readonly kind: 'parts' | 'folder' | 'entry' | 'within';
  /** Of parts: how much the file is shorter now. */
  readonly lostBytes?: number;
  /** Of `within`: the tree as it was. */
  readonly subtree?: string;
}

export interface MendedTree {
  readonly bytes: Buffer;
  readonly losses: readonly Loss[];
}

/** The nodes that can be understood. Throws FILE_DAMAGED where the bytes are no tree at all. */
export function readableNodes(bytes: Uint8Array, id: string): TreeNode[] {
  return rawNodes(parseTree(bytes, id), id).flatMap((raw) => nodeOf(raw) ?? []);
}

/** Whether nothing has to be changed. */
export function isWholeTree(nodes: readonly TreeNode[], holdings: Holdings): boolean {
  return nodes.every((node) => lossOf(node, holdings) === undefined);
}

/** Throws FILE_DAMAGED where the bytes are no tree at all. */
export function mendTree(bytes: Uint8Array, id: string, emptyTree: string, holdings: Holdings): MendedTree {
  const tree = parseTree(bytes, id);
  const losses: Loss[] = [];
  const nodes = rawNodes(tree, id).flatMap((raw) => {
    const node = nodeOf(raw);
    const loss = node ? lossOf(node, holdings) : { name: nameOf(raw), kind: 'entry' as const };
    if (!loss) return [raw];
    losses.push(loss);
    return node && loss.kind !== 'entry' ? [mendNode(raw, node, emptyTree, holdings)] : [];
  });
  return { bytes: Buffer.from(`${encodeExact({ ...tree, nodes })}\n`), losses };
}

function lossOf(node: TreeNode, holdings: Holdings): Loss | undefined {
  const { name, type, content, subtree } = node;
  if (problemWithName(name) !== undefined || !isKnownType(type)) return { name, kind: 'entry' };
  if (type === 'dir') {
    const mended = subtree === undefined ? undefined : holdings.subtree(subtree);
    if (mended === undefined) return { name, kind: 'folder' };
    return mended === subtree ? undefined : { name, kind: 'within', subtree: subtree! };
  }
  if (type !== 'file' || content?.every((id) => holdings.dataBytes(id) !== undefined)) return undefined;
  const kept = keptContent(content, holdings);
  return { name, kind: 'parts', lostBytes: Math.max(0, node.sizeBytes - kept.sizeBytes) };
}

function mendNode(raw: JsonObject, node: TreeNode, emptyTree: string, holdings: Holdings): JsonObject {
  if (node.type === 'dir') {
    const subtree = node.subtree === undefined ? undefined : holdings.subtree(node.subtree);
    return { ...raw, subtree: subtree ?? emptyTree };
  }
  const { content, sizeBytes } = keptContent(node.content, holdings);
  // Go leaves out a size of 0.
  const fields = Object.entries(raw).filter(([field]) => field !== 'size' || sizeBytes > 0);
  return { ...Object.fromEntries(fields), ...(sizeBytes > 0 ? { size: sizeBytes } : {}), content };
}

function keptContent(content: TreeNode['content'], holdings: Holdings): { content: string[]; sizeBytes: number } {
  const kept = (content ?? []).filter((id) => holdings.dataBytes(id) !== undefined);
  return { content: kept, sizeBytes: kept.reduce((sum, id) => sum + holdings.dataBytes(id)!, 0) };
}

function parseTree(bytes: Uint8Array, id: string): JsonObject {
  return parseExactObject(bytes, { kind: 'tree', name: id });
}

function rawNodes(tree: JsonObject, id: string): JsonObject[] {
  const nodes = tree.nodes ?? [];
  // What is no object is an entry without a name.
  if (Array.isArray(nodes)) return nodes.map((node: unknown) => (isObject(node) ? node : {}));
  throw damaged({ kind: 'tree', name: id }, 'its nodes are not a list');
}

function nodeOf(raw: JsonObject): TreeNode | undefined {
  try {
    return decodeTree(Buffer.from(encodeExact({ nodes: [raw] })))[0];
  } catch {
    return undefined;
  }
}

function nameOf({ name }: JsonObject): Buffer {
  return Buffer.from(typeof name === 'string' ? name : '');
}
