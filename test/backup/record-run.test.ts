/** What must stay true: no rule takes the last good state of a volume that lost its content, and every run can be told of later. */
import { beforeEach, expect, test } from 'vitest';
import { planAdoption } from '../../src/backup/adopt-cluster.ts';
import { clusterNameOf, readHistory, refuseTakenName } from '../../src/backup/history.ts';
import type { LeftClaim } from '../../src/backup/plan.ts';
import { applyPolicyRetention, planPolicyRetention } from '../../src/backup/policy-retention.ts';
import { noteRun, type RunIdentity, runToEnd, underLock } from '../../src/backup/record-run.ts';
import { onlyRetried, retryOf } from '../../src/backup/retry.ts';
import type { ClaimBackupResult } from '../../src/backup/run.ts';
import { findShrunken } from '../../src/backup/shrunken.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { BackupPolicy } from '../../src/policy/schema.ts';
import type { StoredSnapshot } from '../../src/repository/format/snapshot.ts';
import { findRun, readRuns, recordsOf } from '../../src/repository/ledger/ledger.ts';
import { writeRecord } from '../../src/repository/ledger/write-record.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { listBackups, listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { cheapKdf, password } from '../repository/restic-repository.ts';

const clusterUid = 'c0ffee00-0000-4000-8000-000000000001';
const oldUid = '01d00000-0000-4000-8000-000000000002';
const MiB = 1 << 20;

let repository: Repository;
beforeEach(async () => {
  repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
});

interface Made {
  readonly day: number;
  readonly bytes: number;
  readonly parent?: string | undefined;
  readonly state?: string;
  readonly cluster?: string;
  readonly run?: string;
}

async function backUp({ day, bytes, parent, state = 'complete', cluster = clusterUid, run = `r${day}` }: Made) {
  const numbers = ['files_new', 'files_changed', 'files_unmodified', 'dirs_new', 'dirs_changed', 'dirs_unmodified'];
  const zero = Object.fromEntries([...numbers, 'data_blobs', 'tree_blobs', 'data_added'].map((name) => [name, 0]));
  const labels = { 'cluster-uid': cluster, namespace: 'shop', claim: 'data', uid: 'u', policy: 'nightly', run, state };
  return saveSnapshot(repository, {
    time: new Date(Date.UTC(2026, 0, day)).toISOString(),
    tree: '11'.repeat(32),
    paths: ['/shop/data'],
    hostname: clusterNameOf(cluster, undefined),
    tags: Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...(parent === undefined ? {} : { parent }),
    summary: { ...zero, total_bytes_processed: bytes } as NonNullable<StoredSnapshot['summary']>,
  });
}

/** One after the other, each the parent of the next. */
async function backUpAll(sizes: readonly number[]): Promise<string[]> {
  const ids: string[] = [];
  for (const [at, bytes] of sizes.entries()) ids.push(await backUp({ day: at + 1, bytes, parent: ids.at(-1) }));
  return ids;
}

const policy = {
  apiVersion: 'holdfast.dev/v1alpha1',
  kind: 'BackupPolicy',
  metadata: { name: 'nightly', namespace: 'shop' },
  spec: { select: { claims: {} }, repository: { name: 'main' }, retention: { keepLast: 1 } },
} satisfies BackupPolicy;

const identity: RunIdentity = { run: 'r9', clusterUid, policy: policy.metadata, startedMs: 1, hostname: 'test' };

function resultOf(backupId: string): ClaimBackupResult {
  return {
    ...{ claim: 'shop/data', claimUid: 'u', run: 'r9', backupId, state: 'complete', method: 'SnapshotMove' },
    ...{ methodReason: 'auto', consistency: 'crash', cutTime: '2026-01-01T00:00:00Z', errorCount: 0, errors: [] },
    counts: { filesNew: 1, filesChanged: 2, filesUnmodified: 3, bytesProcessed: 4, bytesAdded: 5, bytesStored: 6 },
    ...{ node: 'a', durationMs: 7, warnings: ['slow'] },
  };
}

function left(claim: string, status: LeftClaim['status']): LeftClaim {
  return { claim, status, error: new HoldfastError('CLAIM_LEFT_OUT', { claim, reason: 'no rule' }) };
}

const shrunkenIn = async (): Promise<string[][]> => {
  const found = findShrunken(await listBackups(repository), []);
  return found.map(({ backupId, earlier }) => [backupId, ...earlier]);
};

test('a volume that is suddenly empty or a tenth of its size is found, with all that came before', async () => {
  const [big, other, small, empty] = await backUpAll([100 * MiB, 90 * MiB, 9 * MiB, 0]);
  expect(await shrunkenIn()).toEqual([
    [small, big, other],
    [empty, small],
  ]);
});

test('one that shrank slowly is not, even when retention has thinned its backups out', async () => {
  const ids = await backUpAll([100 * MiB, 50 * MiB, 20 * MiB, 9 * MiB, 8 * MiB]);
  expect(await shrunkenIn()).toEqual([]);
  for (const id of ids.slice(1, 3)) await repository.store.remove('snapshots', id);
  expect(await shrunkenIn()).toEqual([]);
});

