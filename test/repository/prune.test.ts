import { randomBytes } from 'node:crypto';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import { seal } from '../../src/repository/crypto.ts';
import { encodeConfig } from '../../src/repository/format/config.ts';
import { decodeIndexFile, encodeIndex } from '../../src/repository/format/index-file.ts';
import { acquireLock } from '../../src/repository/locks.ts';
import { requirePrunable } from '../../src/repository/prune.ts';
import { planPrune } from '../../src/repository/prune-plan.ts';
import { surveyPacks } from '../../src/repository/prune-survey.ts';
import { loadFile, openRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import {
  backUp,
  backUpChanges,
  changeFiles,
  countFiles,
  forget,
  hastyClock,
  judge,
  type Kept,
  packNames,
  prune,
} from './prune-scene.ts';
import { makeRepository, makeResticRepository, password, type TestRepository } from './restic-repository.ts';

const everything = { maxUnused: { bytes: 0 } } as const;

/** Four backups by restic, each of a folder in which some files were replaced. */
async function resticBackups(made: TestRepository, ...args: string[]): Promise<string[]> {
  const source = join(await tempDir(), 'source');
  for (let round = 0; round < 4; round++) {
    await changeFiles(source, round);
    await restic(['backup', '.', ...args], { env: made.env, cwd: source });
  }
  const listed: { id: string }[] = JSON.parse(await restic(['snapshots', '--json'], { env: made.env }));
  return listed.map(({ id }) => id);
}

/** What restic restores of each snapshot now. */
async function restoredNow(made: TestRepository, ids: readonly string[]): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const id of ids) {
    const source = join(await tempDir(), 'as-it-was');
    await restic(['restore', id, '--target', source], { env: made.env });
    kept.push({ id, source });
  }
  return kept;
}

async function indexFiles(repository: Repository) {
  const files = [];
  for await (const { name } of repository.store.list('index')) {
    files.push({ name, ...decodeIndexFile(await loadFile(repository, 'index', name), name) });
  }
  return files;
}

