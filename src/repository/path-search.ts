/** Looks for the same patterns in one backup after another. */
import { matchPatterns, type PathPattern, type PatternVerdict, pathNames } from './path-pattern.ts';
import { type TreeEntry, type TreeReader, walkTree } from './walk-tree.ts';

/** Folders that are remembered: some hundred bytes each. */
const rememberedFolders = 500_000;

interface OpenFolder {
  readonly path: Buffer;
  readonly key: string;
  /** How much had been found when it was entered. */
  readonly found: number;
}

export class PathSearch {
  readonly #patterns: readonly PathPattern[];
  readonly #ignoreCase: boolean;
  /** Trees, with their place, in which nothing was found: backups have most of them in common. */
  readonly #barren = new Set<string>();
  #found = 0;

  /** Patterns that were parsed with the same `ignoreCase`. */
  constructor(patterns: readonly PathPattern[], ignoreCase: boolean) {
    this.#patterns = patterns;
    this.#ignoreCase = ignoreCase;
  }

  /** The entries that match, in the order of the tree. Throws what walkTree throws. */
  async *in(reader: TreeReader, treeId: string, signal: AbortSignal): AsyncGenerator<TreeEntry, void> {
    const open: OpenFolder[] = [];
    const enter = ({ path, node: { subtree = '' } }: TreeEntry): boolean => {
      const key = keyOf(subtree, path);
      if (this.#barren.has(key) || !this.#verdict(path).mayMatchBelow) return false;
      open.push({ path, key, found: this.#found });
      return true;
    };
    const rootKey = keyOf(treeId, Buffer.alloc(0));
    if (this.#barren.has(rootKey)) return;
    open.push({ path: Buffer.alloc(0), key: rootKey, found: this.#found });
    for await (const entry of walkTree(reader, treeId, { signal, enter })) {
      while (!isBelow(entry.path, open.at(-1)?.path)) this.#close(open);
      if (!this.#verdict(entry.path).matched) continue;
      this.#found += 1;
      yield entry;
    }
    while (open.length > 0) this.#close(open);
  }

  #verdict(path: Buffer): PatternVerdict {
    return matchPatterns(this.#patterns, pathNames(path, { ignoreCase: this.#ignoreCase }));
  }

  #close(open: OpenFolder[]): void {
    const folder = open.pop();
    if (!folder || folder.found !== this.#found || this.#barren.size >= rememberedFolders) return;
    this.#barren.add(folder.key);
  }
}

function keyOf(tree: string, path: Buffer): string {
  return `${tree}${path.toString('latin1')}`;
}

function isBelow(path: Buffer, folder: Buffer | undefined): boolean {
  if (folder === undefined) return true;
  return path[folder.length] === 0x2f && path.subarray(0, folder.length).equals(folder);
}
