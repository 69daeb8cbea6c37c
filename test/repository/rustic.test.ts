/**
 * With rustic at work on the same repository: each reads, continues, checks, prunes and forgets what the other made, and
 * nothing that only rustic knows is lost. On request: RUSTIC=<path>.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import { executeForget, planForget, planRemoval } from '../../src/repository/forget.ts';
import { decodeIndexFile } from '../../src/repository/format/index-file.ts';
import { acquireLock } from '../../src/repository/locks.ts';
import { initRepository, loadFile, openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { retag } from '../../src/repository/tag.ts';
import { upgradeRepository } from '../../src/repository/upgrade.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { type BackupOptions, backupFolder } from '../../src/volume/backup.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree, noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { type RusticPlace, rustic } from '../setup/rustic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { prune } from './prune-scene.ts';
import { cheapKdf, makeResticRepository, password } from './restic-repository.ts';

interface Shared {
  readonly place: RusticPlace;
  open(): Promise<Repository>;
}

async function shared(...init: string[]): Promise<Shared> {
  const folder = join(await tempDir(), 'repository');
  const place = { repository: folder, password };
  if (init.length > 0) await rustic(place, init);
  else await initRepository(openFolderStore(folder), password, { kdf: cheapKdf });
  return { place, open: () => openRepository(openFolderStore(folder), password) };
}

async function makeFolder(seed: string, count = 6): Promise<string> {
  const folder = await tempDir();
  mkdirSync(join(folder, 'deep'));
  for (let n = 0; n < count; n++) writeFileSync(join(folder, 'deep', `file-${n}`), noise(`${seed} ${n}`, 200_000));
  return folder;
}

function backUp(repository: Repository, source: string, more: Partial<BackupOptions> = {}) {
  return backupFolder(repository, { source, host: 'ours', paths: [source], tags: [], workers: 1, ...more });
}

async function restored(repository: Repository, id: string, subfolder = ''): Promise<string> {
  const target = join(await tempDir(), 'target');
  const snapshot = (await listSnapshots(repository)).find((one) => one.id === id);
  if (!snapshot) throw new Error(`there is no ${id}`);
  expect((await restoreFolder(repository, { snapshot, subfolder, target })).errors).toEqual([]);
  return target;
}

async function problemsOf(repository: Repository): Promise<unknown[]> {
  const { errors } = await checkRepository(repository, { readData: true, workers: 0 });
  return [...errors];
}

/** Everything that an index says beside packs and blobs. */
async function marksOf(repository: Repository): Promise<unknown[]> {
  const marks: unknown[] = [];
  for await (const { name } of repository.store.list('index')) {
    marks.push(...decodeIndexFile(await loadFile(repository, 'index', name)).rawPacksToDelete);
  }
  return marks;
}

