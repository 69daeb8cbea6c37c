/** What a restore does about an entry of its target that is there already: restic's four ways. */

import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import { typeFromPosix } from './attributes.ts';

/**
 * `always`: the content of a file is compared and corrected. `if-changed`: the same, but a file of the same size and
 * mtime counts as right. `if-newer`: only where the entry of the backup is newer. `never`: what is there stays.
 */
export const overwriteModes = ['always', 'if-changed', 'if-newer', 'never'] as const;
export type OverwriteMode = (typeof overwriteModes)[number];

/**
 * `make` what is not there; `replace` it by another one; `compare` the content of a file, and correct it; `keep` it, and
 * only correct its attributes; `leave` it as it is.
 */
export type Treatment = 'make' | 'replace' | 'compare' | 'keep' | 'leave';

/** `path` follows no link. */
export function statIfThere(path: Buffer): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** For everything but folders. `path` is that of `stat`. */
export function treatmentOf(node: TreeNode, mode: OverwriteMode, path: Buffer, stat = statIfThere(path)): Treatment {
  if (!stat) return 'make';
  if (mode === 'never' || (mode === 'if-newer' && node.mtimeNs <= stat.mtimeNs)) return 'leave';
  if (typeFromPosix(Number(stat.mode)) !== node.type) return 'replace';
  switch (node.type) {
    case 'file':
      if (mode !== 'if-changed') return 'compare';
      return stat.size === BigInt(node.sizeBytes) && stat.mtimeNs === node.mtimeNs ? 'keep' : 'compare';
    case 'symlink':
      return node.linkTarget?.equals(readlinkSync(path, 'buffer')) ? 'keep' : 'replace';
    case 'dev':
    case 'chardev':
      return stat.rdev === BigInt(node.device) ? 'keep' : 'replace';
    default:
      return 'keep';
  }
}

/**
 * Opens a file to read and to write into. undefined where that is not allowed, or where it is no file of its own: one with
 * other names, which may lie outside of the target, must not change under them. Then it has to be replaced.
 */
export function openOwnFile(path: Buffer): number | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (refusals.has(codeOf(error) ?? '')) return undefined;
    throw error;
  }
  const stat = fstatSync(fd);
  if (stat.isFile() && stat.nlink === 1) return fd;
  closeSync(fd);
  return undefined;
}

/** What is there cannot be opened, or became something else since it was looked at. */
const refusals = new Set(['EACCES', 'EPERM', 'ETXTBSY', 'ELOOP', 'EISDIR', 'ENXIO', 'ENOENT']);
