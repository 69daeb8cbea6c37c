/**
 * Which blobs the snapshots need: all trees are walked, each once, those of one pack together. The answer is a bit for
 * every entry of the index, so that the memory for it does not depend on how often a blob is used.
 */
import type { HoldfastError } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import { BlobReader } from './blob-reader.ts';
import { isAboutOneFile } from './check-findings.ts';
import { damaged } from './format/document.ts';
import type { LoadedIndex } from './load-index.ts';
import type { Repository } from './repository.ts';
import { TreeQueue } from './tree-queue.ts';

/** One byte for each entry of an index: this bit says that a snapshot needs the blob. */
export const usedBit = 0x80;

export interface UsedOptions {
  /** Trees that cannot be read are counted and passed over, and the walk does not end for what is missing. */
  readonly passOver?: boolean;
  readonly onTree?: (trees: number) => void;
  readonly signal?: AbortSignal;
}

export interface UsedBlobs {
  readonly trees: number;
  /** `data <id>` or `tree <id>` of needed blobs that the index lacks; the walk ends early when they are many. */
  readonly missing: ReadonlySet<string>;
  /** How many trees were passed over. */
  readonly unreadable: number;
}

const packsAtOnce = 3;
const mostMissing = 1000;

/** Sets the bit of every blob that the trees below `roots` need. Throws what keeps a tree from being read. */
export async function markUsed(
  repository: Repository,
  index: LoadedIndex,
  marks: Uint8Array,
  roots: Iterable<string>,
  options: UsedOptions = {},
): Promise<UsedBlobs> {
  const walk = new UsedWalk(repository, index, marks, options.passOver ?? false);
  for (const root of roots) walk.meet(root);
  await walk.queue.drain(packsAtOnce, async (id) => {
    options.signal?.throwIfAborted();
    try {
      await walk.read(id);
    } catch (error) {
      if (!options.passOver || !isAboutOneFile(error)) throw error;
      walk.unreadable += 1;
    }
    options.onTree?.(walk.trees);
  });
  return { trees: walk.trees, missing: walk.missing, unreadable: walk.unreadable };
}

class UsedWalk {
  readonly queue = new TreeQueue<string>();
  readonly missing = new Set<string>();
  trees = 0;
  unreadable = 0;
  readonly #passOver: boolean;
  readonly #index: LoadedIndex;
  readonly #reader: BlobReader;
  readonly #marks: Uint8Array;
  readonly #id = Buffer.allocUnsafe(32);

  constructor(repository: Repository, index: LoadedIndex, marks: Uint8Array, passOver: boolean) {
    this.#passOver = passOver;
    this.#index = index;
    this.#reader = new BlobReader(repository, index);
    this.#marks = marks;
  }

  /** Takes note of a tree, unless it was met before. */
  meet(id: string): void {
    if (!this.#mark('tree', id)) return;
    this.queue.add(this.#index.find('tree', id)!.packId, id);
  }

  async read(id: string): Promise<void> {
    const nodes = await this.#reader.loadTree(id);
    this.trees += 1;
    for (const { type, name, content, subtree } of nodes) {
      if (type === 'file') {
        if (!content) throw damagedTree(id, name);
        for (const blob of content) this.#mark('data', blob);
      } else if (type === 'dir') {
        if (subtree === undefined) throw damagedTree(id, name);
        this.meet(subtree);
      }
    }
  }

  /** Whether the blob is in the index and was not marked before. */
  #mark(type: BlobType, id: string): boolean {
    this.#id.write(id, 'hex');
    const entry = this.#index.blobs.find(type, this.#id);
    if (entry < 0) {
      if (this.missing.size < mostMissing) this.missing.add(`${type} ${id}`);
      else if (!this.#passOver) this.queue.end();
      return false;
    }
    if ((this.#marks[entry]! & usedBit) !== 0) return false;
    this.#marks[entry]! |= usedBit;
    return true;
  }
}

function damagedTree(id: string, name: Buffer): HoldfastError {
  return damaged({ kind: 'tree', name: id }, `its entry "${name}" has no content`);
}