describeWith('rustic', 'rustic and Holdfast', () => {
  test('a folder with everything that there is, written by rustic, comes back and goes on', async () => {
    const { place, open } = await shared('init');
    const source = join(await tempDir(), 'source');
    // rustic keeps no attributes that only root may set on others' behalf, and only readable link targets.
    makeTree(source, { smallFiles: 100, rawLinkTargets: false, privileged: false });
    await rustic({ ...place, cwd: source }, ['backup', '--host', 'ours', '--as-path', source, '.']);
    const repository = await open();
    expect(await problemsOf(repository)).toEqual([]);
    const [snapshot] = await listSnapshots(repository);
    expect(compareTrees(source, await restored(repository, snapshot?.id ?? '', source))).toEqual([]);
  });

  test('a folder written by Holdfast is checked and restored by rustic, and goes on there', async () => {
    const { place, open } = await shared();
    const repository = await open();
    const source = await makeFolder('ours');
    const { backupId } = await backUp(repository, source);
    await rustic(place, ['check', '--read-data']);
    const target = join(await tempDir(), 'target');
    await rustic(place, ['restore', backupId, target]);
    expect(compareTrees(source, target)).toEqual([]);
    writeFileSync(join(source, 'added'), 'by hand');
    await rustic({ ...place, cwd: source }, ['backup', '--host', 'rustic', '.']);
    expect(await problemsOf(repository)).toEqual([]);
    const [, second] = await listSnapshots(repository);
    expect(second?.program_version).toMatch(/^rustic /);
    expect(compareTrees(source, await restored(repository, second?.id ?? ''))).toEqual([]);
  });

  test('each prunes and forgets what the other made, and the other still reads what is left', async () => {
    const { place, open } = await shared('init');
    const [kept, gone] = [await makeFolder('kept'), await makeFolder('gone', 3)];
    await rustic({ ...place, cwd: gone }, ['backup', '--host', 'x', '.']);
    const repository = await open();
    const ours = await backUp(repository, kept);
    const [first] = await listSnapshots(repository);
    await executeForget(repository, planRemoval(first ? [first] : []));
    const { result } = await prune(repository, { maxUnused: { bytes: 0 } });
    expect(result.packsRemoved).toBeGreaterThan(0);
    await rustic(place, ['check', '--read-data']);

    const again = await backUp(repository, gone, { host: 'y' });
    await rustic(place, ['forget', again.backupId]);
    await rustic(place, ['prune', '--instant-delete', '--max-unused', '0B']);
    expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([ours.backupId]);
    expect(await problemsOf(repository)).toEqual([]);
    expect(compareTrees(kept, await restored(repository, ours.backupId))).toEqual([]);
  });

  test('label, description and marks of a snapshot survive new tags, and what is marked is kept', async () => {
    const { place, open } = await shared('init');
    const source = await makeFolder('marked', 1);
    const labels = ['--label', 'of rustic', '--description', 'some words', '--delete-never'];
    await rustic({ ...place, cwd: source }, ['backup', '--host', 'x', ...labels, '.']);
    await rustic({ ...place, cwd: source }, ['backup', '--host', 'x', '--label', 'of rustic', '.']);
    const repository = await open();
    const before = await listSnapshots(repository);
    await retag(repository, before, { add: ['new'] });
    const shown = await rustic(place, ['snapshots', '--json', '--filter-tags', 'new']);
    for (const text of ['"of rustic"', '"some words"', '"Never"', '"command"']) expect(shown).toContain(text);
    const plan = planForget(await listSnapshots(repository), { last: 1 }, { nowMs: Date.now() });
    expect(plan.groups.flatMap(({ remove }) => remove)).toEqual([]);
    expect(JSON.stringify(plan.groups)).toContain('marked never to be deleted');
  });

  test('settings in the config survive the step from version 1 to version 2', async () => {
    const { folder, env } = await makeResticRepository(1);
    const place = { repository: folder, password: env.RESTIC_PASSWORD ?? '' };
    await rustic(place, ['config', '--set-datapack-size', '8MiB', '--set-extra-verify', 'false']);
    const open = () => openRepository(openFolderStore(folder), password);
    const source = await makeFolder('config', 1);
    await rustic({ ...place, cwd: source }, ['backup', '.']);
    const repository = await open();
    expect(repository.version).toBe(1);
    const lock = await acquireLock(repository, { exclusive: true, hostname: 'test' });
    await upgradeRepository(repository, { saveCopy: () => Promise.resolve(), confirmLock: () => lock.confirm() });
    await lock.release();
    const config = JSON.parse(await rustic(place, ['cat', 'config']));
    expect(config).toMatchObject({ version: 2, datapack_size: 8 << 20, extra_verify: false });
    await rustic({ ...place, cwd: source }, ['backup', '.']);
    await rustic(place, ['check', '--read-data']);
    expect(await problemsOf(await open())).toEqual([]);
  });

  test('a repository that is append-only takes backups and gives nothing away', async () => {
    const { place, open } = await shared('init');
    await rustic(place, ['config', '--set-append-only', 'true']);
    const repository = await open();
    const source = await makeFolder('append', 2);
    await backUp(repository, source);
    const all = await listSnapshots(repository);
    const refused = { code: 'REPOSITORY_APPEND_ONLY' };
    await expect(executeForget(repository, planRemoval(all))).rejects.toMatchObject(refused);
    await expect(retag(repository, all, { add: ['x'] })).rejects.toMatchObject(refused);
    await expect(prune(repository)).rejects.toMatchObject(refused);
    expect(await listSnapshots(repository)).toEqual(all);
    expect(await problemsOf(repository)).toEqual([]);
  });

  test('packs that rustic marked stay where they are, are read, and are not written against', async () => {
    const { place, open } = await shared('init');
    const source = await makeFolder('first', 3);
    await rustic({ ...place, cwd: source }, ['backup', '--host', 'x', '.']);
    const copy = join(await tempDir(), 'copy');
    execFileSync('cp', ['-a', source, copy]);
    const repository = await open();
    const other = await makeFolder('other', 2);
    await backUp(repository, other);
    const [first] = await listSnapshots(repository);
    if (!first) throw new Error('there is no snapshot');
    const sealed = await repository.store.get('snapshots', first.id);
    await rustic(place, ['forget', first.id]);
    await rustic(place, ['prune', '--max-unused', '0B']);
    const marks = await marksOf(repository);
    expect(marks.length).toBeGreaterThan(0);

    // Somebody else still had the snapshot: its data is there.
    await repository.store.put('snapshots', first.id, sealed, first.id);
    expect(compareTrees(copy, await restored(repository, first.id))).toEqual([]);
    const again = await backUp(repository, source, { host: 'z' });
    expect(again.bytesAdded).toBeGreaterThan(3 * 200_000);
    await executeForget(repository, planRemoval([first]));
    await prune(repository, { maxUnused: { bytes: 0 } });
    expect(await marksOf(repository)).toEqual(marks);

    rmSync(source, { recursive: true });
    await rustic(place, ['prune', '--keep-delete', '0s', '--max-unused', '0B']);
    expect(await marksOf(repository)).toEqual([]);
    await rustic(place, ['check', '--read-data']);
    expect(await problemsOf(repository)).toEqual([]);
    expect(compareTrees(copy, await restored(repository, again.backupId))).toEqual([]);
  });
});
