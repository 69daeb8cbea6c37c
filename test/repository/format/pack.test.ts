import { expect, test } from 'vitest';
import {
  decodePackHeader,
  encodePackHeader,
  type PackEntry,
  packFileBytes,
} from '../../../src/repository/format/pack.ts';

const id = (byte: string): string => byte.repeat(32);
const entries: PackEntry[] = [
  { type: 'data', id: id('01'), length: 100, uncompressedLength: 0 },
  { type: 'tree', id: id('02'), length: 0xfffffff0, uncompressedLength: 0 },
  { type: 'data', id: id('03'), length: 300, uncompressedLength: 1000 },
  { type: 'tree', id: id('04'), length: 33, uncompressedLength: 0xffffffff },
];

test('a header has the four kinds of entries byte by byte as the format says', () => {
  expect(encodePackHeader(entries).toString('hex')).toBe(
    `0064000000${id('01')}01f0ffffff${id('02')}022c010000e8030000${id('03')}0321000000ffffffff${id('04')}`,
  );
});

test('a header reads back as it was written', () => {
  expect(decodePackHeader(encodePackHeader(entries), 'p')).toEqual(entries);
  expect(decodePackHeader(Buffer.alloc(0), 'p')).toEqual([]);
});

test('the size of a pack file is the sum of blobs, header entries and envelope', () => {
  expect(packFileBytes([entries[0]!, entries[2]!])).toBe(100 + 300 + 37 + 41 + 32 + 4);
});

test('a header with an unknown type or a cut entry is damaged', () => {
  const header = encodePackHeader(entries);
  const damaged = expect.objectContaining({ code: 'PACK_DAMAGED' });
  expect(() => decodePackHeader(header.subarray(0, -1), 'p')).toThrow(damaged);
  header[0] = 4;
  expect(() => decodePackHeader(header, 'p')).toThrow(damaged);
});

test('a blob that does not fit 32 bits is a mistake of the caller', () => {
  expect(() => encodePackHeader([{ ...entries[0]!, length: 2 ** 32 }])).toThrow(RangeError);
  expect(() => encodePackHeader([{ ...entries[0]!, id: 'zz' }])).toThrow(TypeError);
});