describeWith('restic', 'a prune', () => {
  test('removes what only forgotten backups needed, and restic restores the others', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, backups[0]!.id, backups[1]!.id);
    const before = await packNames(made.repository);
    const { plan, result } = await prune(made.repository, everything);
    expect(result.errors).toEqual([]);
    expect(plan.totals.packs.repack).toBeGreaterThan(0);
    expect(plan.totals.unusedAfterBytes).toBe(0);
    expect(await packNames(made.repository)).not.toEqual(before);
    await judge(made, backups.slice(2));
    expect(await checkRepository(made.repository, { readData: true, workers: 0 })).toMatchObject({ errorCount: 0 });
    expect(await restic(['prune', '--max-unused', '0'], { env: made.env })).toMatch(/to delete: +0 blobs/);
  });

  test.each([
    ['compressed', 2, []],
    ['not compressed', 2, ['--compression', 'off']],
    ['compressed as much as restic can', 2, ['--compression', 'max']],
  ] as const)('treats what restic made, %s, as its own', async (_, version, args) => {
    const made = await makeResticRepository(version);
    const ids = await resticBackups(made, ...args);
    const kept = await restoredNow(made, ids.slice(2));
    await restic(['forget', ids[0]!, ids[1]!], { env: made.env });
    const { plan } = await prune(made.repository, everything);
    expect(plan.totals.freedBytes).toBeGreaterThan(0);
    await judge(made, kept);
    // restic agrees that nothing is left to do.
    expect(await restic(['prune', '--max-unused', '0'], { env: made.env })).toMatch(/to delete: +0 blobs/);
  });

  test('finds nothing to do after a prune by restic', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, backups[1]!.id);
    await restic(['prune', '--max-unused', '0'], { env: made.env });
    const before = await packNames(made.repository);
    const { plan } = await prune(made.repository, everything);
    expect(plan.totals).toMatchObject({ unusedBytes: 0, freedBytes: 0 });
    expect(await packNames(made.repository)).toEqual(before);
    await judge(made, [backups[0]!, backups[2]!, backups[3]!]);
  });

  test('of a repository without backups leaves no data', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, ...backups.map(({ id }) => id));
    await prune(made.repository);
    expect(await packNames(made.repository)).toEqual([]);
    await judge(made, []);
  });

  test('keeps one copy of what several packs hold', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    // A second writer that saw no index stored everything once more.
    const files = await indexFiles(made.repository);
    for (const { name } of files) await made.repository.store.remove('index', name);
    await forget(made.repository, ...backups.slice(1).map(({ id }) => id));
    const again = await backUp(made.repository, backups[0]!.source);
    for (const { packs } of files) await saveFile(made.repository, 'index', encodeIndex(packs));
    const { plan } = await prune(made.repository, everything);
    expect(plan.totals.freedBytes).toBeGreaterThan(100_000);
    await judge(made, [backups[0]!, again]);
    const blobs = (await indexFiles(made.repository)).flatMap(({ packs }) => packs.flatMap((pack) => pack.blobs));
    expect(new Set(blobs.map(({ type, id }) => `${type} ${id}`)).size).toBe(blobs.length);
  });

  test('puts small packs and small index files together once they are many', async () => {
    const made = await makeRepository();
    const source = join(await tempDir(), 'source');
    const backups: Kept[] = [];
    for (let round = 0; round < 12; round++) {
      await changeFiles(source, round);
      backups.push(await backUp(made.repository, source));
    }
    expect((await packNames(made.repository)).length).toBeGreaterThanOrEqual(24);
    const { plan } = await prune(made.repository);
    expect(plan.totals.packs.repack).toBeGreaterThanOrEqual(24);
    expect((await packNames(made.repository)).length).toBeLessThanOrEqual(4);
    expect(await countFiles(made.folder, 'index')).toBeLessThanOrEqual(2);
    await judge(made, backups);
    const after = await packNames(made.repository);
    await prune(made.repository);
    expect(await packNames(made.repository)).toEqual(after);
  });

  test('repacks into packs of the size that is asked for, with no more than its buffers', async () => {
    const made = await makeRepository();
    const source = join(await tempDir(), 'source');
    await changeFiles(source, 0);
    for (let at = 0; at < 6; at++) await writeFile(join(source, `big-${at}`), noise(`${at}`, 3_000_000));
    const first = await backUp(made.repository, source, 64 << 20);
    await rm(join(source, 'deep'), { recursive: true });
    const second = await backUp(made.repository, source);
    await forget(made.repository, first.id);
    const { result } = await prune(made.repository, { ...everything, packSizeBytes: 1 << 20 });
    expect(result.storedBytes).toBeGreaterThan(12_000_000);
    expect((await packNames(made.repository)).length).toBeGreaterThan(6);
    await judge(made, [second]);
  });
});

