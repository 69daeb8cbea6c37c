/** Compares a file with its content in the backup on the main thread: for the few that no job can compare, and for plans. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { LoadedIndex } from '../repository/load-index.ts';
import { ZeroBlobs } from '../repository/zero-blobs.ts';
import { nextData } from './libc.ts';
import { plainLength } from './restore-job.ts';
import { contentOf, type FileNode } from './restore-plan.ts';

/** Between breaks for what else the thread has to do. */
const sliceBytes = 8 << 20;

export class FileComparer {
  readonly #index: LoadedIndex;
  readonly #zeros = new ZeroBlobs();
  readonly #piece = Buffer.allocUnsafe(256 << 10);

  constructor(index: LoadedIndex) {
    this.#index = index;
  }

  /** Whether the file, which is opened without following a link, holds just what the node says. */
  async holds(path: Buffer, node: FileNode): Promise<boolean> {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      return await this.#holds(fd, node);
    } finally {
      closeSync(fd);
    }
  }

  async #holds(fd: number, node: FileNode): Promise<boolean> {
    const sizeBytes = fstatSync(fd).size;
    let position = 0;
    let sliceEnd = sliceBytes;
    for (const { id, count } of contentOf(node)) {
      const found = this.#index.find('data', id);
      if (!found) return false;
      const lengthBytes = plainLength(found);
      if (position + count * lengthBytes > sizeBytes) return false;
      if (count > 1 && this.#zeros.has(id, lengthBytes) && isHole(fd, position, count * lengthBytes)) {
        position += count * lengthBytes;
        continue;
      }
      for (let time = 0; time < count; time++) {
        if (this.#hashOf(fd, position, lengthBytes) !== id) return false;
        position += lengthBytes;
        if (position < sliceEnd) continue;
        sliceEnd = position + sliceBytes;
        await new Promise(setImmediate);
      }
    }
    return position === sizeBytes;
  }

  #hashOf(fd: number, position: number, lengthBytes: number): string {
    const hash = createHash('sha256');
    for (let done = 0; done < lengthBytes; ) {
      const wanted = Math.min(this.#piece.length, lengthBytes - done);
      const read = readSync(fd, this.#piece, 0, wanted, position + done);
      if (read === 0) return '';
      hash.update(this.#piece.subarray(0, read));
      done += read;
    }
    return hash.digest('hex');
  }
}

/** Whether nothing is stored for the range, so that it reads as zeros. */
export function isHole(fd: number, offset: number, lengthBytes: number): boolean {
  return (nextData(fd, offset) ?? Number.POSITIVE_INFINITY) >= offset + lengthBytes;
}
