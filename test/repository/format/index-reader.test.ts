import { expect, test } from 'vitest';
import { decodeIndexFile, encodeIndex, type IndexedPack } from '../../../src/repository/format/index-file.ts';
import { readUsualIndex } from '../../../src/repository/format/index-reader.ts';

const idOf = (digit: string) => digit.repeat(64);
const packs: IndexedPack[] = [
  {
    id: idOf('a'),
    blobs: [
      { id: '0123456789abcdef'.repeat(4), type: 'data', offset: 0, length: 38, uncompressedLength: 0 },
      { id: idOf('f'), type: 'tree', offset: 38, length: 4_294_967_295, uncompressedLength: 4_294_967_295 },
    ],
  },
  { id: idOf('b'), blobs: [{ id: idOf('1'), type: 'tree', offset: 7, length: 40, uncompressedLength: 9 }] },
];

/** What the sink got, as packs; undefined where the file has another form. */
function read(bytes: Buffer): IndexedPack[] | undefined {
  const found: { id: string; blobs: IndexedPack['blobs'][number][] }[] = [];
  const isUsual = readUsualIndex(bytes, {
    pack: (id) => found.push({ id, blobs: [] }),
    blob: (type, id, offset, length, uncompressedLength) =>
      found.at(-1)!.blobs.push({ type, id: Buffer.from(id).toString('hex'), offset, length, uncompressedLength }),
  });
  return isUsual ? found : undefined;
}

test('what is written is read back as JSON would read it', () => {
  const bytes = encodeIndex(packs);
  expect(read(bytes)).toEqual(packs);
  expect(read(bytes)).toEqual(decodeIndexFile(bytes).packs);
});

test('every other form is left to JSON, valid or not', () => {
  const text = encodeIndex(packs).toString();
  const others = [
    '',
    '{}\n',
    '{"packs":[]}\n',
    text.trimEnd(),
    `${text} `,
    text.replace('{"packs":[', '{ "packs":['),
    text.replace(']}\n', '],"packs_to_delete":[]}\n'),
    text.replace('"type":"data"', '"type":"else"'),
    text.replace(idOf('f'), idOf('F')),
    text.replace(idOf('f'), idOf('g')),
    text.replace('"offset":38', '"offset":038'),
    text.replace('"offset":38', '"offset":-38'),
    text.replace('"offset":38', '"offset":3.8'),
    text.replace('"offset":38', '"offset":4294967296'),
    text.replace('"offset":38', '"offset":'),
    text.replace(',"length":40', ''),
  ];
  for (const other of others) expect(read(Buffer.from(other)), other).toBeUndefined();
  for (let length = 0; length < text.length; length++) expect(read(Buffer.from(text.slice(0, length)))).toBeUndefined();
});
