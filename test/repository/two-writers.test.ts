/** Programs that work on one repository at the same time lose nothing, and those that may not do so refuse. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { acquireLock } from '../../src/repository/locks.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { changeFiles, hastyClock, prune } from './prune-scene.ts';
import { makeRepository, password, type TestRepository } from './restic-repository.ts';

function lockFor(repository: Repository, exclusive: boolean) {
  return acquireLock(repository, { exclusive, hostname: 'test', clock: hastyClock });
}

/** As another process would: with a repository and a lock of its own. */
async function backUp({ folder }: TestRepository, source: string, path: string): Promise<string> {
  const repository = await openRepository(openFolderStore(folder), password);
  const lock = await lockFor(repository, false);
  try {
    const options = { source, host: 'test', paths: [path], tags: [], workers: 1, packSizeBytes: 300_000 };
    return (await backupFolder(repository, options)).backupId;
  } finally {
    await lock.release();
  }
}

async function makeSource(round = 0): Promise<string> {
  const source = join(await tempDir(), 'source');
  await changeFiles(source, round);
  return source;
}

async function expectRestores({ env }: TestRepository, id: string, source: string): Promise<void> {
  const target = await tempDir();
  await restic(['restore', id, '--target', target], { env });
  expect(compareTrees(source, target)).toEqual([]);
}

describeWith('restic', 'at the same time', () => {
  test('two backups of the same files lose nothing', async () => {
    const made = await makeRepository();
    const source = await makeSource();
    const ids = await Promise.all(['/one', '/two'].map((path) => backUp(made, source, path)));
    await restic(['check', '--read-data'], { env: made.env });
    for (const id of ids) await expectRestores(made, id, source);
    // What both have stored is put together by a prune, and both are whole after it.
    await prune(made.repository, { maxUnused: { bytes: 0 } });
    await restic(['check', '--read-data'], { env: made.env });
    for (const id of ids) await expectRestores(made, id, source);
  });

  test("a backup and one of restic's own lose nothing", async () => {
    const made = await makeRepository();
    const [ours, theirs] = [await makeSource(), await makeSource(1)];
    const [id] = await Promise.all([
      backUp(made, ours, '/ours'),
      restic(['backup', '.', '--host', 'restic'], { env: made.env, cwd: theirs }),
    ]);
    await restic(['check', '--read-data'], { env: made.env });
    await expectRestores(made, id, ours);
    const other = (await listSnapshots(made.repository)).find(({ hostname }) => hostname === 'restic')!;
    await expectRestores(made, other.id, theirs);
  });

  test('a prune is refused while somebody writes, ours and that of restic', async () => {
    const made = await makeRepository();
    const id = await backUp(made, await makeSource(), '/x');
    const writer = await lockFor(made.repository, false);
    await expect(prune(made.repository)).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
    const theirs = await resticResult(['prune'], { env: made.env });
    expect([theirs.exitCode === 0, theirs.stderr]).toEqual([false, expect.stringContaining('lock')]);
    await writer.release();
    await prune(made.repository);
    expect((await listSnapshots(made.repository)).map((snapshot) => snapshot.id)).toEqual([id]);
  });

  test('a backup is refused while a prune works, ours and that of restic, and works after it', async () => {
    const made = await makeRepository();
    const source = await makeSource();
    const pruning = await lockFor(made.repository, true);
    await expect(backUp(made, source, '/x')).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
    const theirs = await resticResult(['backup', '.'], { env: made.env, cwd: source });
    expect([theirs.exitCode === 0, theirs.stderr]).toEqual([false, expect.stringContaining('lock')]);
    expect(await listSnapshots(made.repository)).toEqual([]);
    await pruning.release();
    await expectRestores(made, await backUp(made, source, '/x'), source);
  });
});
