/** What a restore into a folder would do, entry by entry. Nothing is written; what is there is read and compared. */
import { closeSync } from 'node:fs';
import { BlobReader } from '../repository/blob-reader.ts';
import type { NodeType, TreeNode } from '../repository/format/tree.ts';
import { loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { OpenFolders } from './open-folders.ts';
import { FileComparer } from './restore-compare.ts';
import { type DeleteContext, surplusOf } from './restore-delete.ts';
import { type OverwriteMode, statIfThere, treatmentOf } from './restore-existing.ts';
import type { RestoreOptions } from './restore-options.ts';
import { type Place, pathOf } from './restore-place.ts';
import type { FileNode } from './restore-plan.ts';
import { Selection } from './restore-selection.ts';
import { findFolder } from './restore-source.ts';
import { lookAtTarget } from './restore-target.ts';
import { RestoreWalk, type WalkVisitor } from './restore-walk.ts';
import { hasAttributes } from './write-attributes.ts';

/**
 * `create` what is not there; `update` the content of a file; `replace` an entry by another one; `attributes`: only these;
 * `keep` what is right already; `leave` what is there, right or not; `delete` what is not in the backup.
 */
export type RestoreAction = 'create' | 'update' | 'replace' | 'attributes' | 'keep' | 'leave' | 'delete';

export interface PreviewedEntry {
  readonly action: RestoreAction;
  /** undefined for what is deleted. */
  readonly type: NodeType | undefined;
  /** Below the target. */
  readonly path: Buffer;
  /** Of files. */
  readonly sizeBytes: number;
}

export interface PreviewOptions
  extends Pick<RestoreOptions, 'snapshot' | 'subfolder' | 'select' | 'target' | 'overwrite' | 'delete' | 'signal'> {
  readonly onEntry: (entry: PreviewedEntry) => void;
  readonly onError: (path: Buffer, message: string) => void;
}

/** Throws as restoreFolder does. */
export async function previewRestore(repository: Repository, options: PreviewOptions): Promise<void> {
  const selection = new Selection(options.select);
  const index = await loadIndex(repository, 'read');
  const reader = new BlobReader(repository, index);
  const { treeId, node } = await findFolder(reader, options);
  const overwrite = options.overwrite ?? (options.delete ? 'always' : undefined);
  const target = lookAtTarget(options.target, { backupId: options.snapshot.id, overwrite });
  const onError = (path: string, message: string) => options.onError(Buffer.from(path, 'latin1'), message);
  const comparer = new FileComparer(index);
  const folders = target && new OpenFolders(target.fd);
  const deletes = folders && options.delete ? { folders, selection, device: target.device, onError } : undefined;
  const there = folders && target.overwrite ? { folders, overwrite: target.overwrite, deletes } : undefined;
  try {
    const visitor = new Preview(comparer, there, options.onEntry);
    const loadTree = (id: string) => reader.openTree(id);
    const throwIfEnded = () => options.signal?.throwIfAborted();
    await new RestoreWalk({ loadTree, selection, visitor, onError, throwIfEnded }).run(treeId, node);
  } finally {
    folders?.close();
    if (target) closeSync(target.fd);
  }
}

/** What there is in the target. */
interface Existing {
  readonly folders: OpenFolders;
  readonly overwrite: OverwriteMode;
  readonly deletes: DeleteContext | undefined;
}

class Preview implements WalkVisitor {
  readonly #comparer: FileComparer;
  readonly #there: Existing | undefined;
  readonly #onEntry: PreviewOptions['onEntry'];
  /** Folders of the target that are there. */
  readonly #existing = new Set<Place>();

  constructor(comparer: FileComparer, there: Existing | undefined, onEntry: PreviewOptions['onEntry']) {
    this.#comparer = comparer;
    this.#there = there;
    this.#onEntry = onEntry;
  }

  folder(place: Place): boolean {
    const { parent, node } = place;
    if (!parent || !node) {
      if (this.#there) this.#existing.add(place);
      return true;
    }
    const action = this.#actionOfFolder(place, parent, node);
    if (place.isSelected) this.#tell(action, node, pathOf(place));
    return action !== 'leave';
  }

  async entry(place: Place, node: FileNode, path: string): Promise<void> {
    if (node.type !== 'socket') this.#tell(await this.#actionOf(place, node), node, path);
  }

  left(place: Place, names: () => ReadonlySet<string>): void {
    const deletes = this.#there?.deletes;
    if (!deletes || !this.#existing.has(place)) return;
    for (const { path } of surplusOf(deletes, pathOf(place), names())) {
      this.#onEntry({ action: 'delete', type: undefined, path: Buffer.from(path, 'latin1'), sizeBytes: 0 });
    }
  }

  #actionOfFolder(place: Place, parent: Place, node: TreeNode): RestoreAction {
    if (!this.#there || !this.#existing.has(parent)) return 'create';
    const { folders, overwrite } = this.#there;
    const entry = folders.entry(pathOf(parent), place.name);
    const stat = statIfThere(entry);
    if (!stat) return 'create';
    if (stat.isDirectory()) {
      this.#existing.add(place);
      return hasAttributes(entry, node) ? 'keep' : 'attributes';
    }
    return treatmentOf(node, overwrite, entry, stat) === 'leave' ? 'leave' : 'replace';
  }

  async #actionOf(place: Place, node: FileNode): Promise<RestoreAction> {
    if (!this.#there || !this.#existing.has(place)) return 'create';
    const { folders, overwrite } = this.#there;
    const folder = pathOf(place);
    const entry = folders.entry(folder, node.name);
    const treatment = treatmentOf(node, overwrite, entry);
    if (treatment === 'make') return 'create';
    if (treatment === 'replace' || treatment === 'leave') return treatment;
    if (treatment === 'compare' && !(await this.#comparer.holds(entry, node))) return 'update';
    return hasAttributes(folders.entry(folder, node.name), node) ? 'keep' : 'attributes';
  }

  #tell(action: RestoreAction, { type, sizeBytes }: TreeNode, path: string): void {
    this.#onEntry({ action, type, path: Buffer.from(path, 'latin1'), sizeBytes });
  }
}
