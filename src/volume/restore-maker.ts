/**
 * Makes what a restore finds in the trees: folders at once or when something is in them, links and special files at once,
 * files by way of the plan. What can only be done at the end (hard links, attributes of folders) is kept until finish().
 */
import { closeSync, constants, linkSync, lstatSync, mkdirSync, openSync, unlinkSync } from 'node:fs';
import { codeOf, HoldfastError, messageOf } from '../base/errors.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import { changeMode, joinBelow, type OpenFolders, withoutHandles } from './open-folders.ts';
import { type MakerCounts, noCounts } from './restore-counts.ts';
import { type DeleteContext, removeSurplus, type Surplus, surplusBelow, surplusOf } from './restore-delete.ts';
import { type OverwriteMode, statIfThere, type Treatment, treatmentOf } from './restore-existing.ts';
import type { FileStart } from './restore-job.ts';
import { type FirstName, LinkedEntries } from './restore-links.ts';
import { type Place, pathOf } from './restore-place.ts';
import type { FileNode } from './restore-plan.ts';
import { makeSpecial } from './restore-special.ts';
import { isTargetLost, lostAndFound, makingRoom } from './restore-target.ts';
import type { WalkVisitor } from './restore-walk.ts';
import { type AttributeWriter, hasAttributes } from './write-attributes.ts';

export interface MakerContext {
  readonly folders: OpenFolders;
  readonly attributes: AttributeWriter;
  /** undefined: the target had nothing in it. */
  readonly overwrite: OverwriteMode | undefined;
  /** Where what is not in the backup is to be deleted. */
  readonly deletes: DeleteContext | undefined;
  /** May wait; throws when the file cannot be planned. */
  readonly addFile: (folder: Buffer, node: FileNode, start: FileStart) => Promise<void>;
  /** Whether a file with other names holds what it should. */
  readonly holdsContent: (path: Buffer, node: FileNode) => Promise<boolean>;
  readonly onError: (path: string, message: string) => void;
  /** Of a path below the target, for people. */
  readonly show: (path: string) => string;
}

interface Made {
  readonly isNew: boolean;
}

export class EntryMaker implements WalkVisitor {
  readonly counts: MakerCounts;
  readonly #context: MakerContext;
  /** Parents before children. */
  readonly #made = new Map<Place, Made>();
  readonly #linked = new LinkedEntries();
  readonly #links: { readonly from: FirstName; readonly to: FirstName }[] = [];
  readonly #surplus: Surplus[] = [];
  /** Paths of files that are left as they are, or become links. */
  readonly #notWritten = new Set<string>();
  #current: { readonly place: Place; readonly text: string; readonly bytes: Buffer } | undefined;

  constructor(context: MakerContext) {
    this.#context = context;
    this.counts = noCounts();
  }

  folder(place: Place): boolean {
    if (!place.parent) this.#made.set(place, { isNew: false });
    else if (place.isSelected) this.#make(place);
    return true;
  }

