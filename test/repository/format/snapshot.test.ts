import { expect, test } from 'vitest';
import { decodeSnapshot, encodeSnapshot } from '../../../src/repository/format/snapshot.ts';

const id = 'cc'.repeat(32);
const tree = '11'.repeat(32);

test('a snapshot is written in the field order of restic, empty fields left out', () => {
  const bytes = encodeSnapshot({
    tags: ['claim=data', 'a&b'],
    program_version: 'holdfast 1',
    time: '2026-11-22T18:00:00.5+01:00',
    hostname: 'cluster-1',
    uid: 0,
    username: '',
    excludes: [],
    paths: ['/shop/data'],
    tree,
  });
  expect(bytes.toString()).toBe(
    `{"time":"2026-11-22T18:00:00.5+01:00","tree":"${tree}","paths":["/shop/data"],"hostname":"cluster-1",` +
      '"tags":["claim=data","a\\u0026b"],"program_version":"holdfast 1"}',
  );
});

test('fields of other tools come back when a snapshot is written again', () => {
  const text = `{"time":"2024-01-01T00:00:00Z","tree":"${tree}","paths":["/"],"label":"x","delete":{"After":"2030-01-01T00:00:00Z"}}`;
  const snapshot = decodeSnapshot(Buffer.from(text), id);
  expect(snapshot.other).toEqual({ label: 'x' });
  expect(snapshot.delete).toEqual({ After: '2030-01-01T00:00:00Z' });
  expect(JSON.parse(encodeSnapshot(withoutId(snapshot)).toString())).toEqual(JSON.parse(text));
});

test('a mark against removal that is not understood counts as the strictest', () => {
  const text = `{"time":"2024-01-01T00:00:00Z","tree":"${tree}","paths":["/"],"delete":{"Later":1}}`;
  expect(decodeSnapshot(Buffer.from(text), id).delete).toBe('Never');
});

test.each([
  ['no tree', '{"time":"2024-01-01T00:00:00Z","paths":[]}'],
  ['a null tree', '{"time":"2024-01-01T00:00:00Z","tree":null,"paths":[]}'],
  ['no time', `{"tree":"${tree}","paths":[]}`],
  ['a time that is none', `{"time":"now","tree":"${tree}","paths":[]}`],
  ['a path that is no string', `{"time":"2024-01-01T00:00:00Z","tree":"${tree}","paths":[1]}`],
])('a snapshot with %s is damaged', (_, text) => {
  expect(() => decodeSnapshot(Buffer.from(text), id)).toThrow(expect.objectContaining({ code: 'SNAPSHOT_DAMAGED' }));
});

function withoutId({ id: _, ...snapshot }: ReturnType<typeof decodeSnapshot>) {
  return snapshot;
}
