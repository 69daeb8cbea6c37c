import { beforeAll, expect, test } from 'vitest';
import type { Snapshot } from '../../src/repository/format/snapshot.ts';
import { initRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { findSnapshot, listBackups, listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { cheapKdf, password } from './restic-repository.ts';

const tree = '11'.repeat(32);
const notFound = { code: 'BACKUP_NOT_FOUND' };
let repository: Repository;
let ids: string[];

beforeAll(async () => {
  repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  const snapshots: Snapshot[] = [
    { time: '2026-01-02T00:00:00+10:00', tree, paths: ['/shop/data'], hostname: 'c1', tags: ['claim=data', 'x'] },
    { time: '2026-01-01T18:00:00Z', tree, paths: ['/shop/logs', '/etc'], hostname: 'c2' },
    { time: '2026-01-01T12:00:00Z', tree, paths: ['/shop/data'], hostname: 'c2', tags: ['claim=data'] },
    { time: '2026-02-01T00:00:00Z', tree, paths: ['/.holdfast/run'], hostname: 'c1' },
  ];
  ids = [];
  for (const snapshot of snapshots) ids.push(await saveSnapshot(repository, snapshot));
});

test('snapshots are listed by the instant, whatever zone their times are written in', async () => {
  expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([ids[2], ids[0], ids[1], ids[3]]);
});

test('ledger entries are no backups', async () => {
  expect((await listBackups(repository)).map(({ id }) => id)).toEqual([ids[2], ids[0], ids[1]]);
});

test('latest is the newest backup, never a ledger entry, and honours the filter', async () => {
  expect((await findSnapshot(repository, 'latest')).id).toBe(ids[1]);
  expect((await findSnapshot(repository, 'latest', { hosts: ['c1'] })).id).toBe(ids[0]);
  expect((await findSnapshot(repository, 'latest', { paths: ['/shop/data'] })).id).toBe(ids[0]);
  expect((await findSnapshot(repository, 'latest', { hosts: ['c2'], tags: [['claim=data']] })).id).toBe(ids[2]);
  expect((await findSnapshot(repository, 'latest', { tags: [['x', 'y'], ['']] })).id).toBe(ids[1]);
  await expect(findSnapshot(repository, 'latest', { hosts: ['c3'] })).rejects.toMatchObject(notFound);
});

test('a whole id or the beginning of one finds its snapshot', async () => {
  for (const id of ids) {
    expect((await findSnapshot(repository, id)).id).toBe(id);
    expect((await findSnapshot(repository, id.slice(0, 10))).id).toBe(id);
  }
  await expect(findSnapshot(repository, 'zz')).rejects.toMatchObject(notFound);
  await expect(findSnapshot(repository, '')).rejects.toMatchObject(notFound);
});

test('a beginning that fits several is ambiguous, and the error lists them', async () => {
  const many = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  for (let hour = 0; hour < 17; hour++)
    await saveSnapshot(many, { time: `2026-01-01T${10 + (hour % 10)}:00:00Z`, tree, paths: [`/${hour}`] });
  const names = (await listSnapshots(many)).map(({ id }) => id);
  const digit = names
    .map(([first]) => first!)
    .find((first) => names.filter((name) => name.startsWith(first)).length > 1)!;
  const matches = names.filter((name) => name.startsWith(digit));
  await expect(findSnapshot(many, digit)).rejects.toMatchObject({
    code: 'BACKUP_AMBIGUOUS',
    context: { count: matches.length },
  });
});

test('a damaged snapshot stops the list, or is told of and left out where the caller wants that', async () => {
  const store = openMemoryStore();
  const damaged = await initRepository(store, password, { kdf: cheapKdf });
  const good = await saveSnapshot(damaged, { time: '2026-01-01T00:00:00Z', tree, paths: ['/'] });
  const bad = await saveFile(damaged, 'snapshots', Buffer.from('{"time":1}'));
  await expect(listSnapshots(damaged)).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
  await expect(findSnapshot(damaged, 'latest')).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
  expect((await findSnapshot(damaged, good)).id).toBe(good);
  const told: string[] = [];
  const left = await listSnapshots(damaged, { onError: (_, id) => told.push(id) });
  expect(left.map(({ id }) => id)).toEqual([good]);
  expect(told).toEqual([bad]);
});
