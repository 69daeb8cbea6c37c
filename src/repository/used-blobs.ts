/**
 * Which blobs the snapshots need: all trees are walked, each once, those of one pack together. The answer is a bit for
 * every entry of the index, so that the memory for it does not depend on how often a blob is used.
 */
import { HoldfastError } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import { BlobReader } from './blob-reader.ts';
import type { LoadedIndex } from './load-index.ts';
import type { Repository } from './repository.ts';

/** One byte for each entry of an index: this bit says that a snapshot needs the blob. */
export const usedBit = 0x80;

export interface UsedOptions {
  readonly onTree?: (trees: number) => void;
  readonly signal?: AbortSignal;
}

export interface UsedBlobs {
  readonly trees: number;
  /** `data <id>` or `tree <id>` of needed blobs that the index lacks; the walk ends early when they are many. */
  readonly missing: ReadonlySet<string>;
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
  const walk = new UsedWalk(repository, index, marks);
  for (const root of roots) walk.meet(root);
  const ends = await Promise.allSettled(Array.from({ length: packsAtOnce }, () => runWalk(walk, options)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return { trees: walk.trees, missing: walk.missing };
}

async function runWalk(walk: UsedWalk, { onTree, signal }: UsedOptions): Promise<void> {
  for (let trees = await walk.takePack(); trees; trees = await walk.takePack()) {
    try {
      for (const tree of trees) {
        signal?.throwIfAborted();
        await walk.read(tree);
        onTree?.(walk.trees);
      }
    } catch (error) {
      walk.end();
      throw error;
    } finally {
      walk.donePack();
    }
  }
}

class UsedWalk {
  readonly missing = new Set<string>();
  trees = 0;
  readonly #index: LoadedIndex;
  readonly #reader: BlobReader;
  readonly #marks: Uint8Array;
  readonly #id = Buffer.allocUnsafe(32);
  /** Trees that were met and not read yet, by their pack. */
  readonly #waiting = new Map<string, string[]>();
  readonly #packs: string[] = [];
  #packsInWork = 0;
  #ended = false;
  #changed = Promise.withResolvers<void>();

  constructor(repository: Repository, index: LoadedIndex, marks: Uint8Array) {
    this.#index = index;
    this.#reader = new BlobReader(repository, index);
    this.#marks = marks;
  }

  /** Takes note of a tree, unless it was met before. */
  meet(id: string): void {
    if (!this.#mark('tree', id)) return;
    const { packId } = this.#index.find('tree', id)!;
    const together = this.#waiting.get(packId);
    if (together) together.push(id);
    else {
      this.#waiting.set(packId, [id]);
      this.#packs.push(packId);
      this.#tellChange();
    }
  }

  /** The waiting trees of the pack met last; waits while others may find more. Undefined once all is read. */
  async takePack(): Promise<string[] | undefined> {
    while (!this.#ended) {
      const pack = this.#packs.pop();
      if (pack !== undefined) {
        const trees = this.#waiting.get(pack);
        this.#waiting.delete(pack);
        this.#packsInWork += 1;
        return trees;
      }
      if (this.#packsInWork === 0) return undefined;
      await this.#changed.promise;
    }
    return undefined;
  }

  donePack(): void {
    this.#packsInWork -= 1;
    this.#tellChange();
  }

  /** Lets nobody begin anything more. */
  end(): void {
    this.#ended = true;
    this.#tellChange();
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
      this.missing.add(`${type} ${id}`);
      if (this.missing.size >= mostMissing) this.end();
      return false;
    }
    if ((this.#marks[entry]! & usedBit) !== 0) return false;
    this.#marks[entry]! |= usedBit;
    return true;
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}

function damagedTree(id: string, name: Buffer): HoldfastError {
  return new HoldfastError('FILE_DAMAGED', { kind: 'tree', name: id, reason: `its entry "${name}" has no content` });
}
