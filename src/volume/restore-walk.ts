/**
 * Walks the trees of a snapshot on the main thread: makes folders, links and special files, and plans the files. Trees are loaded a
 * few ahead. What can only be done at the end (hard links, attributes of folders) is kept until finish().
 */
import { linkSync, symlinkSync } from 'node:fs';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import { permissionsFromGo, posixTypeBits } from './attributes.ts';
import { makeDevice, makeFifo } from './libc.ts';
import { isTargetLost, joinPath, makeFolder, makingRoom, problemWithName } from './restore-target.ts';
import type { AttributeWriter } from './write-attributes.ts';

/** Trees being loaded or waiting for their turn. */
const treesAhead = 32;

export interface WalkContext {
  readonly loadTree: (id: string) => Promise<TreeNode[]>;
  /** May wait; throws when the file cannot be planned. */
  readonly addFile: (folder: Buffer, node: TreeNode) => Promise<void>;
  readonly attributes: AttributeWriter;
  readonly replace: boolean;
  readonly onError: (path: Buffer, message: string) => void;
  /** Throws when the run has been ended. */
  readonly throwIfEnded: () => void;
}

export interface WalkCounts {
  /** Regular files, with those that only become a link. */
  files: number;
  folders: number;
  /** Symbolic links, FIFOs, devices. */
  others: number;
  /** Sockets: nothing can restore them. */
  skipped: number;
  /** Regular files that are another name of one that was restored already. */
  hardLinks: number;
}

interface Folder {
  readonly path: Buffer;
  readonly treeId: string;
  nodes: Promise<TreeNode[]> | undefined;
}

/** An entry with several names, by its inode. */
interface LinkedEntry {
  readonly path: Buffer;
  readonly node: TreeNode;
}

export class RestoreWalk {
  readonly counts: WalkCounts = { files: 0, folders: 0, others: 0, skipped: 0, hardLinks: 0 };
  readonly #context: WalkContext;
  /** The next one is the last. */
  readonly #waiting: Folder[] = [];
  readonly #linked = new Map<string, LinkedEntry>();
  readonly #links: { readonly from: Buffer; readonly to: Buffer }[] = [];
  /** Parents before children. */
  readonly #folders: { readonly path: Buffer; readonly node: TreeNode; readonly isNew: boolean }[] = [];
  #treesAhead = 0;

  constructor(context: WalkContext) {
    this.#context = context;
  }

  /** Everything below the tree goes into the folder, which is there. `node`: the attributes that the folder gets at the end. */
  async run(treeId: string, path: Buffer, node?: TreeNode): Promise<void> {
    if (node) this.#folders.push({ path, node, isNew: false });
    this.#waiting.push({ path, treeId, nodes: undefined });
    for (let folder = this.#waiting.pop(); folder; folder = this.#waiting.pop()) {
      this.#context.throwIfEnded();
      await this.#fill(folder);
    }
  }

  /** After all files are written. */
  finish(): void {
    for (const { from, to } of this.#links) {
      this.#guarded(to, () => makingRoom(to, this.#context.replace, () => linkSync(from, to)));
    }
    for (const { path, node, isNew } of this.#folders.toReversed()) {
      this.#guarded(path, () => this.#context.attributes.write(path, node, isNew));
    }
  }

