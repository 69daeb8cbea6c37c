/** Data for the chunkers' tests: the same bytes on every machine. */
import { createCipheriv } from 'node:crypto';
import { type Chunker, createChunker } from '../../../src/repository/chunker/chunker.ts';

export const kib = 1024;
export const mib = 1024 * kib;

/** The polynomial of the golden vectors in restic's format. */
export const goldenPolynomial = 0x3da3358b4dc173n;

/** AES-256-CTR keystream with an all-zero IV; seed 0 is the all-zero key. */
export function keystream(sizeBytes: number, seed = 0): Buffer {
  const key = Buffer.alloc(32);
  key.writeUInt32LE(seed);
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** Numbered lines. */
export function text(sizeBytes: number): Buffer {
  const lines: string[] = [];
  for (let i = 0, length = 0; length < sizeBytes; i++) {
    const line = `line ${i} of a text, ${(i * 7919) % 10007} and ${(i * 104729) % 65537}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join('')).subarray(0, sizeBytes);
}

/** Whole numbers below `limit`, the same for the same seed. */
export function numbers(seed: number): (limit: number) => number {
  const source = keystream(64 * kib, seed);
  let at = 0;
  return (limit) => {
    const value = source.readUInt32LE(at);
    at = (at + 4) % source.length;
    return value % limit;
  };
}

/** The lengths of all chunks of `data`, given to the chunker in reads of `readBytes()` as a worker does. */
export function cuts(
  chunker: Chunker,
  data: Buffer,
  readBytes: () => number = () => Number.MAX_SAFE_INTEGER,
): number[] {
  const { buffer } = chunker;
  const lengths: number[] = [];
  let [start, end, taken] = [0, 0, 0];
  chunker.reset();
  for (;;) {
    const length = chunker.next(start, end, taken === data.length);
    if (length > 0) {
      lengths.push(length);
      start += length;
    } else {
      if (taken === data.length) return lengths;
      if (end === buffer.length) {
        buffer.copyWithin(0, start, end);
        [start, end] = [0, end - start];
      }
      const count = Math.min(readBytes(), buffer.length - end, data.length - taken);
      data.copy(buffer, end, taken, taken + count);
      end += count;
      taken += count;
    }
  }
}

export function chunkerOf(kind: 'gear-v1' | 'rabin', polynomial: bigint = goldenPolynomial): Chunker {
  return createChunker({ polynomial, kind });
}