  async entry(place: Place, node: FileNode, path: string): Promise<void> {
    if (node.type === 'socket') {
      this.counts.skipped += 1;
      return;
    }
    this.#make(place);
    const folder = this.#pathOf(place);
    const found = this.#lookAt(place, folder, node);
    if (found.treatment === 'leave') this.#leave(node, path);
    else if (this.#becomesLink(folder, node)) return;
    else if (node.type === 'file') await this.#file(place, node, found, path);
    else this.#other(folder, node, found, path);
  }

  left(place: Place, names: () => ReadonlySet<string>): void {
    const { deletes } = this.#context;
    if (!deletes || this.#made.get(place)?.isNew) return;
    for (const surplus of surplusOf(deletes, this.#pathOf(place), names())) this.#surplus.push(surplus);
  }

  /** Whether the file has content of its own that this restore wrote, or found right. */
  isWritten(path: string): boolean {
    return !this.#notWritten.has(path);
  }

  /** After all files are written. Where anything failed, nothing is deleted. */
  finish(hasErrors: boolean): void {
    for (const { from, to } of this.#links) {
      this.#guarded(joinBelow(to.folder, to.name), () => this.#link(from, to));
    }
    const { deletes } = this.#context;
    if (deletes && !hasErrors) {
      for (const surplus of this.#surplus) if (removeSurplus(deletes, surplus)) this.counts.deleted += 1;
    }
    for (const [place, { isNew }] of [...this.#made].reverse()) {
      if (place.node && (isNew || place.isSelected)) this.#finishFolder(place, place.node, isNew);
    }
  }

  #finishFolder(place: Place, node: TreeNode, isNew: boolean): void {
    const { folders, attributes, show } = this.#context;
    const path = pathOf(place);
    this.#guarded(path, () => {
      const entry = place.parent ? folders.entry(pathOf(place.parent), place.name) : folders.itself('');
      const at = openSync(entry, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      try {
        const written = { at, isNew, shown: () => show(path) };
        if (isNew) attributes.write(written, node);
        else attributes.correct(written, node);
      } finally {
        closeSync(at);
      }
    });
  }

  /** And the folders above it that are not there yet. */
  #make(place: Place): void {
    if (this.#made.has(place)) return;
    const missing: Place[] = [];
    for (let at: Place | undefined = place; at && !this.#made.has(at); at = at.parent) missing.push(at);
    for (const one of missing.reverse()) {
      const isNew = this.#makeFolder(one, pathOf(one.parent ?? one));
      this.#made.set(one, { isNew });
      this.counts.folders += 1;
    }
  }

  /** Whether it is new. */
  #makeFolder({ name, node, isSelected }: Place, parent: string): boolean {
    const { folders, overwrite } = this.#context;
    const entry = folders.entry(parent, name);
    try {
      mkdirSync(entry, 0o700);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const stat = lstatSync(entry, { bigint: true });
      const isUsable = overwrite !== undefined || name.toString('latin1') === lostAndFound;
      if (stat.isDirectory() && isUsable) {
        const permissions = Number(stat.mode & 0o7777n);
        if (isSelected && (permissions & 0o700) !== 0o700) changeMode(entry, permissions | 0o700);
        return false;
      }
      if (overwrite === undefined) throw error;
      if (!node || treatmentOf(node, overwrite, entry, stat) === 'leave') {
        throw new Error(`what is there is no folder, and stays with --overwrite ${overwrite}`);
      }
    }
    unlinkSync(entry);
    mkdirSync(entry, 0o700);
    return true;
  }

  #lookAt(place: Place, folder: string, node: FileNode): Found {
    const { folders, overwrite } = this.#context;
    if (overwrite === undefined || this.#made.get(place)?.isNew)
      return { treatment: 'make', names: 0n, isFolder: false };
    const entry = folders.entry(folder, node.name);
    const stat = statIfThere(entry);
    const treatment = treatmentOf(node, overwrite, entry, stat);
    return { treatment, names: stat?.nlink ?? 0n, isFolder: stat?.isDirectory() ?? false };
  }

  #leave(node: FileNode, path: string): void {
    if (node.type !== 'file') {
      this.counts.othersLeft += 1;
      return;
    }
    this.counts.files += 1;
    this.counts.filesLeft += 1;
    this.#notWritten.add(path);
  }

  #becomesLink(folder: string, node: FileNode): boolean {
    const from = this.#linked.firstNameOf(folder, node);
    if (!from) return false;
    this.#links.push({ from, to: { folder, name: node.name } });
    if (node.type === 'file') {
      this.counts.files += 1;
      this.counts.hardLinks += 1;
      this.#notWritten.add(joinBelow(folder, node.name));
    } else this.counts.others += 1;
    return true;
  }

  async #file(place: Place, node: FileNode, found: Found, path: string): Promise<void> {
    const { addFile } = this.#context;
    const { text: folder, bytes } = this.#textOf(place);
    this.counts.files += 1;
    if (await this.#isKept(folder, node, found, path)) {
      this.counts.kept += 1;
      this.counts.keptBytes += node.sizeBytes;
    } else if (found.treatment === 'make') await addFile(bytes, node, 'make');
    else {
      this.#clear(folder, node, found);
      const canCorrect = found.treatment === 'compare' && found.names === 1n;
      await addFile(bytes, node, canCorrect ? 'compare' : 'replace');
    }
  }

  /**
   * Whether the file that is there stays, with its attributes corrected. One with other names, which may lie outside of the
   * target, stays only if nothing about it is to be changed.
   */
  async #isKept(folder: string, node: FileNode, { treatment, names }: Found, path: string): Promise<boolean> {
    const { folders, attributes, holdsContent, show } = this.#context;
    if (treatment !== 'keep' && !(treatment === 'compare' && names > 1n)) return false;
    const entry = folders.entry(folder, node.name);
    if (names > 1n) {
      return hasAttributes(entry, node) && (treatment === 'keep' || (await holdsContent(entry, node)));
    }
    attributes.correct({ at: entry, isNew: false, shown: () => show(path) }, node);
    return true;
  }

  #other(folder: string, node: FileNode, found: Found, path: string): void {
    const { folders, attributes, show } = this.#context;
    const shown = () => show(path);
    if (found.treatment === 'keep' && (found.names < 2n || hasAttributes(folders.entry(folder, node.name), node))) {
      attributes.correct({ at: folders.entry(folder, node.name), isNew: false, shown }, node);
    } else {
      this.#clear(folder, node, found);
      const entry = folders.entry(folder, node.name);
      makingRoom(entry, found.treatment !== 'make', () => makeSpecial(entry, node));
      attributes.write({ at: entry, isNew: true, shown }, node);
    }
    this.counts.others += 1;
  }

  /** A folder in the way of something else goes with all that is in it, where that is to be deleted. */
  #clear(folder: string, { name }: TreeNode, { isFolder }: Found): void {
    const { deletes } = this.#context;
    if (!isFolder || !deletes) return;
    for (const surplus of [...surplusBelow(deletes, folder, name.toString('latin1'))]) {
      if (removeSurplus(deletes, surplus)) this.counts.deleted += 1;
    }
  }

  #link(from: FirstName, to: FirstName): void {
    const { folders, overwrite } = this.#context;
    const fromFolder = folders.open(from.folder);
    try {
      const source = Buffer.concat([Buffer.from(`/proc/self/fd/${fromFolder}/`), from.name]);
      const target = folders.entry(to.folder, to.name);
      const [first, there] = [lstatSync(source, { bigint: true }), statIfThere(target)];
      if (there?.ino === first.ino && there.dev === first.dev) return;
      makingRoom(target, overwrite !== undefined, () => linkSync(source, target));
    } finally {
      closeSync(fromFolder);
    }
  }

  #pathOf(place: Place): string {
    return this.#textOf(place).text;
  }

  /** All files of a folder are planned with the same bytes. */
  #textOf(place: Place): { readonly place: Place; readonly text: string; readonly bytes: Buffer } {
    if (this.#current?.place === place) return this.#current;
    const text = pathOf(place);
    this.#current = { place, text, bytes: Buffer.from(text, 'latin1') };
    return this.#current;
  }

  #guarded(path: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (error instanceof HoldfastError || isTargetLost(error)) throw error;
      this.#context.onError(path, withoutHandles(messageOf(error)));
    }
  }
}

interface Found {
  readonly treatment: Treatment;
  /** How many names it has. */
  readonly names: bigint;
  readonly isFolder: boolean;
}
