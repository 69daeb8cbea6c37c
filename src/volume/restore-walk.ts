/**
 * Goes through the trees of a snapshot for a restore, a folder at a time, with a few trees loaded ahead, and tells a visitor
 * what is selected. Names and folders that no sound tree has are left out and told.
 */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import type { TreePart } from '../repository/format/tree-scanner.ts';
import type { LargeTree } from '../repository/large-tree.ts';
import { deepestFolder } from '../repository/walk-tree.ts';
import { joinBelow, withoutHandles } from './open-folders.ts';
import { type Place, pathOf } from './restore-place.ts';
import type { FileNode } from './restore-plan.ts';
import type { Selection } from './restore-selection.ts';
import { isTargetLost, problemWithName } from './restore-target.ts';

/** Trees being loaded or waiting for their turn. */
const treesAhead = 32;

export interface WalkVisitor {
  /** A folder that is selected, or may hold what is. Whether to go into it; throws to say why not. */
  folder(place: Place): boolean;
  /** Anything else that is selected, in the folder that came last. May wait. `path` is latin1, below the target. */
  entry(place: Place, node: FileNode, path: string): Promise<void> | void;
  /** After all entries of a folder, with the names (latin1) of all of them, selected or not. */
  left?(place: Place, names: () => ReadonlySet<string>): void;
}

export interface WalkContext {
  readonly loadTree: (id: string) => Promise<readonly TreeNode[] | LargeTree>;
  readonly selection: Selection;
  readonly visitor: WalkVisitor;
  /** `path` is latin1, below the target. */
  readonly onError: (path: string, message: string) => void;
  /** Throws when the run has been ended. */
  readonly throwIfEnded: () => void;
}

interface Folder {
  readonly place: Place;
  readonly treeId: string;
  tree: Promise<readonly TreeNode[] | LargeTree> | undefined;
}

export class RestoreWalk {
  readonly #context: WalkContext;
  /** The next one is the last. */
  readonly #waiting: Folder[] = [];
  #treesAhead = 0;

  constructor(context: WalkContext) {
    this.#context = context;
  }

  /** `node`: the folder of the tree, where it is not the root of a snapshot. */
  async run(treeId: string, node?: TreeNode): Promise<void> {
    const { isOfRoot } = this.#context.selection;
    const root = { parent: undefined, name: Buffer.alloc(0), node, isSelected: isOfRoot, depth: 0 };
    this.#context.visitor.folder(root);
    this.#waiting.push({ place: root, treeId, tree: undefined });
    for (let folder = this.#waiting.pop(); folder; folder = this.#waiting.pop()) {
      this.#context.throwIfEnded();
      await this.#visit(folder);
    }
  }

  async #visit(folder: Folder): Promise<void> {
    const { visitor } = this.#context;
    const path = pathOf(folder.place);
    const firstChild = this.#waiting.length;
    const taken = new TakenNames();
    try {
      for await (const part of partsOf(await this.#load(folder))) {
        for (const [index, node] of part.nodes.entries()) {
          const longContent = part.long.get(index);
          await this.#node(folder.place, path, longContent ? { ...node, longContent } : node, taken);
        }
      }
      visitor.left?.(folder.place, () => taken.all());
    } catch (error) {
      this.#context.throwIfEnded();
      if (!isDamage(error)) throw error;
      this.#context.onError(path, `its content is not restored: ${messageOf(error)}`);
    }
    this.#reverseFrom(firstChild);
    this.#loadAhead();
  }

  #load(folder: Folder): Promise<readonly TreeNode[] | LargeTree> {
    if (!folder.tree) return this.#context.loadTree(folder.treeId);
    this.#treesAhead -= 1;
    return folder.tree;
  }

  #loadAhead(): void {
    for (let i = this.#waiting.length - 1; i >= 0 && this.#treesAhead < treesAhead; i--) {
      const folder = this.#waiting[i]!;
      if (folder.tree) continue;
      folder.tree = this.#context.loadTree(folder.treeId);
      // Whoever takes it gets the error; until then it is not unhandled.
      folder.tree.catch(() => undefined);
      this.#treesAhead += 1;
    }
  }

  /** Children are taken from the end, in the order of their names. */
  #reverseFrom(first: number): void {
    const waiting = this.#waiting;
    for (let low = first, high = waiting.length - 1; low < high; low++, high--) {
      [waiting[low], waiting[high]] = [waiting[high]!, waiting[low]!];
    }
  }

  async #node(place: Place, folder: string, node: FileNode, taken: TakenNames): Promise<void> {
    const { selection, visitor, onError } = this.#context;
    const path = joinBelow(folder, node.name);
    const problem = problemWithName(node.name) ?? taken.problemWith(node.name);
    if (problem) {
      onError(path, `it is left out: ${problem}`);
      return;
    }
    const { isSelected, mayHoldSelected } = selection.of(path);
    try {
      if (node.type === 'dir' && (isSelected || mayHoldSelected)) this.#enter(place, node, isSelected);
      else if (node.type !== 'dir' && isSelected) await visitor.entry(place, node, path);
    } catch (error) {
      this.#context.throwIfEnded();
      if (error instanceof HoldfastError || isTargetLost(error)) throw error;
      onError(path, withoutHandles(messageOf(error)));
    }
  }

  #enter(parent: Place, node: TreeNode, isSelected: boolean): void {
    if (node.subtree === undefined) throw new Error('it is a folder without content in the snapshot');
    if (parent.depth >= deepestFolder) throw new Error(`it lies more than ${deepestFolder} folders deep`);
    const place = { parent, name: node.name, node, isSelected, depth: parent.depth + 1 };
    if (this.#context.visitor.folder(place)) this.#waiting.push({ place, treeId: node.subtree, tree: undefined });
  }
}

async function* partsOf(
  tree: readonly TreeNode[] | LargeTree,
): AsyncGenerator<Pick<TreePart, 'long'> & { readonly nodes: readonly TreeNode[] }> {
  if ('parts' in tree) yield* tree.parts();
  else yield { nodes: tree, long: new Map() };
}

/** Damage ends one folder; that the store is gone ends the run. */
function isDamage(error: unknown): boolean {
  return isHoldfastError(error, 'FILE_NOT_FOUND') || isHoldfastError(error, 'FILE_DAMAGED');
}

/** Names of one folder; in ascending order, as they should be, that a name is new is one comparison. */
class TakenNames {
  #last = '';
  #set: Set<string> | undefined;
  readonly #ascending: string[] = [];

  problemWith(name: Buffer): string | undefined {
    const text = name.toString('latin1');
    if (!this.#set && this.#last < text) {
      this.#last = text;
      this.#ascending.push(text);
      return undefined;
    }
    const set = this.all();
    if (set.has(text)) return 'another entry of the folder has the same name';
    set.add(text);
    return undefined;
  }

  all(): Set<string> {
    this.#set ??= new Set(this.#ascending);
    return this.#set;
  }
}
