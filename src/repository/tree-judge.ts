/** Finds out of which snapshots something is missing. Each tree is read at most once. */
import { messageOf } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import { isAboutOneFile } from './check-findings.ts';
import type { TreeNode } from './format/tree.ts';
import { deepestFolder, type TreeReader } from './walk-tree.ts';

export class TreeJudge {
  readonly #reader: TreeReader;
  readonly #isThere: (type: BlobType, id: string) => boolean;
  readonly #signal: AbortSignal | undefined;
  /** 32 bytes each, as text of one byte a character. */
  readonly #sound = new Set<string>();
  readonly #problems = new Map<string, string>();

  constructor(reader: TreeReader, isThere: (type: BlobType, id: string) => boolean, signal?: AbortSignal) {
    this.#reader = reader;
    this.#isThere = isThere;
    this.#signal = signal;
  }

  /** The first thing that is missing or unreadable in a tree and all below it, in words; undefined where nothing is. */
  async problemIn(tree: string, path = '', depth = 0): Promise<string | undefined> {
    const key = Buffer.from(tree, 'hex').toString('latin1');
    if (this.#sound.has(key)) return undefined;
    const problem = this.#problems.get(key) ?? (await this.#findProblem(tree, path, depth));
    if (problem === undefined) this.#sound.add(key);
    else this.#problems.set(key, problem);
    return problem;
  }

  async #findProblem(tree: string, path: string, depth: number): Promise<string | undefined> {
    this.#signal?.throwIfAborted();
    const folder = `the folder ${path === '' ? '/' : path}`;
    if (!this.#isThere('tree', tree)) return `${folder} (tree ${tree}) is missing or damaged`;
    if (depth > deepestFolder) return `${folder} lies more than ${deepestFolder} folders deep`;
    let nodes: readonly TreeNode[];
    try {
      nodes = await this.#reader.loadTree(tree);
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      return `${folder} (tree ${tree}) cannot be read: ${messageOf(error)}`;
    }
    for (const node of nodes) {
      const problem = await this.#problemWith(node, `${path}/${node.name}`, depth);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  async #problemWith({ type, content, subtree }: TreeNode, path: string, depth: number): Promise<string | undefined> {
    if (type === 'dir') {
      if (subtree === undefined) return `the folder ${path} has no tree`;
      return this.problemIn(subtree, path, depth + 1);
    }
    if (type !== 'file') return undefined;
    if (!content) return `the file ${path} has no content`;
    const lost = content.find((id) => !this.#isThere('data', id));
    return lost === undefined ? undefined : `data of ${path} (blob ${lost}) is missing or damaged`;
  }
}
