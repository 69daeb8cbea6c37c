/** Reads back what was restored: the trees are walked once more, and jobs compare every file with its blobs. */
import { closeSync, constants, openSync } from 'node:fs';
import type { TreeNode } from '../repository/format/tree.ts';
import type { OpenFolders } from './open-folders.ts';
import { isHole } from './restore-compare.ts';
import type { Place } from './restore-place.ts';
import { pathOf } from './restore-place.ts';
import type { FileNode, RestorePlan } from './restore-plan.ts';
import type { WalkVisitor } from './restore-walk.ts';

export interface VerifierContext {
  readonly plan: RestorePlan;
  /** Below the target, latin1: files that were left as they were, or have an error already. */
  readonly isToVerify: (path: string) => boolean;
}

export class RestoreVerifier implements WalkVisitor {
  readonly #context: VerifierContext;
  #current: { readonly place: Place; readonly folder: Buffer } | undefined;
  files = 0;

  constructor(context: VerifierContext) {
    this.#context = context;
  }

  folder(): boolean {
    return true;
  }

  async entry(place: Place, node: FileNode, path: string): Promise<void> {
    const { plan, isToVerify } = this.#context;
    if (node.type !== 'file' || !isToVerify(path)) return;
    if (this.#current?.place !== place) this.#current = { place, folder: Buffer.from(pathOf(place), 'latin1') };
    this.files += 1;
    await plan.addFile(this.#current.folder, node, 'make');
  }
}

/** For the plan of a verification: whether a range of a restored file is a hole. */
export function holeFinder(folders: OpenFolders) {
  return (folder: string, node: TreeNode, offset: number, lengthBytes: number): boolean => {
    const fd = openSync(
      folders.entry(folder, node.name),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      return isHole(fd, offset, lengthBytes);
    } finally {
      closeSync(fd);
    }
  };
}