test('a few kilobytes less are no loss, and what an incomplete backup lacks is none of the volume', async () => {
  const [whole] = await backUpAll([5000, 400]);
  expect(await shrunkenIn()).toEqual([]);
  const part = await backUp({ day: 5, bytes: 1, parent: whole, state: 'incomplete' });
  expect(await shrunkenIn()).toEqual([]);
  const empty = await backUp({ day: 6, bytes: 0, parent: part });
  expect((await shrunkenIn())[0]?.[0]).toBe(empty);
});

test('the first backup of a rebuilt cluster, which has no parent, is compared all the same', async () => {
  const [last] = await backUpAll([100 * MiB]);
  const empty = await backUp({ day: 2, bytes: 0 });
  expect(await shrunkenIn()).toEqual([[empty, last]]);
});

test('a run records every claim, and holds what came before a volume that shrank; the rules then leave it alone', async () => {
  const [big, empty] = await backUpAll([100 * MiB, 0]);
  const failure = new HoldfastError('CLAIM_UNSETTLED', { claim: 'shop/bad', reason: 'it is being resized' });
  const noted = await underLock(repository, identity, undefined, (lock) =>
    noteRun(repository, lock, identity, {
      outcomes: [
        { claim: 'shop/data', status: 'done', result: resultOf(empty!) },
        { claim: 'shop/bad', status: 'failed', error: failure },
        { claim: 'shop/off', status: 'skipped', error: left('shop/off', 'skipped').error },
      ],
      uncovered: [left('shop/other', 'uncovered')],
    }),
  );
  const snapshots = await listSnapshots(repository);
  const { id, document } = await findRun(repository, snapshots, 'r9');
  expect(id).toBe(noted.recordId);
  expect(document).toMatchObject({
    ...{ run: 'r9', ended: 'finished', policy: { namespace: 'shop', name: 'nightly' } },
    cluster: { uid: clusterUid, name: 'cluster-c0ffee00' },
    claims: [
      { claim: 'shop/data', status: 'done', backupId: empty, files: 6, bytes: 4, warnings: ['slow'] },
      { claim: 'shop/bad', status: 'failed', code: 'CLAIM_UNSETTLED', message: expect.stringContaining('resized') },
      { claim: 'shop/off', status: 'skipped' },
      { claim: 'shop/other', status: 'uncovered', message: expect.stringContaining('no rule') },
    ],
  });
  expect(document.claims[0]).toMatchObject({ shrunken: { fromBytes: 100 * MiB, toBytes: 0, held: 1 } });
  const later = await backUp({ day: 3, bytes: 0, parent: empty });
  const kept = (await planPolicyRetention(repository, { policy, clusterUid })).groups[0]!.keep;
  expect(kept.map(({ snapshot, reasons }) => [snapshot.id, reasons.at(-1)])).toEqual([
    [later, 'last complete backup'],
    [big, 'held: the volume shrank from 100.0 MiB to 0 B'],
  ]);

  // Once somebody has said otherwise, it is not held for the same again.
  const [hold] = recordsOf(snapshots, 'Hold');
  await writeRecord(repository, { kind: 'Release', holds: [hold!.id], backups: [big!] }, { host: 'h' });
  const next = { ...identity, run: 'r10' };
  const ended = { outcomes: [], uncovered: [] };
  const again = await underLock(repository, next, undefined, (lock) => noteRun(repository, lock, next, ended));
  expect(again.shrunken).toEqual([]);
  const { removed } = await applyPolicyRetention(repository, { policy, clusterUid }, AbortSignal.timeout(10_000));
  expect(new Set(removed)).toEqual(new Set([big, empty]));
});

test('killed between the backup and its record, a run costs nothing: the rules already know, and the next run says so', async () => {
  const [big, empty] = await backUpAll([100 * MiB, 0]);
  const later = await backUp({ day: 3, bytes: 0, parent: empty });
  const keep = async () => {
    const { groups } = await planPolicyRetention(repository, { policy, clusterUid });
    return groups[0]!.keep.map(({ snapshot }) => snapshot.id);
  };
  expect(await keep()).toEqual([later, big]);
  const noted = await underLock(repository, identity, undefined, (lock) =>
    noteRun(repository, lock, identity, { outcomes: [], uncovered: [] }),
  );
  expect(noted.shrunken).toMatchObject([{ claim: 'shop/data', backupId: empty, earlier: [big] }]);
  expect(await keep()).toEqual([later, big]);
});

test('a run that was ended by a signal still says so', async () => {
  const stopped = AbortSignal.abort(new HoldfastError('INTERRUPTED', { signal: 'SIGTERM' }));
  const error = stopped.reason;
  await underLock(repository, identity, stopped, (lock) =>
    noteRun(repository, lock, identity, {
      outcomes: [{ claim: 'shop/data', status: 'failed', error }],
      uncovered: [],
      interruption: { error },
    }),
  );
  const [run] = await readRuns(repository, await listSnapshots(repository));
  expect(run?.document).toMatchObject({ ended: 'interrupted', claims: [{ status: 'failed', code: 'INTERRUPTED' }] });
});

