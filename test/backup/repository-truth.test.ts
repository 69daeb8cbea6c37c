/** What a run learns from the repository: the backups that are really there, and the locks of movers that are dead. */
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { podUidOf, removeDeadMoverLocks } from '../../src/backup/dead-locks.ts';
import { backupFinder } from '../../src/backup/find-backup.ts';
import { encodeLock } from '../../src/repository/format/lock.ts';
import { listLocks } from '../../src/repository/locks.ts';
import { initRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { saveSnapshot } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { json, type ScriptedServer, startScriptedServer } from '../kubernetes/scripted-server.ts';
import { tempDir } from '../setup/temp-dir.ts';

let folder: string;
let repository: Repository;
let server: ScriptedServer | undefined;

beforeEach(async () => {
  folder = await tempDir();
  repository = await initRepository(await openStore(folder), 'secret', { kdf: { N: 1024, r: 8, p: 1 } });
});

afterEach(async () => {
  await server?.stop();
});

function saveBackup(tags: string[], time: string): Promise<string> {
  const paths = ['/shop/data'];
  return saveSnapshot(repository, { time, tree: 'a'.repeat(64), paths, hostname: 'cluster-1', tags });
}

test('the backup of a run is found by run and claim, with its state; others are not taken for it', async () => {
  await saveBackup(['uid=u1', 'run=r1', 'state=complete'], '2026-11-20T02:00:00Z');
  const second = await saveBackup(['uid=u1', 'run=r2', 'state=incomplete'], '2026-11-21T02:00:00Z');
  const finder = backupFinder(repository);
  expect(await finder.find('r2', 'u1')).toEqual({ backupId: second, state: 'incomplete' });
  expect(await finder.find('r1', 'u1')).toMatchObject({ state: 'complete' });
  expect(await finder.find('r2', 'u2')).toBeUndefined();
  expect(await finder.find('r3', 'u1')).toBeUndefined();
});

test('a backup that somebody claims to have made is looked up', async () => {
  const id = await saveBackup(['run=r1'], '2026-11-20T02:00:00Z');
  expect(await backupFinder(repository).has(id)).toBe(true);
  expect(await backupFinder(repository).has('b'.repeat(64))).toBe(false);
});

/** A lock of that host, last refreshed so long ago. */
async function saveLock(hostname: string, ageMs: number): Promise<void> {
  const time = new Date(Date.now() - ageMs).toISOString();
  const id = await saveFile(
    repository,
    'locks',
    encodeLock({ time, exclusive: false, hostname, username: '', pid: 1 }),
  );
  const path = join(folder, 'locks', id);
  expect(await readdir(join(folder, 'locks'))).toContain(id);
  await utimes(path, new Date(Date.now() - ageMs), new Date(Date.now() - ageMs));
}

test('only old locks of pods that are gone from this cluster are removed', async () => {
  const hour = 3_600_000;
  await saveLock('mover-dead.uid-dead.here', hour);
  await saveLock('mover-young.uid-young.here', hour / 6);
  await saveLock('mover-live.uid-live.here', hour);
  await saveLock('mover-far.uid-far.elsewhere', hour);
  await saveLock('somebodys-laptop', hour);
  server = await startScriptedServer(() =>
    json(200, { metadata: {}, items: [{ metadata: { name: 'p', uid: 'uid-live' } }] }),
  );
  expect(await removeDeadMoverLocks(repository, server.cluster, 'here', ['shop'])).toEqual([
    'mover-dead.uid-dead.here',
  ]);
  expect((await listLocks(repository)).map(({ content }) => content?.hostname).sort()).toEqual([
    'mover-far.uid-far.elsewhere',
    'mover-live.uid-live.here',
    'mover-young.uid-young.here',
    'somebodys-laptop',
  ]);
});

test('a lock names its pod even where the name of the pod has dots', () => {
  expect(podUidOf('a.b.c.uid.here', 'here')).toBe('uid');
  expect(podUidOf('a.uid.there', 'here')).toBeUndefined();
  expect(podUidOf('here', 'here')).toBeUndefined();
});
