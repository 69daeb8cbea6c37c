import { expect, test } from 'vitest';
import { encodeIndex, type IndexedPack } from '../../src/repository/format/index-file.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { initRepository, saveFile } from '../../src/repository/repository.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';

function packOf(digit: string, blob: string): IndexedPack {
  return {
    id: digit.repeat(64),
    blobs: [{ id: blob.repeat(64), type: 'data', offset: 0, length: 40, uncompressedLength: 0 }],
  };
}

/** One pack in use, and one that rustic's prune has marked, with a blob of its own and one that is in both. */
async function markedRepository() {
  const repository = await initRepository(openMemoryStore(), 'geheim', { kdf: { N: 1024, r: 1, p: 1 } });
  const marked = {
    id: 'b'.repeat(64),
    blobs: ['1', '2'].map((digit, at) => ({ id: digit.repeat(64), type: 'data', offset: at * 40, length: 40 })),
    time: '2026-11-01T00:00:00Z',
  };
  await saveFile(repository, 'index', encodeIndex([packOf('a', '1')], [marked]));
  return repository;
}

test('readers find what only a pack holds that is marked for deletion, and prefer one that stays', async () => {
  const index = await loadIndex(await markedRepository(), 'read');
  expect(index.find('data', '2'.repeat(64))?.packId).toBe('b'.repeat(64));
  expect(index.find('data', '1'.repeat(64))?.packId).toBe('a'.repeat(64));
});

test('writers do not rely on packs that are marked for deletion', async () => {
  const index = await loadIndex(await markedRepository(), 'write');
  expect(index.find('data', '2'.repeat(64))).toBeUndefined();
  expect(index.find('data', '1'.repeat(64))?.packId).toBe('a'.repeat(64));
});
