import { describe, expect, test } from 'vitest';
import { planSegments } from '../../src/volume/restore-fetch.ts';

const mib = 1 << 20;

/** Offsets and lengths as the spans of a job. */
function spans(...blobs: [offset: number, length: number][]): Uint32Array {
  return Uint32Array.from(blobs.flatMap(([offset, length]) => [offset, length, 0]));
}

describe('planSegments', () => {
  test('asks for nothing where nothing is needed', () => {
    expect(planSegments(spans())).toEqual([]);
  });

  test('reads over gaps of up to 1 MiB and no larger ones', () => {
    const blobs = spans([100, 50], [150, 50], [200 + mib, 10], [210 + 2 * mib + 1, 5]);
    expect(planSegments(blobs)).toEqual([
      { offset: 100, length: mib + 110, firstBlob: 0, endBlob: 3 },
      { offset: 211 + 2 * mib, length: 5, firstBlob: 3, endBlob: 4 },
    ]);
  });

  test('asks for at most 32 MiB at once, unless a blob is larger', () => {
    const blobs = spans([0, 20 * mib], [20 * mib, 12 * mib], [32 * mib, 40 * mib], [72 * mib, 1]);
    expect(planSegments(blobs).map(({ offset, length }) => [offset / mib, length / mib])).toEqual([
      [0, 32],
      [32, 40],
      [72, 1 / mib],
    ]);
  });

  test('covers every blob once, whatever the blobs', () => {
    let seed = 42;
    const random = (limit: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed % limit;
    };
    for (let round = 0; round < 200; round++) {
      const blobs: [number, number][] = [];
      let offset = 0;
      for (let i = 0; i < 1 + random(50); i++) {
        offset += random(3) === 0 ? random(3 * mib) : 0;
        const length = 33 + random(2 * mib);
        blobs.push([offset, length]);
        offset += length;
      }
      let next = 0;
      for (const segment of planSegments(spans(...blobs))) {
        expect(segment.firstBlob).toBe(next);
        for (const [start, length] of blobs.slice(segment.firstBlob, segment.endBlob)) {
          expect(start).toBeGreaterThanOrEqual(segment.offset);
          expect(start + length).toBeLessThanOrEqual(segment.offset + segment.length);
        }
        next = segment.endBlob;
      }
      expect(next).toBe(blobs.length);
    }
  });
});
