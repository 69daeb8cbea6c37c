/** Copies of backups in another repository: what they hold, what is not copied twice, and what happens with damage. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlobSink } from '../../src/repository/blob-sink.ts';
import { checkRepository } from '../../src/repository/check.ts';
import { encodeIndex } from '../../src/repository/format/index-file.ts';
import { initRepository, openRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { upgradeRepository } from '../../src/repository/upgrade.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openStore } from '../../src/store/open-store.ts';
import { changedStore } from '../fixtures/changed-store.ts';
import { describeWith } from '../setup/needs.ts';
import { newS3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { blobNames, copy, indexedBlobs } from './copy-scene.ts';
import { indexedPacks } from './damage.ts';
import { backUp, backUpChanges, changeFiles, hastyClock, packNames } from './prune-scene.ts';
import { cheapKdf, makeRepository, password, type TestRepository } from './restic-repository.ts';

const hashOf = (id: string): string => createHash('sha256').update(id).digest('hex');

async function likeRepository(source: Repository, version: 1 | 2 = 2): Promise<TestRepository> {
  const folder = join(await tempDir(), 'copy');
  const store = openFolderStore(folder);
  const repository = await initRepository(store, 'another', { kdf: cheapKdf, cutLike: source.config, version });
  return { folder, repository, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: 'another' } };
}

let made: Promise<TestRepository> | undefined;

/** Four backups that have data in common, and a repository to copy them to. */
async function filled() {
  made ??= makeRepository().then(async (first) => {
    await backUpChanges(first.repository, 300_000);
    return first;
  });
  const folder = join(await tempDir(), 'repository');
  // Links are enough: files of a repository are never written again.
  execFileSync('cp', ['-al', (await made).folder, folder]);
  const repository = await openRepository(openFolderStore(folder), password);
  const source = { folder, repository, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password } };
  return { source, target: await likeRepository(repository) };
}

/** Breaks a blob where it lies, in every pack that has it. */
async function breakBlob({ folder, repository }: TestRepository, id: string): Promise<void> {
  for (const pack of await indexedPacks(repository)) {
    for (const blob of pack.blobs) {
      if (blob.id !== id) continue;
      const path = join(folder, 'data', pack.id.slice(0, 2), pack.id);
      const bytes = readFileSync(path);
      bytes[blob.offset + 20]! ^= 1;
      rmSync(path);
      writeFileSync(path, bytes);
    }
  }
}

/** Blobs that only the newest of these backups needs, found by storing it alone. */
async function blobsOfNewest(source: Repository): Promise<string[]> {
  const snapshots = await listSnapshots(source);
  const [older, all] = [await likeRepository(source), await likeRepository(source)];
  await copy(source, older.repository, snapshots.slice(0, -1));
  await copy(source, all.repository, snapshots);
  const known = new Set(await blobNames(older.repository));
  return (await blobNames(all.repository)).filter((name) => !known.has(name));
}

