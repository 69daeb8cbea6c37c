/** The mover as its pod runs it, but on this machine: job and environment in, answer and exit code out. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Log, LogFields } from '../../src/base/log.ts';
import { type BackupJob, type MoverAnswer, parseMoverAnswer, type RestoreJob } from '../../src/base/mover-protocol.ts';
import { acquireLock, listLocks } from '../../src/repository/locks.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { isLedger, listBackups, listSnapshots } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { type Environment, runMover } from '../../src/volume/mover.ts';
import { tempDir } from '../setup/temp-dir.ts';

let folder: string;
let repository: Repository;
let lines: { level: string; message: string; fields: LogFields | undefined }[];

beforeEach(async () => {
  folder = await tempDir();
  lines = [];
  await mkdir(join(folder, 'volume/deep'), { recursive: true });
  await writeFile(join(folder, 'volume/deep/file'), 'content');
  repository = await initRepository(await openStore(join(folder, 'repository')), 'secret', {
    kdf: { N: 1024, r: 8, p: 1 },
  });
});

const env = { HOLDFAST_PASSWORD: 'secret', HOLDFAST_POD_NAME: 'mover-1', HOLDFAST_POD_UID: 'pod-uid' };

function backupJob(more: Partial<BackupJob> = {}): BackupJob {
  return {
    version: 1,
    kind: 'backup',
    repository: join(folder, 'repository'),
    source: join(folder, 'volume'),
    host: 'cluster-1',
    tags: ['claim=data', 'run=r1'],
    paths: ['/shop/data'],
    timeMs: Date.parse('2026-11-22T10:00:00Z'),
    folders: ['shop', 'data'],
    recipe: { kind: 'ClaimRecipe', sizes: { requestedBytes: 5, usedBytes: null } },
    recipeFileName: 'manifest.json',
    clusterUid: 'cluster-uid',
    ...more,
  };
}

function restoreJob(backupId: string, target: string): RestoreJob {
  const subfolder = '/shop/data/volume';
  return {
    version: 1,
    kind: 'restore',
    repository: join(folder, 'repository'),
    backupId,
    subfolder,
    target,
    clusterUid: 'c',
  };
}

async function move(
  job: BackupJob | RestoreJob,
  more: { env?: Environment; signal?: AbortSignal; kind?: 'backup' | 'restore' } = {},
): Promise<{ exitCode: number; answer: MoverAnswer | undefined }> {
  const note = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
  const answerFile = join(folder, 'answer');
  const exitCode = await runMover(more.kind ?? job.kind, {
    env: { ...env, ...more.env, HOLDFAST_JOB: JSON.stringify(job) },
    log,
    signal: more.signal ?? new AbortController().signal,
    answerFile,
  });
  return { exitCode, answer: parseMoverAnswer(await readFile(answerFile, 'utf8')) };
}

test('a backup answers with the id of the snapshot that it made, with the time of the cut and its tags', async () => {
  const { exitCode, answer } = await move(backupJob());
  expect(exitCode).toBe(0);
  expect(answer).toMatchObject({ kind: 'backup', exitCode: 0, errorCount: 0, counts: { filesNew: 1 } });
  const [backup, ...others] = await listBackups(repository);
  expect(others).toEqual([]);
  expect(backup).toMatchObject({
    id: answer?.backupId,
    hostname: 'cluster-1',
    paths: ['/shop/data'],
    tags: ['claim=data', 'run=r1', 'state=complete'],
  });
  expect(Date.parse(backup?.time ?? '')).toBe(Date.parse('2026-11-22T10:00:00Z'));
  expect(await listLocks(repository)).toEqual([]);
});

test('what a backup stored comes back by a restore, the recipe with what the file system holds beside it', async () => {
  const { answer } = await move(backupJob());
  const target = join(folder, 'target');
  await mkdir(target);
  const restored = await move(restoreJob(answer?.backupId ?? '', target));
  expect(restored).toMatchObject({ exitCode: 0, answer: { kind: 'restore', errorCount: 0 } });
  expect(await readFile(join(target, 'deep/file'), 'utf8')).toBe('content');
  const whole = join(folder, 'whole');
  await mkdir(whole);
  await move({ ...restoreJob(answer?.backupId ?? '', whole), subfolder: '/shop/data' });
  const recipe = JSON.parse(await readFile(join(whole, 'manifest.json'), 'utf8'));
  expect(recipe.sizes.requestedBytes).toBe(5);
  expect(recipe.sizes.usedBytes).toBeGreaterThan(0);
  expect(recipe.sizes.filesystemBytes).toBeGreaterThan(recipe.sizes.usedBytes);
});

test("a claim of K8up's goes on in its shape, with the recipe in a record beside it", async () => {
  const tags = ['namespace=shop', 'claim=data', 'cluster-uid=cluster-uid'];
  await move(backupJob({ tags, layout: 'k8up' }));
  const { answer } = await move(backupJob({ tags, timeMs: Date.parse('2026-11-22T11:00:00Z') }));
  expect(answer).toMatchObject({ exitCode: 0, kind: 'backup' });
  const backups = await listBackups(repository);
  const shape = { hostname: 'shop', paths: ['/data/data'], tags: [...tags, 'layout=k8up', 'state=complete'] };
  expect(backups).toMatchObject([shape, { ...shape, id: answer?.backupId, parent: backups[0]?.id }]);
  const records = (await listSnapshots(repository)).filter(isLedger);
  expect(records.map(({ paths, tags: said }) => [paths, said])).toEqual(
    backups.map(({ id }) => [['/.holdfast/recipe/shop/data'], [`of=${id}`]]),
  );
  const target = join(folder, 'target');
  await mkdir(target);
  await move({ ...restoreJob(answer?.backupId ?? '', target), subfolder: '/data/data' });
  expect(await readFile(join(target, 'deep/file'), 'utf8')).toBe('content');
  const recipe = join(folder, 'recipe');
  await mkdir(recipe);
  await move({ ...restoreJob(records[1]?.id ?? '', recipe), subfolder: '' });
  expect(JSON.parse(await readFile(join(recipe, 'manifest.json'), 'utf8')).sizes.requestedBytes).toBe(5);
});

test('a failure is answered with its code, its hint and its exit code', async () => {
  const cases: [Environment, number, string][] = [
    [{ HOLDFAST_PASSWORD: 'wrong' }, 12, 'PASSWORD_WRONG'],
    [{ HOLDFAST_PASSWORD: '' }, 12, 'PASSWORD_MISSING'],
  ];
  for (const [change, code, name] of cases) {
    const { exitCode, answer } = await move(backupJob(), { env: change });
    expect([exitCode, answer?.failure?.code]).toEqual([code, name]);
  }
  const nowhere = await move(backupJob({ repository: join(folder, 'nothing') }));
  expect([nowhere.exitCode, nowhere.answer?.failure?.code]).toEqual([10, 'REPOSITORY_NOT_FOUND']);
  const swapped = await move(backupJob(), { kind: 'restore' });
  expect([swapped.exitCode, swapped.answer?.failure?.code]).toEqual([1, 'USAGE']);
  expect(await listBackups(repository)).toEqual([]);
});

test('a mover that is told to stop makes no backup and gives its lock back', async () => {
  const stop = new AbortController();
  stop.abort(new Error('SIGTERM'));
  const { exitCode } = await move(backupJob(), { signal: stop.signal });
  expect(exitCode).not.toBe(0);
  expect(await listBackups(repository)).toEqual([]);
  expect(await listLocks(repository)).toEqual([]);
});

test('the lock of a mover names its pod, the UID of the pod and its cluster', async () => {
  const seen = new Set<string | undefined>();
  let ended = false;
  const moving = move(backupJob()).finally(() => {
    ended = true;
  });
  while (!ended && seen.size === 0) for (const { content } of await listLocks(repository)) seen.add(content?.hostname);
  await moving;
  expect([...seen]).toEqual(['mover-1.pod-uid.cluster-uid']);
});

test('a mover waits for somebody who has the repository to himself', async () => {
  const lock = await acquireLock(repository, { exclusive: true, hostname: 'pruner' });
  const moving = move(backupJob());
  setTimeout(() => void lock.release(), 200);
  expect((await moving).exitCode).toBe(0);
});

test('the password appears in nothing that a mover says', async () => {
  const { answer } = await move(backupJob());
  await move(backupJob(), { env: { HOLDFAST_PASSWORD: 'geheim' } });
  expect(JSON.stringify([lines, answer])).not.toMatch(/secret|geheim/);
});
