/** Runs, holds and clusters, as a user asks a repository for them. */
import { beforeAll, expect, test } from 'vitest';
import type { RecordContent } from '../../src/repository/ledger/documents.ts';
import { writeRecord } from '../../src/repository/ledger/write-record.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { makeSource } from '../repository/restic-repository.ts';
import { newPlace, type Place, password } from './place.ts';

const oldUid = '01d00000-0000-4000-8000-000000000002';
const newUid = 'c0ffee00-0000-4000-8000-000000000001';
const runs = ['20260101-020000-aaaa', '20260102-020000-bbbb'];
let place: Place;
const ids: string[] = [];

function record(backupId: string): RecordContent {
  const done = { claim: 'shop/data', status: 'done' as const, backupId, claimUid: 'u', method: 'SnapshotMove' };
  const facts = { methodReason: 'the driver takes snapshots', consistency: 'crash', cutTime: '2026-01-01T02:00:03Z' };
  const numbers = { files: 4, bytes: 300_000, bytesStored: 1000, errorCount: 0, durationMs: 61_000 };
  return {
    kind: 'RunRecord',
    run: runs[0]!,
    cluster: { uid: oldUid, name: 'old' },
    policy: { namespace: 'shop', name: 'nightly' },
    startedAt: '2026-01-01T02:00:00Z',
    endedAt: '2026-01-01T02:03:00Z',
    ended: 'finished',
    claims: [
      { ...done, ...facts, ...numbers, errors: [], warnings: [], shrunken: { fromBytes: 5e9, toBytes: 3e5, held: 2 } },
      { claim: 'shop/bad', status: 'failed', code: 'SNAPSHOT_FAILED', message: 'It went wrong.' },
      { claim: 'shop/other', status: 'uncovered', code: 'CLAIM_LEFT_OUT', message: 'Its label tier is not there.' },
    ],
  };
}

beforeAll(async () => {
  place = await newPlace();
  const store = await openStore(place.repository);
  const repository = await openRepository(store, password);
  const source = await makeSource();
  for (const [day, uid] of [oldUid, oldUid, newUid].entries()) {
    const tags = ['namespace=shop', 'claim=data', `cluster-uid=${uid}`, `run=${runs[Math.min(day, 1)]}`];
    const host = uid === oldUid ? 'old' : 'new';
    const labels = { host, paths: ['/shop/data'], tags, timeMs: Date.UTC(2026, 0, day + 1), workers: 1 };
    ids.push((await backupFolder(repository, { source, ...labels })).backupId);
  }
  await writeRecord(repository, record(ids[0]!), { host: 'old', tags: [`run=${runs[0]}`] });
  await store.close();
});

test('list --runs tells what became of each, also of those that left no record', async () => {
  const { stdout } = await place.cli('list', '--runs');
  const [head, first, second] = stdout.split('\n');
  expect(head).toMatch(/^RUN +STARTED +TOOK +OF +CLAIMS$/);
  expect(first).toMatch(
    /^20260101-020000-aaaa .* 3m +policy shop\/nightly +1 done, 1 failed, 1 not covered, 1 shrunken$/,
  );
  expect(second).toMatch(/^20260102-020000-bbbb .* not recorded +2 backed up; what else it was to do is not known$/);
  const json = JSON.parse((await place.cli('list', '--runs', '--json')).stdout);
  expect(json).toMatchObject([
    { type: 'run', run: runs[0], counts: { done: 1, failed: 1, skipped: 0 }, claims: [{ backupId: ids[0] }, {}, {}] },
    { type: 'unrecorded-run', run: runs[1], backups: [ids[1], ids[2]] },
  ]);
});

test('show tells a run claim by claim, and why one failed or was left out', async () => {
  const { stdout, exitCode } = await place.cli('show', '20260101-0200');
  expect(exitCode).toBe(0);
  expect(stdout).toContain('shop/data  done\n');
  expect(stdout).toMatch(/ {2}shrunken 4.7 GiB → 293.0 KiB: 2 earlier backups held\n/);
  expect(stdout).toContain('shop/bad  failed\n  why      It went wrong. (SNAPSHOT_FAILED)\n');
  expect(stdout).toContain('shop/other  not covered\n');
  const missing = await place.cli('show', '20250101-020000-cccc');
  expect(missing).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('No run matches') });
});

test('a claim of two clusters is only one claim once the old cluster is adopted', async () => {
  expect((await place.cli('show', 'shop/data', '--json')).stderr).toContain('BACKUP_OF_SEVERAL_CLUSTERS');
  const asked = ['adopt-cluster', 'old', '--cluster-uid', newUid];
  const plan = await place.cli(...asked, '--plan');
  expect(plan.stdout).toMatch(
    new RegExp(`^old cluster {2}${oldUid} \\(old\\)\nthis one {5}${newUid}\nbackups {6}2, the newest`),
  );
  expect((await place.cli('show', 'shop/data', '--json')).stderr).toContain('BACKUP_OF_SEVERAL_CLUSTERS');
  expect((await place.cli(...asked)).stderr).toBe('2 backups adopted.\n');
  expect((await place.cli(...asked)).stderr).toContain('there is nothing to do');
  expect(JSON.parse((await place.cli('list', '--json')).stdout)).toHaveLength(3);
  const { stdout } = await place.cli('show', 'shop/data', '--json');
  expect(JSON.parse(stdout)).toMatchObject({ id: ids[2] });
});

test('what is held is removed by no rule, by name only on demand, and shows why; what is released is not', async () => {
  const [first = '', second = ''] = ids;
  const held = await place.cli('hold', 'shop/data', '--reason', 'audit, ask Ada');
  expect(held).toMatchObject({ exitCode: 0, stderr: '3 backups held: audit, ask Ada\n' });
  const released = await place.cli('release', second, '--json');
  expect(JSON.parse(released.stdout)).toMatchObject({ type: 'released', backups: [second] });
  const listed = JSON.parse((await place.cli('list', '--json')).stdout);
  expect(listed.map(({ held: why }: { held?: string[] }) => why)).toEqual([
    ['audit, ask Ada'],
    undefined,
    ['audit, ask Ada'],
  ]);
  expect((await place.cli('show', first)).stdout).toMatch(/^held +audit, ask Ada$/m);

  const rules = ['forget', '--keep-last', '1', '--group-by', ''];
  const plan = (await place.cli(...rules, '--plan')).stdout;
  expect(plan).toMatch(new RegExp(`keep +${first.slice(0, 8)} .* held: audit, ask Ada`));
  expect(plan).toMatch(new RegExp(`remove +${second.slice(0, 8)}`));
  const refused = await place.cli('forget', first);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('is held: audit, ask Ada');
  expect((await place.cli('forget', first, '--even-held')).stderr).toBe(
    '1 backup removed, with 1 record of them alone.\n',
  );
  expect((await place.cli('list', '--runs')).stdout).not.toContain(runs[0]);
  expect((await place.cli('release', 'shop/data')).stderr).toBe('1 backup released.\n');
  expect((await place.cli('release', 'shop/data')).stderr).toBe('None of these is held.\n');
  expect((await place.cli(...rules)).stderr).toContain('1 backup removed');
});
