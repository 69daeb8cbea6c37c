/** Entries of trees that stand on no disk. */
import type { TreeNode } from './format/tree.ts';

/** What all of them look like: root's, with the time of the backup. */
export function madeUp(name: string, timeNs: bigint): Omit<TreeNode, 'type' | 'mode'> {
  return {
    name: Buffer.from(name),
    mtimeNs: timeNs,
    atimeNs: timeNs,
    ctimeNs: timeNs,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    inode: 0n,
    deviceId: 0n,
    sizeBytes: 0,
    links: 0,
    extendedAttributes: [],
    device: 0,
    content: null,
  };
}

/** A file of one blob. */
export function madeUpFile(name: string, sizeBytes: number, blob: string, timeNs: bigint): TreeNode {
  return { ...madeUp(name, timeNs), type: 'file', mode: 0o644, sizeBytes, links: 1, content: [blob] };
}

const directoryBit = 2 ** 31;

export function madeUpFolder(name: string, subtree: string, timeNs: bigint): TreeNode {
  return { ...madeUp(name, timeNs), type: 'dir', mode: directoryBit + 0o755, subtree };
}