test('what a signal kept a run from is told as failed with it, and what it left out as left out', async () => {
  const error = new HoldfastError('INTERRUPTED', { signal: 'SIGTERM' });
  const ready = {
    status: 'ready',
    claim: 'shop/data',
    source: { claim: { metadata: { name: 'data', namespace: 'shop' } } },
  };
  const claims = [left('shop/off', 'skipped'), ready, left('shop/other', 'uncovered')];
  const common = { signal: AbortSignal.abort(error) };
  const ended = await runToEnd(
    {} as never,
    { claims, groups: [] } as never,
    { limits: { claims: 1, retries: 0 }, common } as never,
  );
  expect(ended.outcomes.map(({ claim, status }) => [claim, status])).toEqual([
    ['shop/off', 'skipped'],
    ['shop/data', 'failed'],
  ]);
  expect(ended.outcomes[1]).toMatchObject({ error });
  expect(ended.uncovered.map(({ claim }) => claim)).toEqual(['shop/other']);
  expect(ended.interruption).toEqual({ error });
});

test('a record that cannot be read stops the retention of policies, and no backup', async () => {
  const ids = await backUpAll([MiB, MiB]);
  await writeRecord(repository, { kind: 'Hold', by: 'user', backups: [ids[0]!], reason: 'audit' }, { host: 'h' });
  for await (const { name } of repository.store.list('data')) await repository.store.remove('data', name);
  await expect(planPolicyRetention(repository, { policy, clusterUid })).rejects.toMatchObject({
    code: 'LEDGER_UNREADABLE',
  });
  const history = await readHistory(repository);
  expect(history.backups).toHaveLength(2);
  expect(() => refuseTakenName(history, clusterUid, 'cluster-c0ffee00')).not.toThrow();
  await underLock(repository, identity, undefined, (lock) =>
    noteRun(repository, lock, identity, { outcomes: [], uncovered: [] }),
  );
  expect(recordsOf(await listSnapshots(repository), 'RunRecord')).toHaveLength(1);
});

test('the name of another cluster is refused, and its backups are none of a policy here, until it is adopted', async () => {
  const name = clusterNameOf(oldUid, undefined);
  const first = await backUp({ day: 1, bytes: MiB, cluster: oldUid });
  const second = await backUp({ day: 2, bytes: MiB, cluster: oldUid });
  const mine = await backUp({ day: 3, bytes: MiB });
  const history = await readHistory(repository);
  expect(() => refuseTakenName(history, clusterUid, name)).toThrow(
    expect.objectContaining({ code: 'CLUSTER_NAME_TAKEN', context: { name, other: oldUid, uid: clusterUid } }),
  );
  expect(() => refuseTakenName(history, oldUid, name)).not.toThrow();
  const removed = async () => {
    const { groups } = await planPolicyRetention(repository, { policy, clusterUid });
    return groups.flatMap(({ remove }) => remove.map(({ id }) => id));
  };
  expect(await removed()).toEqual([]);

  expect(() => planAdoption(history, 'gone', clusterUid)).toThrow(/no backup here is of it/);
  expect(() => planAdoption(history, clusterUid, clusterUid)).toThrow(/it is this cluster/);
  const plan = planAdoption(history, name, clusterUid);
  expect(plan).toMatchObject({ from: oldUid, names: [name], claims: ['shop/data'], isDone: false });
  expect(plan.backups.map(({ id }) => id)).toEqual([first, second]);
  await writeRecord(repository, { kind: 'ClusterAdoption', from: plan.from, to: clusterUid }, { host: 'h' });
  const after = await readHistory(repository);
  expect(planAdoption(after, name, clusterUid).isDone).toBe(true);
  expect(() => planAdoption(after, name, 'another')).toThrow(/adopted them already/);
  expect(() => refuseTakenName(after, clusterUid, name)).not.toThrow();
  expect(await removed()).toEqual([second, first]);
  expect(mine).toBeDefined();
});

test('a retry takes what failed, what is cut together with it, and what is gone as skipped', () => {
  const record = {
    run: 'r1',
    claims: [
      ['a', 'done'],
      ['b', 'failed'],
      ['c', 'incomplete'],
      ['d', 'skipped'],
    ],
  };
  const claims = record.claims.map(([claim, status]) => ({ claim, status }));
  const retry = retryOf({ ...record, claims } as never);
  expect(retry).toEqual({ run: 'r1', claims: ['b', 'c'] });
  const planned = ['a', 'b', 'e'].map((claim) => ({ claim, status: 'ready' }));
  const groups = [{ members: ['b', 'e'] }, { members: ['a', 'x'] }];
  const plan = onlyRetried({ claims: planned, groups } as never, retry);
  expect(plan.claims.map(({ claim, status }) => [claim, status])).toEqual([
    ['b', 'ready'],
    ['e', 'ready'],
    ['c', 'skipped'],
  ]);
  expect(plan.groups).toEqual([groups[0]]);
});
