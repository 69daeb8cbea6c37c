import { expect, test } from 'vitest';
import { decodeIndex, decodeIndexFile, encodeIndex } from '../../../src/repository/format/index-file.ts';

const pack = 'aa'.repeat(32);
const one = '11'.repeat(32);
const two = '22'.repeat(32);

test('an index is written as restic writes it', () => {
  const blobs = [
    { type: 'data', id: one, offset: 0, length: 253, uncompressedLength: 500 },
    { type: 'tree', id: two, offset: 253, length: 40, uncompressedLength: 0 },
  ] as const;
  expect(encodeIndex([{ id: pack, blobs }]).toString()).toBe(
    `{"packs":[{"id":"${pack}","blobs":[{"id":"${one}","type":"data","offset":0,"length":253,"uncompressed_length":500},` +
      `{"id":"${two}","type":"tree","offset":253,"length":40}]}]}\n`,
  );
  expect(decodeIndex(encodeIndex([{ id: pack, blobs }]))).toEqual([{ id: pack, blobs }]);
});

test('blobs come sorted by offset, whatever the order in the file; fields of other tools do not disturb', () => {
  const text =
    `{"supersedes":["${one}"],"packs":[{"id":"${pack}","time":"2024-01-01T00:00:00Z","size":9,"blobs":[` +
    `{"id":"${two}","type":"data","offset":253,"length":40},{"id":"${one}","type":"data","offset":0,"length":253}]}],` +
    `"packs_to_delete":[{"id":"${two}","time":"2024-01-01T00:00:00Z","blobs":[]}]}`;
  const file = decodeIndexFile(Buffer.from(text));
  expect(file.packs[0]?.blobs.map(({ offset }) => offset)).toEqual([0, 253]);
  expect(file.packsToDelete).toEqual([{ id: two, blobs: [] }]);
});

test.each([
  ['a pack without id', '{"packs":[{"blobs":[]}]}'],
  ['a blob without id', `{"packs":[{"id":"${pack}","blobs":[{"type":"data","offset":0,"length":1}]}]}`],
  ['an unknown type', `{"packs":[{"id":"${pack}","blobs":[{"id":"${one}","type":"x","offset":0,"length":1}]}]}`],
  ['a negative offset', `{"packs":[{"id":"${pack}","blobs":[{"id":"${one}","type":"data","offset":-1,"length":1}]}]}`],
  [
    'a length beyond 4 GiB',
    `{"packs":[{"id":"${pack}","blobs":[{"id":"${one}","type":"data","offset":0,"length":4294967296}]}]}`,
  ],
  ['packs that are no list', '{"packs":{}}'],
])('an index with %s is damaged', (_, text) => {
  expect(() => decodeIndex(Buffer.from(text), 'x')).toThrow(expect.objectContaining({ code: 'INDEX_DAMAGED' }));
});
