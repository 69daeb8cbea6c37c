/** What differs between two snapshots: entries by entries, and the blobs that only one of them needs. */
import { isDeepStrictEqual } from 'node:util';
import { HoldfastError } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import type { TreeNode } from './format/tree.ts';
import type { LoadedIndex } from './load-index.ts';
import { joinTreePath, loadSoundTree } from './walk-tree.ts';

/** What a metadata change is about. Inode, atime and ctime are no part of it: they differ after every copy of a volume. */
export type MetadataField = 'mode' | 'mtime' | 'uid' | 'gid' | 'user' | 'group' | 'extendedAttributes';

export interface TreeChange {
  /** `modified`: other content of a file, target of a link, number of a device. */
  readonly change: 'added' | 'removed' | 'modified' | 'type' | 'metadata';
  readonly path: Buffer;
  readonly before?: TreeNode;
  readonly after?: TreeNode;
  /** With `modified` and `metadata`. */
  readonly fields: readonly MetadataField[];
}

export interface SideCounts {
  files: number;
  folders: number;
  /** Links, FIFOs, devices, sockets. */
  others: number;
  /** Blobs that the other snapshot does not need, and their bytes before compression. */
  dataBlobs: number;
  treeBlobs: number;
  bytes: number;
}

export interface DiffSummary {
  readonly added: SideCounts;
  readonly removed: SideCounts;
  readonly modified: number;
  readonly typeChanged: number;
  readonly metadataChanged: number;
}

export interface DiffOptions {
  /** Awaited: a slow reader slows the search down. */
  readonly onChange: (change: TreeChange) => Promise<void> | void;
  readonly signal?: AbortSignal;
}

/** Each once, in the order of the paths; what is in an added or removed folder follows it. Throws FILE_NOT_FOUND, FILE_DAMAGED. */
export async function diffTrees(
  reader: BlobReader,
  index: LoadedIndex,
  trees: { readonly before: string; readonly after: string },
  options: DiffOptions,
): Promise<DiffSummary> {
  const diff = new TreeDiff(reader, index, options);
  await diff.compare(Buffer.alloc(0), trees.before, trees.after, 0);
  await diff.reach(trees.before, beforeBit);
  await diff.reach(trees.after, afterBit);
  return diff.summary();
}

const beforeBit = 1;
const afterBit = 2;

class TreeDiff {
  readonly #reader: BlobReader;
  readonly #index: LoadedIndex;
  readonly #options: DiffOptions;
  /** For each entry of the index, which of the snapshots need it. */
  readonly #needed: Uint8Array;
  readonly #added = noCounts();
  readonly #removed = noCounts();
  readonly #counts = { modified: 0, type: 0, metadata: 0 };

  constructor(reader: BlobReader, index: LoadedIndex, options: DiffOptions) {
    this.#reader = reader;
    this.#index = index;
    this.#options = options;
    this.#needed = new Uint8Array(index.blobs.size);
  }

  /** Only where the trees differ. */
  async compare(path: Buffer, before: string, after: string, depth: number): Promise<void> {
    if (before === after) return;
    const [old, fresh] = [await this.#load(before, depth), await this.#load(after, depth)];
    let [at, freshAt] = [0, 0];
    while (at < old.length || freshAt < fresh.length) {
      const [one, other] = [old[at], fresh[freshAt]];
      const order = one && other ? Buffer.compare(one.name, other.name) : one ? -1 : 1;
      if (order <= 0) at += 1;
      if (order >= 0) freshAt += 1;
      if (order === 0 && one && other) await this.#compareEntries(joinTreePath(path, one.name), one, other, depth);
      else if (order < 0 && one) await this.#oneSided('removed', joinTreePath(path, one.name), one, depth);
      else if (other) await this.#oneSided('added', joinTreePath(path, other.name), other, depth);
    }
  }

  async #compareEntries(path: Buffer, before: TreeNode, after: TreeNode, depth: number): Promise<void> {
    if (before.type !== after.type) {
      this.#counts.type += 1;
      await this.#options.onChange({ change: 'type', path, before, after, fields: [] });
      // The entry itself has been told; what was below it is gone, or what is below it now is new.
      if (before.subtree !== undefined) await this.#below('removed', path, before.subtree, depth);
      if (after.subtree !== undefined) await this.#below('added', path, after.subtree, depth);
      return;
    }
    const fields = differingFields(before, after);
    const change = hasSameContent(before, after) ? 'metadata' : 'modified';
    if (change === 'modified' || fields.length > 0) {
      this.#counts[change] += 1;
      await this.#options.onChange({ change, path, before, after, fields });
    }
    if (before.subtree !== undefined && after.subtree !== undefined) {
      await this.compare(path, before.subtree, after.subtree, depth + 1);
    }
  }

