import { beforeAll, expect, test } from 'vitest';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { parseSnapshotName } from '../../src/repository/snapshot-name.ts';
import { findSnapshot, listBackups, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { cheapKdf, password } from './restic-repository.ts';

const tree = '11'.repeat(32);
const notFound = { code: 'BACKUP_NOT_FOUND' };
let repository: Repository;
/** By the letters below. */
const ids: Record<string, string> = {};

/** Times in the zone of this machine, as people type them. */
function at(text: string): string {
  return new Date(text).toISOString();
}

beforeAll(async () => {
  repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  const data = ['namespace=shop', 'claim=data', 'cluster-uid=one'];
  const logs = ['namespace=shop', 'claim=logs', 'cluster-uid=one'];
  const snapshots = {
    a: { time: at('2026-10-31T23:59:59'), tags: data },
    b: { time: at('2026-11-01T06:00:00'), tags: data },
    c: { time: at('2026-11-01T06:00:01'), tags: logs },
    d: { time: at('2026-11-01T23:59:59.999'), tags: data },
    e: { time: at('2026-11-02T00:00:00'), tags: data },
    f: { time: at('2026-11-03T00:00:00'), tags: ['namespace=other', 'claim=data', 'cluster-uid=one'] },
    g: { time: at('2026-11-04T00:00:00'), tags: ['namespace=both', 'claim=data', 'cluster-uid=one'] },
    h: { time: at('2026-11-05T00:00:00'), tags: ['namespace=both', 'claim=data', 'cluster-uid=two'] },
  };
  for (const [letter, { time, tags }] of Object.entries(snapshots)) {
    ids[letter] = await saveSnapshot(repository, { time, tree, paths: ['/x'], hostname: letter, tags });
  }
});

async function found(name: string, filter = {}): Promise<string | undefined> {
  const { id } = await findSnapshot(repository, name, filter);
  return Object.keys(ids).find((letter) => ids[letter] === id);
}

test('latest~N passes over the N newest', async () => {
  expect(await found('latest')).toBe('h');
  expect(await found('latest~0')).toBe('h');
  expect(await found('latest~2')).toBe('f');
  expect(await found('latest~7')).toBe('a');
  await expect(found('latest~8')).rejects.toMatchObject(notFound);
});

test('latest@DAY counts the whole day, latest@TIME the instant itself', async () => {
  expect(await found('latest@2026-11-01')).toBe('d');
  expect(await found('latest@2026-10-31')).toBe('a');
  expect(await found('latest@2026-11-01T06:00')).toBe('b');
  expect(await found('latest@2026-11-01 06:00')).toBe('b');
  expect(await found('latest@2026-11-01T05:59:59')).toBe('a');
  expect(await found(`latest@${at('2026-11-01T06:00:01')}`)).toBe('c');
  await expect(found('latest@2026-10-30')).rejects.toMatchObject(notFound);
});

test('NAMESPACE/CLAIM is the newest of that claim, with ~ and @ as well', async () => {
  expect(await found('shop/data')).toBe('e');
  expect(await found('shop/data~1')).toBe('d');
  expect(await found('shop/data@2026-11-01')).toBe('d');
  expect(await found('shop/logs')).toBe('c');
  await expect(found('shop/none')).rejects.toMatchObject(notFound);
  await expect(found('shop/logs~1')).rejects.toMatchObject(notFound);
});

test('claims of the same name in two clusters are not mixed up', async () => {
  await expect(found('both/data')).rejects.toMatchObject({ code: 'BACKUP_OF_SEVERAL_CLUSTERS' });
  expect(await found('both/data', { tags: [['cluster-uid=one']] })).toBe('g');
});

test('filters narrow names that are no ids', async () => {
  expect(await found('latest', { namespaces: ['shop'] })).toBe('e');
  expect(await found('latest', { namespaces: ['shop', 'other'], claims: ['data'] })).toBe('f');
  expect(await found('latest~1', { claims: ['logs', 'data'], namespaces: ['shop'] })).toBe('d');
  await expect(found('latest', { claims: ['none'] })).rejects.toMatchObject(notFound);
  expect(await found(ids.a ?? '', { claims: ['none'] })).toBe('a');
  expect((await listBackups(repository, { namespaces: ['other'] })).map(({ id }) => id)).toEqual([ids.f]);
});

test.each([
  'latest~',
  'latest~-1',
  'latest@',
  'latest@yesterday',
  'latest@2026-13-01',
  'latest@2026-02-30',
  'latest@2026-11-01T25:00',
  'latest@2026',
  'newest',
  'a/b/c',
  'shop/',
  '/data',
  'SHOP/data',
  '1f2e3d4c~1',
  '',
])('"%s" names no backup', async (name) => {
  expect(parseSnapshotName(name)).toBeUndefined();
  await expect(findSnapshot(repository, name)).rejects.toMatchObject(notFound);
});
