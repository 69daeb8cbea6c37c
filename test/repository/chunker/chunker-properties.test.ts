/** Cuts are a matter of the content alone: not of how it is read, nor of what lies far before. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds } from '../../setup/properties.ts';
import { chunkerOf, cuts, keystream, kib, mib } from './test-data.ts';

const kinds = ['gear-v1', 'rabin'] as const;
/** docs/chunker.md: of both. */
const minBytes = 512 * kib;
const maxBytes = 8 * mib;

/** A file of parts: noise, zeros, and a pattern that repeats. */
const part = fc.record({
  kind: fc.constantFrom('noise', 'zeros', 'pattern'),
  lengthBytes: fc.integer({ min: 0, max: 3 * mib }),
  seed: fc.integer({ min: 1, max: 1000 }),
});
const file = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) =>
  Buffer.concat(
    parts.map(({ kind, lengthBytes, seed }) => {
      if (kind === 'noise') return keystream(lengthBytes, seed);
      return kind === 'zeros' ? Buffer.alloc(lengthBytes) : Buffer.alloc(lengthBytes, `pattern ${seed} `);
    }),
  ),
);

test.each(kinds)('%s: the same file is cut the same, whatever the reads', (kind) => {
  const chunker = chunkerOf(kind);
  holds(
    fc.property(file, fc.array(fc.integer({ min: 1, max: 4 * mib }), { minLength: 1, maxLength: 5 }), (data, reads) => {
      const whole = cuts(chunker, data);
      let read = 0;
      expect(cuts(chunker, data, () => reads[read++ % reads.length] ?? 1)).toEqual(whole);
      expect(whole.reduce((sum, length) => sum + length, 0)).toBe(data.length);
    }),
    6,
  );
});

test.each(kinds)('%s: no chunk is longer than the most, and only the last is shorter than the least', (kind) => {
  const chunker = chunkerOf(kind);
  holds(
    fc.property(file, (data) => {
      const lengths = cuts(chunker, data);
      for (const length of lengths) expect(length).toBeLessThanOrEqual(maxBytes);
      for (const length of lengths.slice(0, -1)) expect(length).toBeGreaterThanOrEqual(minBytes);
    }),
    6,
  );
});

test.each(kinds)('%s: after an insertion the cuts fall back into step', (kind) => {
  const chunker = chunkerOf(kind);
  const data = keystream(24 * mib, 99);
  const ends = (content: Buffer): Set<number> => {
    let left = content.length;
    const found = new Set<number>();
    for (const length of cuts(chunker, content)) {
      left -= length;
      found.add(left);
    }
    return found;
  };
  const before = ends(data);
  holds(
    fc.property(
      fc.integer({ min: 0, max: 4 * mib }),
      fc.uint8Array({ minLength: 1, maxLength: 1000 }),
      (at, inserted) => {
        const after = ends(Buffer.concat([data.subarray(0, at), inserted, data.subarray(at)]));
        expect([...after].filter((fromEnd) => before.has(fromEnd)).length).toBeGreaterThan(2);
      },
    ),
    3,
  );
});
