/** Opens what a backup reads, by its name in a folder that is held open: shorter ways for the kernel, and the same folder all along. */

import { constants } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import { openAt, workingDirectory } from './libc.ts';

const pathOnly = 0o10000000;
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Linux: reading leaves no access time; only the owner and root may. */
const noAccessTime = 0o1000000;

/** A folder, held open only to name what is in it. The caller closes it. */
export function openFolder(path: Buffer): number {
  return openAt(workingDirectory, terminated(path), pathOnly | constants.O_DIRECTORY);
}

/**
 * `name` ends with NUL. Never follows a symbolic link and never waits for the other end of a FIFO that took a file's
 * place. The caller closes it.
 */
export function openForReading(folder: number, name: Buffer): number {
  try {
    return openAt(folder, name, readFlags | noAccessTime);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
    return openAt(folder, name, readFlags);
  }
}

/** With NUL at the end. */
export function terminated(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.of(0)]);
}
