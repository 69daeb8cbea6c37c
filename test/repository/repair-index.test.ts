import { randomBytes } from 'node:crypto';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seal } from '../../src/repository/crypto.ts';
import { encodeConfig } from '../../src/repository/format/config.ts';
import { decodeIndexFile, encodeIndex, type IndexedPack } from '../../src/repository/format/index-file.ts';
import { executeIndexRepair, isRepairNeeded, planIndexRepair } from '../../src/repository/repair-index.ts';
import { loadFile, openRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { flip, indexedPacks, namesOf, packPath } from './damage.ts';
import { backUpChanges, judge, packNames } from './prune-scene.ts';
import { makeRepository, makeResticRepository, makeSource, password } from './restic-repository.ts';

async function repair(repository: Repository, options: { readAllPacks?: boolean } = {}) {
  const plan = await planIndexRepair(repository, options);
  return { plan, result: await executeIndexRepair(repository, plan) };
}

describeWith('restic', 'repairing an index', () => {
  test('that is sound finds nothing to do', async () => {
    const { repository } = await makeRepository();
    await backUpChanges(repository);
    expect(isRepairNeeded(await planIndexRepair(repository))).toBe(false);
  });

  test.each([
    ['gone', (repository: Repository, name: string) => repository.store.remove('index', name)],
    [
      'damaged',
      async (repository: Repository, name: string) => {
        const bytes = await repository.store.get('index', name);
        bytes[20]! ^= 1;
        await repository.store.remove('index', name);
        await repository.store.put('index', name, bytes);
      },
    ],
  ])('of which files are %s reads the headers of their packs', async (_, harm) => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const [first, second] = await namesOf(made.repository, 'index');
    await harm(made.repository, first!);
    await harm(made.repository, second!);
    expect((await resticResult(['check'], { env: made.env })).exitCode).not.toBe(0);
    const { result } = await repair(made.repository);
    expect(result).toMatchObject({ unreadable: [], packsRead: expect.any(Number) });
    expect(result.packsRead).toBeGreaterThan(0);
    await judge(made, backups);
    expect(isRepairNeeded(await planIndexRepair(made.repository))).toBe(false);
  });

  test('made by restic, from nothing, gives what restic wrote', async () => {
    const made = await makeResticRepository();
    await restic(['backup', '.'], { env: made.env, cwd: await makeSource(3) });
    const before = await indexedPacks(made.repository);
    for (const name of await namesOf(made.repository, 'index')) await made.repository.store.remove('index', name);
    await repair(made.repository);
    const byId = (a: IndexedPack, b: IndexedPack): number => (a.id < b.id ? -1 : 1);
    expect((await indexedPacks(made.repository)).sort(byId)).toEqual(before.sort(byId));
    await restic(['check', '--read-data'], { env: made.env });
  });

  test('that lists what is not there, or not so, drops the one and reads the other', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const [name] = await namesOf(made.repository, 'index');
    const [pack, ...others] = decodeIndexFile(await loadFile(made.repository, 'index', name!), name!).packs;
    const gone = { ...pack!, id: randomBytes(32).toString('hex') };
    const wrong = { id: pack!.id, blobs: [{ ...pack!.blobs[0]!, length: 50 }] };
    await saveFile(made.repository, 'index', encodeIndex([gone, wrong, ...others]));
    await made.repository.store.remove('index', name!);
    const { plan } = await repair(made.repository);
    expect(plan).toMatchObject({ missing: [gone.id], wrong: [pack!.id] });
    expect((await indexedPacks(made.repository)).map(({ id }) => id).sort()).toEqual(await packNames(made.repository));
    await judge(made, backups);
  });

  test('that is wrong in what it says is only found by reading all packs', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const [name] = await namesOf(made.repository, 'index');
    const packs = decodeIndexFile(await loadFile(made.repository, 'index', name!), name!).packs;
    const other = randomBytes(32).toString('hex');
    const changed = packs.map(({ id, blobs }) => ({
      id,
      blobs: blobs.map((blob, at) => (at ? blob : { ...blob, id: other })),
    }));
    await saveFile(made.repository, 'index', encodeIndex(changed));
    await made.repository.store.remove('index', name!);
    expect(isRepairNeeded(await planIndexRepair(made.repository))).toBe(false);
    await repair(made.repository, { readAllPacks: true });
    expect(JSON.stringify(await indexedPacks(made.repository))).not.toContain(other);
    await judge(made, backups);
  });

  test('leaves out packs whose header cannot be read, and says so', async () => {
    const made = await makeRepository();
    await backUpChanges(made.repository);
    const [id] = await packNames(made.repository);
    await flip(packPath(made.folder, id!), -10);
    for (const name of await namesOf(made.repository, 'index')) await made.repository.store.remove('index', name);
    const { result } = await repair(made.repository);
    expect(result.unreadable.map((pack) => pack.id)).toEqual([id]);
    expect((await indexedPacks(made.repository)).map((pack) => pack.id)).not.toContain(id);
    expect(await packNames(made.repository)).toContain(id);
  });

  test.each([
    ['is damaged', (path: string) => flip(path, -10)],
    ['was cut off', (path: string) => truncate(path, 100)],
  ])('keeps what it says of a pack whose header %s: it is all that is known of its blobs', async (_, harm) => {
    const made = await makeRepository();
    await backUpChanges(made.repository);
    const [pack] = await indexedPacks(made.repository);
    await harm(packPath(made.folder, pack!.id));
    const { result } = await repair(made.repository, { readAllPacks: true });
    expect(result.unreadable.map(({ id }) => id)).toEqual([pack!.id]);
    expect(await indexedPacks(made.repository)).toContainEqual(pack);
  });

  test('brings packs back that rustic has marked for removal', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const [name] = await namesOf(made.repository, 'index');
    const packs = decodeIndexFile(await loadFile(made.repository, 'index', name!), name!).packs;
    const raw = packs.map(({ id }) => ({ id, blobs: [], time: '2026-11-22T10:00:00Z' }));
    await saveFile(made.repository, 'index', encodeIndex([], raw));
    await made.repository.store.remove('index', name!);
    await repair(made.repository);
    for (const file of await namesOf(made.repository, 'index')) {
      expect(decodeIndexFile(await loadFile(made.repository, 'index', file), file).packsToDelete).toEqual([]);
    }
    await judge(made, backups);
  });

  test('is refused where the repository is marked append-only', async () => {
    const made = await makeRepository();
    await rm(join(made.folder, 'config'));
    const config = encodeConfig({ ...made.repository.config, append_only: true });
    await made.repository.store.put('config', 'config', seal(made.repository.key, config));
    const marked = await openRepository(openFolderStore(made.folder), password);
    await expect(repair(marked)).rejects.toMatchObject({ code: 'REPOSITORY_APPEND_ONLY' });
  });
});
