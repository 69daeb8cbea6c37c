/** What must stay true: what Holdfast notes down about backups is read by nobody as one, lives as long as they do, and no longer. */
import { expect, test } from 'vitest';
import type { HoldfastError } from '../../src/base/errors.ts';
import { executeForget, planForget, planRemoval } from '../../src/repository/forget.ts';
import { encodeRecord, parseRecord, type RecordContent } from '../../src/repository/ledger/documents.ts';
import { heldBackups, ownClusters, readLedger, readRuns } from '../../src/repository/ledger/ledger.ts';
import { recordRecipe } from '../../src/repository/ledger/recipe-record.ts';
import { writeRecord } from '../../src/repository/ledger/write-record.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { listBackups, listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { cheapKdf, makeRepository, makeSource, password } from './restic-repository.ts';

const host = 'cluster-c0ffee00';
const nowMs = Date.UTC(2026, 10, 22);

function run(id: string, backups: readonly string[], more: object = {}): Extract<RecordContent, { kind: 'RunRecord' }> {
  return {
    kind: 'RunRecord',
    run: id,
    cluster: { uid: 'c0ffee00', name: host },
    policy: { namespace: 'shop', name: 'nightly' },
    startedAt: new Date(nowMs).toISOString(),
    endedAt: new Date(nowMs).toISOString(),
    ended: 'finished',
    claims: [
      ...backups.map((backupId) => ({
        ...{ claim: 'shop/data', status: 'done' as const, backupId, claimUid: 'u', method: 'SnapshotMove' },
        ...{ methodReason: 'auto', consistency: 'crash', cutTime: '2026-11-22T00:00:00Z', errorCount: 0, errors: [] },
        ...{ durationMs: 1, warnings: [] },
      })),
      { claim: 'shop/left', status: 'uncovered', code: 'CLAIM_LEFT_OUT', message: 'no rule speaks of it' },
    ],
    ...more,
  };
}

function hold(backups: readonly string[], reason = 'audit'): RecordContent {
  return { kind: 'Hold', backups: [...backups], reason, by: 'user' };
}

async function memoryRepository(): Promise<Repository> {
  return initRepository(openMemoryStore(), password, { kdf: cheapKdf });
}

/** Backups of one claim, a day apart; their ids, oldest first. */
async function makeBackups(repository: Repository, days: number, tagsOf = (_: number): string[] => []) {
  const ids: string[] = [];
  for (let day = 1; day <= days; day++) {
    const time = new Date(Date.UTC(2026, 0, day)).toISOString();
    const tags = tagsOf(day);
    ids.push(
      await saveSnapshot(repository, { time, tree: '11'.repeat(32), paths: ['/shop/data'], hostname: host, tags }),
    );
  }
  return ids;
}

test('a record says what it was given, and a newer or foreign one is refused with the reason', () => {
  const content = run('r1', ['ab'.repeat(32)]);
  expect(parseRecord(encodeRecord(content, nowMs))).toMatchObject(content);
  const change = (from: string, to: string) => Buffer.from(encodeRecord(content, nowMs).toString().replace(from, to));
  expect(() => parseRecord(change('"schema": "1.0"', '"schema": "2.0"'))).toThrow('it has version 2.0');
  expect(parseRecord(change('"schema": "1.0"', '"schema": "1.7", "later": true'))).toMatchObject(content);
  expect(() => parseRecord(change('"RunRecord"', '"Runrecord"'))).toThrow('kind');
  expect(() => parseRecord(Buffer.from('{}'))).toThrow('schema');
  expect(() => parseRecord(Buffer.from('half a rec'))).toThrow('JSON');
});

test('a record is no backup: not listed, not the newest, not counted by any rule', async () => {
  const repository = await memoryRepository();
  const [first, last] = await makeBackups(repository, 2);
  await writeRecord(repository, run('r1', [last!]), { host });
  await writeRecord(repository, hold([first!]), { host });
  expect((await listBackups(repository)).map(({ id }) => id)).toEqual([first, last]);
  const all = await listSnapshots(repository);
  expect(all).toHaveLength(4);
  const plan = planForget(all, { last: 1 }, { nowMs, groupBy: [] });
  expect(plan.groups.flatMap(({ keep }) => keep.map(({ snapshot }) => snapshot.id))).toEqual([last]);
  const [record] = await readRuns(repository, all);
  expect(record?.document).toMatchObject(run('r1', [last!]));
});

test('a held backup stays, whatever the rules say, with the reason, until it is released', async () => {
  const repository = await memoryRepository();
  const ids = await makeBackups(repository, 4);
  const record = await writeRecord(repository, hold([ids[0]!, ids[1]!]), { host });
  await writeRecord(repository, hold([ids[1]!], 'again'), { host });
  const release = (backups: string[]) =>
    writeRecord(repository, { kind: 'Release', holds: [record], backups }, { host });
  const reasons = async () => {
    const snapshots = await listSnapshots(repository);
    const found = heldBackups(await readLedger(repository, snapshots), snapshots);
    const held = new Map([...found].map(([id, holds]) => [id, holds.map(({ reason }) => reason)]));
    const [group] = planForget(snapshots, { last: 1 }, { nowMs, held }).groups;
    return group!.keep.map(({ snapshot, reasons: why }) => [ids.indexOf(snapshot.id), ...why]);
  };
  expect(await reasons()).toEqual([
    [3, 'last snapshot'],
    [1, 'held: audit', 'held: again'],
    [0, 'held: audit'],
  ]);
  await release([ids[1]!]);
  expect(await reasons()).toEqual([
    [3, 'last snapshot'],
    [1, 'held: again'],
    [0, 'held: audit'],
  ]);
  await release([ids[0]!]);
  expect(await reasons()).toEqual([
    [3, 'last snapshot'],
    [1, 'held: again'],
  ]);
});

