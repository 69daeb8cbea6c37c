/** Makes the entries that are neither files nor folders. */
import { symlinkSync } from 'node:fs';
import type { TreeNode } from '../repository/format/tree.ts';
import { permissionsFromGo, posixTypeBits } from './attributes.ts';
import { makeDevice, makeFifo } from './libc.ts';

/** A symbolic link, FIFO or device. Throws where the path is taken, and for types of other tools. */
export function makeSpecial(path: Buffer, node: TreeNode): void {
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
