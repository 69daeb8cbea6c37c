/** Gear v1: frozen cuts, the definition of docs/chunker.md, and what the rest of the program relies on. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { gearTable, maxChunkBytes, segmentBytes } from '../../../src/repository/chunker/chunker.ts';
import { drawPolynomial } from '../../../src/repository/format/polynomial.ts';
import { referenceCuts } from './gear-reference.ts';
import { chunkerOf, cuts, goldenPolynomial, keystream, kib, mib, numbers, text } from './test-data.ts';

const chunker = chunkerOf('gear-v1');
const minBytes = 512 * kib;
const random32 = keystream(32 * mib);

/** Random data, text, and runs of zeros of all the lengths that the rules tell apart. */
function mixed(seed: number): Buffer {
  const next = numbers(seed);
  const zeros = [63, 65, 4096, 65_535, 65_536, 65_537, 200_000, minBytes - 1, minBytes, minBytes + 1, 900_000, 9 * mib];
  const parts = Array.from({ length: 24 }, () => {
    const kind = next(3);
    if (kind === 0) return keystream(next(2 * mib), seed + next(1000));
    if (kind === 1) return text(next(mib));
    return Buffer.alloc(zeros[next(zeros.length)] as number);
  });
  return Buffer.concat(parts);
}

test('gear v1 cuts random data where it always did', () => {
  expect(cuts(chunker, random32)).toEqual([
    1552107, 1480944, 635657, 1711663, 1647213, 1769103, 2192498, 1900145, 612956, 1333838, 580577, 1605121, 1057393,
    1540169, 667443, 2016825, 1319084, 1469918, 1199530, 1614188, 1789225, 786565, 1442486, 1512568, 117216,
  ]);
});

test('gear v1 cuts text where it always did', () => {
  expect(cuts(chunker, text(8 * mib))).toEqual([1547150, 2293974, 1306760, 1678734, 1561990]);
});

test('gear v1 has the table that it always had', () => {
  const table = gearTable(goldenPolynomial);
  expect([table[0], table[1], table[255]]).toEqual([0x7723c56508b4e177n, 0x1c84d02a5489242dn, 0x15aec22b3e00f1cen]);
});

test('zeros are cut into chunks of the greatest length', () => {
  expect(cuts(chunker, Buffer.alloc(20 * mib + 5))).toEqual([8 * mib, 8 * mib, 4 * mib + 5]);
});

test('a long run of zeros inside data is kept out of the chunks around it', () => {
  const data = Buffer.concat([keystream(300 * kib), Buffer.alloc(10 * mib), keystream(700 * kib, 1)]);
  expect(cuts(chunker, data)).toEqual([minBytes, 8 * mib, 10 * mib + 300 * kib - minBytes - 8 * mib, 700 * kib]);
});

test.each([1, 2, 3, 4, 5, 6])('cuts follow the written definition (data %i)', (seed) => {
  const data = mixed(seed);
  const polynomial = drawPolynomial(randomBytes);
  const found = cuts(chunkerOf('gear-v1', polynomial), data);
  expect(found, `polynomial ${polynomial.toString(16)}`).toEqual(referenceCuts(data, polynomial));
});

test.each([1, 2, 3])('cuts do not depend on the sizes of the reads (data %i)', (seed) => {
  const data = mixed(seed);
  const whole = cuts(chunker, data);
  for (const largest of [5 * mib, 300_000, 16_384]) {
    const next = numbers(seed + largest);
    expect(cuts(chunker, data, () => 1 + next(largest))).toEqual(whole);
  }
});

test('cuts of a file are the cuts of its segments', () => {
  const data = Buffer.concat([keystream(60 * mib), Buffer.alloc(10 * mib), keystream(60 * mib, 1)]);
  const bySegment = [0, 1, 2].flatMap((i) => cuts(chunker, data.subarray(i * segmentBytes, (i + 1) * segmentBytes)));
  expect(cuts(chunker, data)).toEqual(bySegment);
  expect(cuts(chunker, data)).toEqual(referenceCuts(data, goldenPolynomial));
});

test('chunks lie between the least and the greatest length and hold 1.5 MiB on average', () => {
  const lengths = [1, 2, 3, 4].flatMap((seed) => cuts(chunker, keystream(60 * mib, seed)).slice(0, -1));
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(minBytes);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(maxChunkBytes);
  const mean = lengths.reduce((sum, length) => sum + length) / lengths.length;
  expect(mean / mib).toBeGreaterThan(1.35);
  expect(mean / mib).toBeLessThan(1.65);
});

test('bytes that are inserted change only the chunks around them', () => {
  const changed = Buffer.concat([random32.subarray(0, 5 * mib), Buffer.from('seven!!'), random32.subarray(5 * mib)]);
  const ends = (data: Buffer) => {
    let rest = data.length;
    return cuts(chunker, data).map((length) => {
      rest -= length;
      return rest;
    });
  };
  const before = new Set(ends(random32));
  const moved = ends(changed).filter((fromEnd) => fromEnd < random32.length - 8 * mib && !before.has(fromEnd));
  expect(before.size).toBeGreaterThan(15);
  expect(moved).toEqual([]);
});

test('another polynomial cuts elsewhere', () => {
  const other = cuts(chunkerOf('gear-v1', drawPolynomial(randomBytes)), random32);
  expect(other).not.toEqual(cuts(chunker, random32));
});

test('the least, the greatest and no data at all are one chunk, one chunk and none', () => {
  expect(cuts(chunker, random32.subarray(0, 1))).toEqual([1]);
  expect(cuts(chunker, random32.subarray(0, minBytes))).toEqual([minBytes]);
  expect(cuts(chunker, Buffer.alloc(0))).toEqual([]);
  expect(cuts(chunker, Buffer.alloc(9 * mib, 'a'))).toEqual([8 * mib, mib]);
});