describeWith('restic', 'a prune is careful', () => {
  test('with packs that no index lists: old ones go, those newer than its lock stay', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const stray = async (): Promise<string> => {
      const name = randomBytes(32).toString('hex');
      await made.repository.store.put('data', name, randomBytes(1000));
      return name;
    };
    const old = await stray();
    const anHourAgo = Date.now() / 1000 - 3600;
    await utimes(join(made.folder, 'data', old.slice(0, 2), old), anHourAgo, anHourAgo);
    const lock = await acquireLock(made.repository, { exclusive: true, hostname: 'test', clock: hastyClock });
    const fresh = await stray();
    const { facts } = await surveyPacks(made.repository);
    await lock.release();
    expect(facts.unreferenced.map(({ id }) => id).sort()).toEqual([old, fresh].sort());
    const actions = new Map(planPrune(facts).decisions.map(({ id, action }) => [id, action]));
    expect([actions.get(old), actions.get(fresh)]).toEqual(['sweep', 'keep']);
    await prune(made.repository);
    expect(await packNames(made.repository)).not.toContain(old);
    await judge(made, backups);
  });

  test('and removes nothing where the index lacks what a backup needs', async () => {
    const made = await makeRepository();
    await backUpChanges(made.repository);
    const [first] = await indexFiles(made.repository);
    await made.repository.store.remove('index', first!.name);
    const before = await packNames(made.repository);
    await expect(prune(made.repository)).rejects.toMatchObject({ code: 'PRUNE_REFUSED' });
    expect(await packNames(made.repository)).toEqual(before);
  });

  test('and removes nothing where a pack that is needed is missing or cut', async () => {
    const made = await makeRepository();
    await backUpChanges(made.repository);
    const names = await packNames(made.repository);
    const data = (await indexFiles(made.repository))
      .flatMap(({ packs }) => packs)
      .find(({ blobs }) => blobs[0]!.type === 'data')!;
    const path = join(made.folder, 'data', data.id.slice(0, 2), data.id);
    await rm(path);
    await writeFile(path, 'cut');
    await expect(prune(made.repository)).rejects.toThrow(`the pack ${data.id} has 3 bytes`);
    await rm(path);
    await expect(prune(made.repository)).rejects.toThrow(`the pack ${data.id} is missing`);
    expect(await packNames(made.repository)).toEqual(names.filter((name) => name !== data.id));
  });

  test('and removes nothing where a snapshot or an index file cannot be read', async () => {
    const made = await makeRepository();
    await backUpChanges(made.repository);
    for (const type of ['snapshots', 'index'] as const) {
      const name = randomBytes(32).toString('hex');
      await made.repository.store.put(type, name, randomBytes(100));
      const before = await packNames(made.repository);
      const code = type === 'snapshots' ? 'SNAPSHOT_DAMAGED' : 'INDEX_DAMAGED';
      await expect(prune(made.repository)).rejects.toMatchObject({ code });
      expect(await packNames(made.repository)).toEqual(before);
      await made.repository.store.remove(type, name);
    }
  });

  test('drops packs from the index that are missing and that nobody needs', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const before = new Set(await packNames(made.repository));
    const extra = await backUp(made.repository, await tempSource(9));
    await forget(made.repository, extra.id);
    const extraPacks = (await packNames(made.repository)).filter((name) => !before.has(name));
    expect(extraPacks.length).toBeGreaterThan(0);
    for (const name of extraPacks) await made.repository.store.remove('data', name);
    const { plan } = await prune(made.repository);
    expect(plan.totals.packs.drop).toBe(extraPacks.length);
    await judge(made, backups);
  });

  test('with a repository that is marked append-only', async () => {
    const made = await makeRepository();
    await rm(join(made.folder, 'config'));
    const config = encodeConfig({ ...made.repository.config, append_only: true });
    await made.repository.store.put('config', 'config', seal(made.repository.key, config));
    const marked = await openRepository(openFolderStore(made.folder), password);
    expect(() => requirePrunable(marked)).toThrow(/append-only/);
    await expect(prune(marked)).rejects.toMatchObject({ code: 'REPOSITORY_APPEND_ONLY' });
  });

  test("leaves rustic's marked packs and their marks alone", async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    const id = randomBytes(32).toString('hex');
    await made.repository.store.put('data', id, randomBytes(500));
    const mark = { id, blobs: [], time: '2026-11-22T10:00:00Z', size: 500 };
    await saveFile(made.repository, 'index', encodeIndex([], [mark]));
    await forget(made.repository, backups[0]!.id);
    await prune(made.repository, everything);
    expect(await packNames(made.repository)).toContain(id);
    expect((await indexFiles(made.repository)).flatMap(({ rawPacksToDelete }) => rawPacksToDelete)).toEqual([mark]);
  });

  test('and stops when its lock is lost, before anything is removed', async () => {
    const made = await makeRepository();
    const backups = await backUpChanges(made.repository);
    await forget(made.repository, backups[0]!.id);
    const before = await packNames(made.repository);
    const signal = AbortSignal.abort(new Error('lost'));
    await expect(prune(made.repository, { ...everything, signal })).rejects.toThrow('lost');
    expect(await packNames(made.repository)).toEqual(before);
  });
});

async function tempSource(round: number): Promise<string> {
  const source = join(await tempDir(), 'source');
  await changeFiles(source, round);
  return source;
}