  async #fill(folder: Folder): Promise<void> {
    let nodes: TreeNode[];
    try {
      nodes = await this.#load(folder);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#context.onError(folder.path, `its content is not restored: ${messageOf(error)}`);
      return;
    }
    const firstChild = this.#waiting.length;
    const taken = new TakenNames();
    for (const node of nodes) {
      const problem = problemWithName(node.name) ?? taken.problemWith(node.name);
      const path = joinPath(folder.path, node.name);
      if (problem) this.#context.onError(path, `it is left out: ${problem}`);
      else await this.#guardedAsync(path, () => this.#addEntry(folder.path, path, node));
    }
    this.#reverseFrom(firstChild);
    this.#loadAhead();
  }

  #load(folder: Folder): Promise<TreeNode[]> {
    if (!folder.nodes) return this.#context.loadTree(folder.treeId);
    this.#treesAhead -= 1;
    return folder.nodes;
  }

  #loadAhead(): void {
    for (let i = this.#waiting.length - 1; i >= 0 && this.#treesAhead < treesAhead; i--) {
      const folder = this.#waiting[i]!;
      if (folder.nodes) continue;
      folder.nodes = this.#context.loadTree(folder.treeId);
      // Whoever takes it gets the error; until then it is not unhandled.
      folder.nodes.catch(() => undefined);
      this.#treesAhead += 1;
    }
  }

  /** Children are taken from the end, in the order of their names. */
  #reverseFrom(first: number): void {
    this.#waiting.push(...this.#waiting.splice(first).reverse());
  }

  async #addEntry(folder: Buffer, path: Buffer, node: TreeNode): Promise<void> {
    if (node.type === 'dir') this.#addFolder(path, node);
    else if (node.type === 'socket') this.counts.skipped += 1;
    else if (this.#isLinkToKnown(path, node)) return;
    else if (node.type === 'file') {
      this.counts.files += 1;
      await this.#context.addFile(folder, node);
    } else {
      this.#makeOther(path, node);
      this.counts.others += 1;
    }
  }

  #addFolder(path: Buffer, node: TreeNode): void {
    if (node.subtree === undefined) throw new Error('it is a folder without content in the snapshot');
    const isNew = makeFolder(path, this.#context.replace);
    this.counts.folders += 1;
    this.#folders.push({ path, node, isNew });
    this.#waiting.push({ path, treeId: node.subtree, nodes: undefined });
  }

  /**
   * Names of one file share inode and device. Inodes of other file systems may be the same by chance where a tool keeps no device,
   * and a file may change while it is backed up: only entries with the same content become one.
   */
  #isLinkToKnown(path: Buffer, node: TreeNode): boolean {
    if (node.links < 2 || node.inode === 0n) return false;
    const key = `${node.type} ${node.deviceId} ${node.inode}`;
    const known = this.#linked.get(key);
    if (!known) {
      this.#linked.set(key, { path, node });
      return false;
    }
    if (!hasSameContent(known.node, node)) return false;
    this.#links.push({ from: known.path, to: path });
    if (node.type === 'file') this.counts.files += 1;
    else this.counts.others += 1;
    this.counts.hardLinks += 1;
    return true;
  }

  #makeOther(path: Buffer, node: TreeNode): void {
    const { attributes, replace } = this.#context;
    makingRoom(path, replace, () => makeSpecial(path, node));
    attributes.write(path, node, true);
  }

  #guarded(path: Buffer, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(path, error);
    }
  }

  async #guardedAsync(path: Buffer, act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#fail(path, error);
    }
  }

  #fail(path: Buffer, error: unknown): void {
    this.#context.throwIfEnded();
    if (error instanceof HoldfastError || isTargetLost(error)) throw error;
    this.#context.onError(path, messageOf(error));
  }
}

/** Damage ends one folder; that the store is gone ends the run. */
function isDamage(error: unknown): boolean {
  return error instanceof HoldfastError && (error.code === 'FILE_NOT_FOUND' || error.code === 'FILE_DAMAGED');
}

function makeSpecial(path: Buffer, node: TreeNode): void {
  switch (node.type) {
    case 'symlink':
      symlinkSync(node.linkTarget ?? Buffer.alloc(0), path);
      break;
    case 'fifo':
      makeFifo(path, 0o600);
      break;
    case 'dev':
    case 'chardev':
      makeDevice(path, posixTypeBits(node.type) | (permissionsFromGo(node.mode) & 0o600), node.device);
      break;
    default:
      throw new Error(`it is of the unknown type "${node.type}"`);
  }
}

function hasSameContent(a: TreeNode, b: TreeNode): boolean {
  if (a.linkTarget && b.linkTarget) return a.linkTarget.equals(b.linkTarget);
  const [left, right] = [a.content ?? [], b.content ?? []];
  return a.device === b.device && left.length === right.length && left.every((id, index) => id === right[index]);
}

/** Names of one folder; in ascending order, as they should be, that a name is new is one comparison. */
class TakenNames {
  #last: Buffer | undefined;
  #all: Set<string> | undefined;
  readonly #ascending: Buffer[] = [];

  problemWith(name: Buffer): string | undefined {
    if (!this.#all && (!this.#last || this.#last.compare(name) < 0)) {
      this.#last = name;
      this.#ascending.push(name);
      return undefined;
    }
    this.#all ??= new Set(this.#ascending.map((taken) => taken.toString('latin1')));
    const key = name.toString('latin1');
    if (this.#all.has(key)) return 'another entry of the folder has the same name';
    this.#all.add(key);
    return undefined;
  }
}
