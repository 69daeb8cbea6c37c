/** restic's rule: the cut points of real restic (restic format, chunker), whatever the reads. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { rabinTables } from '../../../src/repository/chunker/chunker.ts';
import { drawPolynomial } from '../../../src/repository/format/polynomial.ts';
import { chunkerOf, cuts, goldenPolynomial, keystream, kib, mib, numbers } from './test-data.ts';

const chunker = chunkerOf('rabin');
const random32 = keystream(32 * mib);
const minBytes = 512 * kib;

/** Cut by restic 0.14 in a repository with the golden polynomial. */
const byRestic = [
  551133, 640712, 2766582, 898583, 2782732, 2263350, 531615, 1191198, 3039727, 3056265, 6102139, 872917, 919848,
  1608882, 1844092, 1605195, 2879462,
];

test('random data is cut where restic cuts it', () => {
  expect(cuts(chunker, random32)).toEqual(byRestic);
});

test('up to the least length there is one chunk, and none of an empty file', () => {
  expect(cuts(chunker, random32.subarray(0, minBytes - 1))).toEqual([minBytes - 1]);
  expect(cuts(chunker, random32.subarray(0, minBytes))).toEqual([minBytes]);
  expect(cuts(chunker, Buffer.alloc(0))).toEqual([]);
});

test('zeros are cut at the least length, as restic does', () => {
  expect(cuts(chunker, Buffer.alloc(9_000_000))).toEqual([...Array(17).fill(minBytes), 87_104]);
});

test('the tables are those of restic', () => {
  const tables = rabinTables(goldenPolynomial);
  expect(tables[1]).toBe(0x3da3358b4dc173n);
  expect(tables[255]).toBe(0x1ff7ac8a5af476a7n);
});

test.each([8 * mib, 300_000, 16_384, 4097])('reads of up to %i bytes do not change the cuts', (largest) => {
  const next = numbers(largest);
  expect(cuts(chunker, random32, () => 1 + next(largest))).toEqual(byRestic);
});

test('cuts follow the definition for any polynomial', () => {
  const polynomial = drawPolynomial(randomBytes);
  const data = Buffer.concat([keystream(9 * mib, 3), Buffer.alloc(9 * mib, 7), keystream(3 * mib, 4)]);
  expect(cuts(chunkerOf('rabin', polynomial), data)).toEqual(reference(data, rabinTables(polynomial)));
});

/** The definition with BigInt, which hashes only the bytes that can decide. */
function reference(data: Buffer, tables: BigUint64Array): number[] {
  const lengths: number[] = [];
  for (let start = 0; start < data.length; ) {
    const longest = Math.min(8 * mib, data.length - start);
    let length = Math.min(minBytes, longest);
    let digest = 0n;
    const feed = (at: number) => {
      digest = ((digest << 8n) | BigInt(data[at] as number)) ^ (tables[Number(digest >> 45n)] as bigint);
    };
    for (let at = start + length - 64; at < start + length; at++) feed(at);
    while (length < longest && (digest & 0xfffffn) !== 0n) {
      feed(start + length);
      digest ^= tables[256 + (data[start + length - 64] as number)] as bigint;
      length++;
    }
    lengths.push(length);
    start += length;
  }
  return lengths;
}