describe('a copy', () => {
  test('has every blob once, the same description as its original, and no parent', async () => {
    const { source, target } = await filled();
    const { copied, failed, storedBytes } = await copy(source.repository, target.repository);
    expect(failed).toEqual([]);
    expect(await blobNames(target.repository)).toEqual([...new Set(await blobNames(source.repository))].sort());
    const sizes = (await indexedPacks(target.repository)).map(({ blobs }) => blobs.length);
    expect(storedBytes).toBeGreaterThan(100_000);
    // Trees of all backups lie together.
    expect(sizes.length).toBeLessThan((await indexedPacks(source.repository)).length);
    const ids = new Map(copied.map(({ from, to }) => [to, from]));
    const before = await listSnapshots(source.repository);
    const after = (await listSnapshots(target.repository)).map(({ id, ...rest }) => ({ ...rest, id: ids.get(id) }));
    expect(after).toEqual(before.map(({ parent: _, ...snapshot }) => ({ ...snapshot, original: snapshot.id })));
  });

  test('is not made again, and only what is new is copied later', async () => {
    const { source, target } = await filled();
    const first = await copy(source.repository, target.repository);
    const packs = await packNames(target.repository);
    const again = await copy(source.repository, target.repository);
    expect(again).toMatchObject({ copied: [], failed: [], storedBytes: 0 });
    expect(again.plan.present.map(({ to }) => to).sort()).toEqual(first.copied.map(({ to }) => to).sort());
    expect(await packNames(target.repository)).toEqual(packs);

    const folder = join(await tempDir(), 'source');
    await changeFiles(folder, 0);
    await changeFiles(folder, 9);
    const { id } = await backUp(source.repository, folder);
    const third = await copy(source.repository, target.repository);
    expect(third.copied.map(({ from }) => from)).toEqual([id]);
    const before = new Set(await blobNames(source.repository));
    expect(new Set(await blobNames(target.repository))).toEqual(before);
  });

  test('of a copy keeps the first original, and is known in the first repository', async () => {
    const { source, target } = await filled();
    await copy(source.repository, target.repository);
    const third = await likeRepository(source.repository);
    await copy(target.repository, third.repository);
    const originals = (await listSnapshots(third.repository)).map((snapshot) => snapshot.original);
    expect(originals).toEqual((await listSnapshots(source.repository)).map(({ id }) => id));
    expect(await copy(third.repository, source.repository)).toMatchObject({ copied: [], failed: [] });
  });

  test('of a backup whose tags were changed is another backup', async () => {
    const { source, target } = await filled();
    const [oldest] = await listSnapshots(source.repository);
    await copy(source.repository, target.repository, [oldest!]);
    const { id, ...rest } = oldest!;
    await saveSnapshot(source.repository, { ...rest, tags: ['new'], original: id });
    const changed = (await listSnapshots(source.repository)).filter(({ tags }) => tags?.includes('new'));
    expect((await copy(source.repository, target.repository, changed)).copied).toHaveLength(1);
    expect(await listSnapshots(target.repository)).toHaveLength(2);
  });

  test('keeps the fields that other programs have written', async () => {
    const { source, target } = await filled();
    const { id: _, ...oldest } = (await listSnapshots(source.repository))[0]!;
    const foreign = { ...oldest, delete: 'Never', original: hashOf('x'), other: { label: 'mine' } } as const;
    await saveSnapshot(source.repository, foreign);
    const asked = (await listSnapshots(source.repository)).filter(({ other }) => other !== undefined);
    await copy(source.repository, target.repository, asked);
    expect(await listSnapshots(target.repository)).toMatchObject([foreign]);
  });

  test('has the trees byte by byte, whatever their form', async () => {
    const source = await makeRepository();
    const target = await likeRepository(source.repository);
    const tree = Buffer.from(
      '{ "later": 1, "nodes": [ {"type":"symlink", "linktarget":"a\\ufffd", "name":"l","foreign":{}} ] }',
    );
    const id = createHash('sha256').update(tree).digest('hex');
    const sink = new BlobSink(source.repository, { packSizeBytes: 300_000, clock: hastyClock });
    await sink.roomFor('tree');
    sink.add('tree', id, tree, 0);
    await sink.finish();
    await saveSnapshot(source.repository, { time: '2026-01-02T03:04:05.6789Z', tree: id, paths: ['/x'] });
    expect((await copy(source.repository, target.repository)).failed).toEqual([]);
    expect(await blobNames(target.repository)).toEqual([`tree ${id}`]);
  });
});