test('a backup that was retagged or copied is held as its original', async () => {
  const id = 'ab'.repeat(32);
  const ledger = { holds: [{ id: 'h', original: 'first-h', document: { ...hold([id]) } }], releases: [] };
  const document = { kind: 'Release' as const, holds: ['first-h'], backups: [id] };
  const copy = { id: 'cd'.repeat(32), original: id };
  const held = heldBackups(ledger as never, [copy]);
  expect([...held.keys()]).toEqual([copy.id]);
  const released = { ...ledger, releases: [{ id: 'r', original: undefined, document }] };
  expect(heldBackups(released as never, [copy]).size).toBe(0);
});

test('records go with the last backup that they name, and not before', async () => {
  const repository = await memoryRepository();
  const ids = await makeBackups(repository, 3, (day) => [`run=r${Math.min(day, 2)}`]);
  const tagged = (name: string) => ({ host, tags: [`run=${name}`] });
  const records = {
    one: await writeRecord(repository, run('r1', [ids[0]!]), tagged('r1')),
    two: await writeRecord(repository, run('r2', [ids[1]!, ids[2]!]), tagged('r2')),
    recent: await writeRecord(repository, run('r3', []), tagged('r3')),
    old: await writeRecord(repository, run('r4', [], { startedAt: '2026-01-01T00:00:00Z' }), tagged('r4')),
    held: await writeRecord(repository, hold([ids[0]!]), { host }),
    recipe: await recordRecipe(repository, {
      ...{ namespace: 'shop', claim: 'data', backupId: ids[1]!, host, fileName: 'manifest.json' },
      content: Buffer.from('{}'),
    }),
  };
  const released = await writeRecord(
    repository,
    { kind: 'Release', holds: [records.held], backups: [ids[0]!] },
    { host },
  );
  const forget = async (id: string) => {
    const found = (await listSnapshots(repository)).filter((one) => one.id === id);
    const clock = { nowMs: () => nowMs + 86_400_000, sleep: async () => undefined };
    return new Set((await executeForget(repository, planRemoval(found), { clock })).records);
  };
  expect(await forget(ids[0]!)).toEqual(new Set([records.one, records.old, records.held, released]));
  expect(await forget(ids[1]!)).toEqual(new Set([records.recipe]));
  expect(await forget(ids[2]!)).toEqual(new Set([records.two]));
  expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([records.recent]);
});

test('a cluster has the backups of those that it adopted, and of those that these had adopted', () => {
  const adoption = (from: string, to: string) => ({ id: from, original: undefined, document: { from, to } });
  const adoptions = [adoption('a', 'b'), adoption('b', 'c'), adoption('x', 'y'), adoption('c', 'a')];
  const own = (uid: string) => [...ownClusters({ adoptions } as never, uid)].sort();
  expect(own('c')).toEqual(['a', 'b', 'c']);
  expect(own('y')).toEqual(['x', 'y']);
  expect(own('x')).toEqual(['x']);
});

describeWith('restic', 'a repository with records', () => {
  test('is whole for restic, which reads them; damaged, they are an error, never taken for absent', async () => {
    const { repository, env } = await makeRepository();
    const source = await makeSource();
    const { backupId } = await backupFolder(repository, { source, host, paths: ['/shop/data'], tags: [], workers: 1 });
    const runId = await writeRecord(repository, run('r1', [backupId]), { host, tags: ['run=r1'] });
    const holdId = await writeRecord(repository, hold([backupId]), { host });
    await restic(['check', '--read-data'], { env });
    const listed = JSON.parse(await restic(['snapshots', '--json', '--path', '/.holdfast/runs'], { env }));
    expect(listed).toMatchObject([{ id: runId, hostname: host, tags: ['run=r1'] }]);
    const read = JSON.parse(await restic(['dump', runId, '/record.json'], { env }));
    expect(read).toMatchObject({ kind: 'RunRecord', run: 'r1', claims: [{ backupId }, { status: 'uncovered' }] });

    const snapshots = await listSnapshots(repository);
    const packs: string[] = [];
    for await (const { name } of repository.store.list('data')) packs.push(name);
    for (const name of packs) await repository.store.remove('data', name);
    await expect(readLedger(repository, snapshots)).rejects.toMatchObject({
      code: 'LEDGER_UNREADABLE',
      context: { record: holdId },
    });
    const errors: HoldfastError[] = [];
    expect(await readRuns(repository, snapshots, (error) => errors.push(error))).toEqual([]);
    expect(errors.map(({ code }) => code)).toEqual(['LEDGER_UNREADABLE']);
  });
});
