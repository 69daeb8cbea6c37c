/** Entries with several names: which of them are names of one file, as the snapshot has it. */
import { createHash } from 'node:crypto';
import { contentOf, type FileNode } from './restore-plan.ts';

interface LinkedEntry {
  /** Below the target, latin1. */
  readonly folder: string;
  readonly name: Buffer;
  readonly content: string;
}

/** The name that an entry was restored under first. */
export type FirstName = Pick<LinkedEntry, 'folder' | 'name'>;

export class LinkedEntries {
  readonly #known = new Map<string, LinkedEntry>();

  /**
   * Names of one file share inode and device. Inodes of other file systems may be the same by chance where a tool keeps no device,
   * and a file may change while it is backed up: only entries with the same content become one. undefined: it has no other
   * name so far, and is remembered.
   */
  firstNameOf(folder: string, node: FileNode): FirstName | undefined {
    if (node.links < 2 || node.inode === 0n) return undefined;
    const key = `${node.type} ${node.deviceId} ${node.inode}`;
    const content = digestOf(node);
    const known = this.#known.get(key);
    if (!known) this.#known.set(key, { folder, name: node.name, content });
    return known?.content === content ? known : undefined;
  }
}

function digestOf(node: FileNode): string {
  const hash = createHash('sha256')
    .update(node.linkTarget ?? '')
    .update(`\0${node.device}`);
  for (const { id, count } of contentOf(node)) hash.update(`\0${id} ${count}`);
  return hash.digest('latin1');
}