describe('between versions of the format', () => {
  test('what version 2 has compressed is not compressed in version 1, and is again on the way back', async () => {
    const { source } = await filled();
    const old = await likeRepository(source.repository, 1);
    expect((await copy(source.repository, old.repository)).failed).toEqual([]);
    const plain = await indexedBlobs(old.repository);
    expect(plain.filter(({ uncompressedLength }) => uncompressedLength > 0)).toEqual([]);
    const before = new Map((await indexedBlobs(source.repository)).map((blob) => [blob.id, blob]));
    for (const { id, length } of plain) {
      const { uncompressedLength, length: sealed } = before.get(id)!;
      expect(length).toBe(uncompressedLength > 0 ? uncompressedLength + 32 : sealed);
    }
    const back = await likeRepository(source.repository);
    expect((await copy(old.repository, back.repository)).copied).toHaveLength(4);
    expect((await indexedBlobs(back.repository)).some(({ uncompressedLength }) => uncompressedLength > 0)).toBe(true);
  });
});

describe('where the source is damaged', () => {
  test('a backup of which a blob cannot be read is not copied, all others are', async () => {
    const { source, target } = await filled();
    const newest = (await listSnapshots(source.repository)).at(-1)!;
    const [lost] = (await blobsOfNewest(source.repository)).filter((name) => name.startsWith('data '));
    const id = lost!.slice('data '.length);
    await breakBlob(source, id);
    const { copied, failed } = await copy(source.repository, target.repository);
    expect(copied).toHaveLength(3);
    expect(failed).toEqual([
      { id: newest.id, message: expect.stringMatching(new RegExp(`^data of /.* \\(blob ${id}\\)`)) },
    ]);
    expect((await listSnapshots(target.repository)).map((snapshot) => snapshot.original)).not.toContain(newest.id);
  });

  test('a folder that cannot be read is named before anything is copied', async () => {
    const { source, target } = await filled();
    const newest = (await listSnapshots(source.repository)).at(-1)!;
    await breakBlob(source, newest.tree);
    const { plan, copied } = await copy(source.repository, target.repository);
    expect(plan.failed).toEqual([
      { id: newest.id, message: expect.stringContaining(`the folder / (tree ${newest.tree})`) },
    ]);
    expect(copied).toHaveLength(3);
    const alone = await likeRepository(source.repository);
    await copy(source.repository, alone.repository, (await listSnapshots(source.repository)).slice(0, -1));
    expect(await blobNames(target.repository)).toEqual(await blobNames(alone.repository));
  });

  test('a pack that is gone takes only the backups with it that need it', async () => {
    const { source, target } = await filled();
    const lost = new Set((await blobsOfNewest(source.repository)).filter((name) => name.startsWith('data ')));
    const gone = (await indexedPacks(source.repository)).find(({ blobs }) =>
      blobs.some(({ id }) => lost.has(`data ${id}`)),
    )!;
    await source.repository.store.remove('data', gone.id);
    const { copied, failed } = await copy(source.repository, target.repository);
    expect(copied.length + failed.length).toBe(4);
    expect(failed.map(({ id }) => id)).toContain((await listSnapshots(source.repository)).at(-1)!.id);
  });

  test('a pack that ends too early gives what is left of it', async () => {
    const { source, target } = await filled();
    const data = (await indexedPacks(source.repository)).find(
      ({ blobs }) => blobs[0]!.type === 'data' && blobs.length > 1,
    )!;
    const path = join(source.folder, 'data', data.id.slice(0, 2), data.id);
    const bytes = readFileSync(path);
    rmSync(path);
    writeFileSync(path, bytes.subarray(0, data.blobs.at(-1)!.offset + 10));
    const { failed } = await copy(source.repository, target.repository);
    expect(failed.length).toBeGreaterThan(0);
    const there = await blobNames(target.repository);
    expect(there).toContain(`data ${data.blobs[0]!.id}`);
    expect(there).not.toContain(`data ${data.blobs.at(-1)!.id}`);
  });

  test('another copy of a blob is used, in the target or in another pack', async () => {
    const { source, target } = await filled();
    const snapshots = await listSnapshots(source.repository);
    await copy(source.repository, target.repository);
    // The target knows the data, the source has lost it all; of the backups, the target knows none.
    for await (const { name } of target.repository.store.list('snapshots')) {
      await target.repository.store.remove('snapshots', name);
    }
    const data = (await indexedPacks(source.repository)).filter(({ blobs }) => blobs[0]!.type === 'data');
    for (const { id } of data) await source.repository.store.remove('data', id);
    expect(await copy(source.repository, target.repository)).toMatchObject({ failed: [], storedBytes: 0 });

    // A second pack has the same blobs: it is used where the first one is gone.
    const other = await likeRepository(source.repository);
    const doubled = await makeRepository();
    await copy(target.repository, doubled.repository);
    const packs = (await indexedPacks(doubled.repository)).filter(({ blobs }) => blobs[0]!.type === 'data');
    const sealed = await Promise.all(packs.map(({ id }) => doubled.repository.store.get('data', id)));
    const twins = packs.map((pack, at) => ({ ...pack, id: hashOf(pack.id), bytes: sealed[at]! }));
    for (const { id, bytes } of twins) await doubled.repository.store.put('data', id, bytes);
    await saveFile(doubled.repository, 'index', encodeIndex(twins));
    for (const { id } of packs) await doubled.repository.store.remove('data', id);
    expect((await copy(doubled.repository, other.repository)).copied).toHaveLength(snapshots.length);
  });

  test('what an index lists of rustic that is to be removed is still copied', async () => {
    const { source, target } = await filled();
    const packs = await indexedPacks(source.repository);
    const marked = packs.map(({ id, blobs }) => ({
      id,
      time: '2026-01-01T00:00:00Z',
      blobs: blobs.map(({ uncompressedLength, ...blob }) => ({
        ...blob,
        ...(uncompressedLength > 0 ? { uncompressed_length: uncompressedLength } : {}),
      })),
    }));
    for await (const { name } of source.repository.store.list('index'))
      await source.repository.store.remove('index', name);
    await saveFile(source.repository, 'index', encodeIndex([], marked));
    expect(await copy(source.repository, target.repository)).toMatchObject({ failed: [] });
    expect(await listSnapshots(target.repository)).toHaveLength(4);
  });

  test('an upload that fails leaves no backup behind, and the next run goes on', async () => {
    const { source, target } = await filled();
    const { store } = target.repository;
    let packs = 0;
    const failing = changedStore(store, {
      put: (type, ...rest) =>
        type === 'data' && ++packs > 2 ? Promise.reject(new Error('full')) : store.put(type, ...rest),
    });
    await expect(copy(source.repository, { ...target.repository, store: failing })).rejects.toThrow('full');
    expect(await listSnapshots(target.repository)).toEqual([]);
    expect((await indexedPacks(target.repository)).length).toBe(2);
    const before = (await blobNames(target.repository)).length;
    const { plan, copied } = await copy(source.repository, target.repository);
    expect(copied).toHaveLength(4);
    expect(plan.wanted.blobs).toBe((await blobNames(target.repository)).length - before);
  });
});

describeWith('s3', 'between a folder and object storage', () => {
  test('backups go into a bucket and come back, and are the same', async () => {
    const { source, target } = await filled();
    const place = newS3Place();
    const store = await openStore(place.url, { env: place.env });
    const options = { kdf: cheapKdf, cutLike: source.repository.config, version: 1 } as const;
    const away = await initRepository(store, password, options);
    expect((await copy(source.repository, away)).failed).toEqual([]);
    const upgraded = await upgradeRepository(away, { saveCopy: async () => undefined });
    expect((await openRepository(store, password)).version).toBe(2);
    expect((await copy(upgraded, target.repository)).failed).toEqual([]);
    expect(await blobNames(target.repository)).toEqual([...new Set(await blobNames(source.repository))].sort());
    expect((await checkRepository(target.repository, { readData: true, workers: 1 })).errors).toEqual([]);
    await store.close();
  });
});
