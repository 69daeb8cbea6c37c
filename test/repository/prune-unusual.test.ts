/** Prunes of repositories that are not as Holdfast makes them: older, mixed, damaged, far away. */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seal } from '../../src/repository/crypto.ts';
import {
  decodeIndexFile,
  encodeIndex,
  type IndexedBlob,
  type IndexedPack,
} from '../../src/repository/format/index-file.ts';
import { encodePackHeader } from '../../src/repository/format/pack.ts';
import {
  initRepository,
  loadFile,
  openRepository,
  type Repository,
  saveFile,
} from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openStore } from '../../src/store/open-store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { newS3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { backUpChanges, changeFiles, forget, judge, type Kept, packNames, prune } from './prune-scene.ts';
import { cheapKdf, makeRepository, makeResticRepository, password } from './restic-repository.ts';

const everything = { maxUnused: { bytes: 0 } } as const;

async function indexedPacks(repository: Repository): Promise<IndexedPack[]> {
  const packs: IndexedPack[] = [];
  for await (const { name } of repository.store.list('index')) {
    packs.push(...decodeIndexFile(await loadFile(repository, 'index', name), name).packs);
  }
  return packs;
}

/** Puts the blobs of all packs into one, the first of them twice, as old versions of other programs did. */
async function mixAll(repository: Repository): Promise<string> {
  const sealed: Buffer[] = [];
  const entries: IndexedBlob[] = [];
  let offset = 0;
  const add = (blob: IndexedBlob, bytes: Buffer): void => {
    sealed.push(bytes);
    entries.push({ ...blob, offset });
    offset += blob.length;
  };
  for (const pack of await indexedPacks(repository)) {
    const bytes = await repository.store.get('data', pack.id);
    for (const blob of pack.blobs) add(blob, bytes.subarray(blob.offset, blob.offset + blob.length));
    await repository.store.remove('data', pack.id);
  }
  add(entries[0]!, sealed[0]!);
  const header = seal(repository.key, encodePackHeader(entries));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const bytes = Buffer.concat([...sealed, header, length]);
  const id = createHash('sha256').update(bytes).digest('hex');
  await repository.store.put('data', id, bytes);
  for await (const { name } of repository.store.list('index')) await repository.store.remove('index', name);
  await saveFile(repository, 'index', encodeIndex([{ id, blobs: entries }]));
  return id;
}

describeWith('restic', 'a prune', () => {
  test('takes apart a pack that mixes trees and data and holds a blob twice', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, backups[0]!.id);
    const mixed = await mixAll(made.repository);
    await judge(made, backups.slice(1));
    await prune(made.repository, { maxUnused: 'unlimited' });
    expect(await packNames(made.repository)).not.toContain(mixed);
    const kinds = (await indexedPacks(made.repository)).map(({ blobs }) => new Set(blobs.map(({ type }) => type)).size);
    expect(kinds).toEqual([1, 1]);
    await judge(made, backups.slice(1));
  });

  test('compresses the trees of a repository that restic has lifted from version 1, once', async () => {
    const old = await makeResticRepository(1);
    const source = join(await tempDir(), 'source');
    for (let round = 0; round < 2; round++) {
      await changeFiles(source, round);
      await restic(['backup', '.'], { env: old.env, cwd: source });
    }
    const kept: Kept[] = [];
    for (const { id } of await listSnapshots(old.repository)) {
      const target = join(await tempDir(), 'as-it-was');
      await restic(['restore', id, '--target', target], { env: old.env });
      kept.push({ id, source: target });
    }
    await restic(['migrate', 'upgrade_repo_v2'], { env: old.env });
    const made = { ...old, repository: await openRepository(openFolderStore(old.folder), password) };
    const { plan } = await prune(made.repository);
    expect(plan.decisions.map(({ reason }) => reason)).toContain('its trees are not compressed');
    const trees = (await indexedPacks(made.repository)).flatMap(({ blobs }) =>
      blobs.filter(({ type }) => type === 'tree'),
    );
    // The tree of an empty folder has 13 bytes, and stays as it is.
    expect(trees.filter((tree) => tree.uncompressedLength === 0 && tree.length > 45)).toEqual([]);
    await judge(made, kept);
    const after = await packNames(made.repository);
    await prune(made.repository);
    expect(await packNames(made.repository)).toEqual(after);
  });

  test('that meets a damaged blob in a pack which it must rewrite deletes no pack in use', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, backups[0]!.id);
    const packs = await indexedPacks(made.repository);
    const before = await packNames(made.repository);
    const data = packs.filter(({ blobs }) => blobs[0]!.type === 'data');
    for (const { id, blobs } of data) {
      const path = join(made.folder, 'data', id.slice(0, 2), id);
      const bytes = await readFile(path);
      for (const { offset } of blobs) bytes[offset + 20]! ^= 1;
      await rm(path);
      await writeFile(path, bytes);
    }
    await expect(prune(made.repository, everything)).rejects.toMatchObject({
      code: 'PACK_DAMAGED',
      message: expect.stringContaining('blob'),
    });
    expect(await packNames(made.repository)).toEqual(expect.arrayContaining(before));
    expect((await indexedPacks(made.repository)).map(({ id }) => id)).toEqual(
      expect.arrayContaining(packs.map(({ id }) => id)),
    );
  });
});

describeWith('s3', 'a prune on object storage', () => {
  test('leaves what restic checks and restores', async () => {
    const place = newS3Place();
    const env = { ...place.env, RESTIC_REPOSITORY: place.url, RESTIC_PASSWORD: password };
    const repository = await initRepository(await openStore(place.url, { env: place.env }), password, {
      kdf: cheapKdf,
      chunker: 'rabin',
    });
    const source = join(await tempDir(), 'source');
    for (let round = 0; round < 4; round++) {
      await changeFiles(source, round);
      await restic(['backup', '.'], { env, cwd: source });
    }
    const [first, ...others] = (await listSnapshots(repository)).map(({ id }) => id);
    const kept: Kept[] = [];
    for (const id of others) {
      const target = join(await tempDir(), 'as-it-was');
      await restic(['restore', id, '--target', target], { env });
      kept.push({ id, source: target });
    }
    await forget(repository, first!);
    const { plan, result } = await prune(repository, { ...everything, packSizeBytes: 400_000 });
    expect(plan.totals.packs.repack).toBeGreaterThan(0);
    expect(result.errors).toEqual([]);
    await judge({ folder: place.folder, repository, env }, kept);
    await repository.store.close();
  });
});