  async #oneSided(change: 'added' | 'removed', path: Buffer, node: TreeNode, depth: number): Promise<void> {
    const counts = change === 'added' ? this.#added : this.#removed;
    counts[node.type === 'file' ? 'files' : node.type === 'dir' ? 'folders' : 'others'] += 1;
    const sides = change === 'added' ? { after: node } : { before: node };
    await this.#options.onChange({ change, path, ...sides, fields: [] });
    if (node.subtree !== undefined) await this.#below(change, path, node.subtree, depth);
  }

  async #below(change: 'added' | 'removed', path: Buffer, tree: string, depth: number): Promise<void> {
    for (const node of await this.#load(tree, depth + 1)) {
      await this.#oneSided(change, joinTreePath(path, node.name), node, depth + 1);
    }
  }

  /** Marks all blobs below a tree. */
  async reach(root: string, bit: number): Promise<void> {
    const waiting = [root];
    for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
      if (!this.#mark('tree', tree, bit)) continue;
      for (const node of await this.#load(tree, 0)) {
        if (node.subtree !== undefined) waiting.push(node.subtree);
        for (const id of node.content ?? []) this.#mark('data', id, bit);
      }
    }
  }

  #mark(type: BlobType, id: string, bit: number): boolean {
    const entry = this.#index.blobs.find(type, Buffer.from(id, 'hex'));
    if (entry < 0) throw new HoldfastError('FILE_NOT_FOUND', { kind: `${type} blob`, name: id });
    const known = this.#needed[entry] ?? 0;
    this.#needed[entry] = known | bit;
    if ((known & bit) === 0) this.#count(type, entry, known | bit, bit);
    return (known & bit) === 0;
  }

  /** `before` is reached first: a blob of both is taken from its count again. */
  #count(type: BlobType, entry: number, needed: number, bit: number): void {
    const isShared = needed === (beforeBit | afterBit);
    const counts = bit === beforeBit || isShared ? this.#removed : this.#added;
    const step = isShared ? -1 : 1;
    counts[type === 'tree' ? 'treeBlobs' : 'dataBlobs'] += step;
    counts.bytes += step * this.#index.plainLength(entry);
  }

  #load(tree: string, depth: number): Promise<TreeNode[]> {
    this.#options.signal?.throwIfAborted();
    return loadSoundTree(this.#reader, tree, depth);
  }

  summary(): DiffSummary {
    const { modified, type, metadata } = this.#counts;
    const [added, removed] = [this.#added, this.#removed];
    return { added, removed, modified, typeChanged: type, metadataChanged: metadata };
  }
}

function noCounts(): SideCounts {
  return { files: 0, folders: 0, others: 0, dataBlobs: 0, treeBlobs: 0, bytes: 0 };
}

function hasSameContent(a: TreeNode, b: TreeNode): boolean {
  if (a.type === 'dir') return true;
  const noTarget = Buffer.alloc(0);
  return (
    isDeepStrictEqual(a.content, b.content) &&
    a.device === b.device &&
    (a.linkTarget ?? noTarget).equals(b.linkTarget ?? noTarget)
  );
}

function differingFields(a: TreeNode, b: TreeNode): MetadataField[] {
  const fields: MetadataField[] = [];
  if (a.mode !== b.mode) fields.push('mode');
  if (a.mtimeNs !== b.mtimeNs) fields.push('mtime');
  for (const field of ['uid', 'gid', 'user', 'group'] as const) if (a[field] !== b[field]) fields.push(field);
  if (!isDeepStrictEqual(sorted(a), sorted(b))) fields.push('extendedAttributes');
  return fields;
}

/** File systems list attributes in any order. */
function sorted({ extendedAttributes }: TreeNode): readonly (readonly [string, string])[] {
  const pairs = extendedAttributes.map(({ name, value }) => [name, value.toString('base64')] as const);
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}
