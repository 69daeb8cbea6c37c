/** Repositories that somebody made to do harm: they cost no more time or memory than they are worth. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { checkRepository } from '../../src/repository/check.ts';
import { encodeIndex } from '../../src/repository/format/index-file.ts';
import { encodeNode, encodeTree, type TreeNode } from '../../src/repository/format/tree.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { surveyPacks } from '../../src/repository/prune-survey.ts';
import { planSnapshotRepair } from '../../src/repository/repair-snapshots.ts';
import { type Repository, saveFile } from '../../src/repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { walkTree } from '../../src/repository/walk-tree.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { craftedFolder, craftedNode } from '../fixtures/crafted-node.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { indexedPacks, namesOf } from './damage.ts';
import { storePack } from './hand-made.ts';
import { makeRepository } from './restic-repository.ts';

const time = '2026-11-22T10:00:00Z';
/** Two names a folder and so many folders above each other: more paths than anybody could visit. */
const levels = 64;
const mostBytes = 300 * 2 ** 20;

async function withTree(repository: Repository, nodes: readonly TreeNode[]): Promise<string> {
  const [id] = await storePack(repository, 'tree', [encodeTree(nodes)]);
  return id!;
}

/** All folders of a level are one tree. */
async function doubling(repository: Repository, innermost: string): Promise<void> {
  let tree = innermost;
  for (let level = 0; level < levels; level++) {
    tree = await withTree(repository, [craftedFolder('a', tree), craftedFolder('b', tree)]);
  }
  await saveSnapshot(repository, { time, tree, paths: ['/x'] });
}

test('folders that hold each other twice, 64 levels deep, are each read once by check, prune and repair', async () => {
  const { repository } = await makeRepository();
  await doubling(repository, await withTree(repository, [craftedNode('x')]));
  const report = await checkRepository(repository, { readData: true, workers: 0 });
  expect([report.errors, report.trees]).toEqual([[], levels + 1]);
  expect((await surveyPacks(repository)).facts.packs.every(({ usedBlobs }) => usedBlobs === 1)).toBe(true);
  const all = await listSnapshots(repository);
  expect((await planSnapshotRepair(repository, all, all)).repairs).toEqual([]);
});

test('a loss that is in more places than anybody could list is listed in part', async () => {
  const { repository } = await makeRepository();
  await doubling(repository, 'ab'.repeat(32));
  const all = await listSnapshots(repository);
  const [repair] = (await planSnapshotRepair(repository, all, all)).repairs;
  expect(repair).toMatchObject({ hasMore: true });
  expect(repair!.lost[0]!.path.toString()).toBe('/a'.repeat(levels));
});

test('a walk through them can be stopped at any entry', async () => {
  const { repository } = await makeRepository();
  await doubling(repository, await withTree(repository, [craftedNode('x')]));
  const [snapshot] = await listSnapshots(repository);
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  const stop = new AbortController();
  let entries = 0;
  const walk = async (): Promise<void> => {
    for await (const _ of walkTree(reader, snapshot!.tree, { signal: stop.signal })) {
      entries += 1;
      if (entries === 1000) stop.abort(new Error('enough'));
    }
  };
  await expect(walk()).rejects.toThrow('enough');
  expect(entries).toBe(1000);
});

test('a tree that claims to hold itself is told from the true one by its hash, and nobody goes round', async () => {
  const { repository } = await makeRepository();
  const claimed = 'cd'.repeat(32);
  const content = Buffer.from(`{"nodes":[${encodeNode(craftedFolder('again', claimed))}]}\n`);
  const [id] = await storePack(repository, 'tree', [content]);
  // The index calls the blob by the name that is in it.
  const packs = (await indexedPacks(repository)).map((pack) => ({
    ...pack,
    blobs: pack.blobs.map((blob) => ({ ...blob, id: blob.id === id ? claimed : blob.id })),
  }));
  for (const name of await namesOf(repository, 'index')) await repository.store.remove('index', name);
  await saveFile(repository, 'index', encodeIndex(packs));
  await saveSnapshot(repository, { time, tree: claimed, paths: ['/x'] });
  const { errors } = await checkRepository(repository);
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('its content has another hash')]);
  await expect(surveyPacks(repository)).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
  const [snapshot] = await listSnapshots(repository);
  const target = join(await tempDir(), 'target');
  const restored = await restoreFolder(repository, { snapshot: snapshot!, target, workers: 1 }).catch((error) => error);
  expect(restored.code ?? restored.errors.length).not.toBe(0);
});

test.each([
  ['compressed from 4 GiB', { uncompressedLength: 0xffff_ffff }],
  ['4 GiB long', { length: 0xffff_ffff }],
  ['shorter than its seal', { length: 5 }],
  ['behind the end of its pack', { offset: 0xffff_0000 }],
])('a blob of which the index says that it is %s is damaged, and takes no memory', async (_, lie) => {
  const { repository } = await makeRepository();
  const [data] = await storePack(repository, 'data', [Buffer.from('a file')]);
  const tree = await withTree(repository, [craftedNode('x', { content: [data!], sizeBytes: 6 })]);
  const packs = (await indexedPacks(repository)).map((pack) => ({
    ...pack,
    blobs: pack.blobs.map((blob) => ({ ...blob, ...lie })),
  }));
  for (const name of await namesOf(repository, 'index')) await repository.store.remove('index', name);
  await saveFile(repository, 'index', encodeIndex(packs));
  await saveSnapshot(repository, { time, tree, paths: ['/x'] });
  const before = process.memoryUsage().rss;
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  await expect(reader.load('data', data!)).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
  await expect(reader.load('tree', tree)).rejects.toMatchObject({
    code: expect.stringMatching(/^(TREE|PACK)_DAMAGED$/),
  });
  expect((await checkRepository(repository, { readData: true, workers: 0 })).errorCount).toBeGreaterThan(0);
  expect(process.memoryUsage().rss - before).toBeLessThan(mostBytes);
});
