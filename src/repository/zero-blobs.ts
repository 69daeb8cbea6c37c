/** Which blobs are nothing but zeros, known by their id alone: the holes of sparse files are made of them. */
import { createHash } from 'node:crypto';

/** No tool makes larger blobs, and nobody shall have us hash for long. */
const longestBytes = 64 << 20;
const mostLengths = 64;
const zeros = Buffer.alloc(64 << 10);

/** Remembers the id of each length; hashes the length once. */
export class ZeroBlobs {
  readonly #idByLength = new Map<number, string>();

  /** Worth asking for ids that repeat only: each new length costs a hash of so many bytes. */
  has(id: string, lengthBytes: number): boolean {
    if (lengthBytes > longestBytes) return false;
    let zeroId = this.#idByLength.get(lengthBytes);
    if (zeroId === undefined) {
      if (this.#idByLength.size >= mostLengths) return false;
      zeroId = idOfZeros(lengthBytes);
      this.#idByLength.set(lengthBytes, zeroId);
    }
    return id === zeroId;
  }
}

function idOfZeros(lengthBytes: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < lengthBytes; at += zeros.length) {
    hash.update(lengthBytes - at < zeros.length ? zeros.subarray(0, lengthBytes - at) : zeros);
  }
  return hash.digest('hex');
}
