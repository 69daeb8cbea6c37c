/**
 * Gear v1 as docs/chunker.md words it, byte by byte, on 32-bit halves: what the WASM is judged by.
 */
import { createHash } from 'node:crypto';

const kib = 1024;
const minBytes = 512 * kib;
const normalBytes = 1408 * kib;
const maxBytes = 8192 * kib;
const zeroTailBytes = 64 * kib;
const segmentBytes = 65536 * kib;
const hardHigh = 0xeeeeaaaa;
const easyHigh = 0xaaaaaaaa;
const low = 0xa0000000;

export function referenceCuts(data: Buffer, polynomial: bigint): number[] {
  const table = referenceTable(polynomial);
  const lengths: number[] = [];
  for (let start = 0; start < data.length; ) {
    const segmentEnd = (Math.floor(start / segmentBytes) + 1) * segmentBytes;
    const length = cutLength(data.subarray(start, Math.min(segmentEnd, data.length, start + maxBytes)), table);
    lengths.push(length);
    start += length;
  }
  return lengths;
}

/** Pairs of low and high half. */
export function referenceTable(polynomial: bigint): Uint32Array {
  const table = new Uint32Array(512);
  for (let i = 0; i < 256; i++) {
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(polynomial);
    const digest = createHash('sha256').update('holdfast gear v1').update(number).update(Buffer.of(i)).digest();
    table[2 * i] = digest.readUInt32LE(0);
    table[2 * i + 1] = digest.readUInt32LE(4);
  }
  table[1] = (table[1] as number) & 0x7fffffff;
  return table;
}

/** `rest` is all that the chunk may hold. */
function cutLength(rest: Buffer, table: Uint32Array): number {
  const leadingZeros = rest.findIndex((byte) => byte !== 0);
  if (leadingZeros < 0) return rest.length;
  if (leadingZeros >= minBytes) return leadingZeros;
  let [hashLow, hashHigh, zeros] = [0, 0, 0];
  for (let length = 1; length < rest.length; length++) {
    const byte = rest[length - 1] as number;
    const sum = ((hashLow << 1) >>> 0) + (table[2 * byte] as number);
    const carried = (hashLow >>> 31) + (sum > 0xffffffff ? 1 : 0);
    hashHigh = (((hashHigh << 1) >>> 0) + (table[2 * byte + 1] as number) + carried) >>> 0;
    hashLow = sum >>> 0;
    zeros = byte === 0 ? zeros + 1 : 0;
    if (length < minBytes) continue;
    const high = length <= normalBytes ? hardHigh : easyHigh;
    if (zeros >= zeroTailBytes || ((hashHigh & high) === 0 && (hashLow & low) === 0)) return length;
  }
  return rest.length;
}
