import { spawn } from 'node:child_process';
import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { encodeLock } from '../../src/repository/format/lock.ts';
import { acquireLock, type LockOptions, listLocks, removeStaleLocks } from '../../src/repository/locks.ts';
import { initRepository, type Repository, saveFile } from '../../src/repository/repository.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import type { Store } from '../../src/store/store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticProgram, resticResult } from '../setup/restic.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { cheapKdf, makeRepository, makeSource, password } from './restic-repository.ts';

const minute = 60_000;
const locked = { code: 'REPOSITORY_LOCKED', exitCode: 11 };

/** The files of this store carry the times of the fake clock, and it may list them late. */
async function makeLocked(): Promise<{ repository: Repository; clock: FakeClock; store: Store; lost: Set<string> }> {
  const clock = fakeClock();
  const memory = openMemoryStore();
  const written = new Map<string, number>();
  const lost = new Set<string>();
  const store: Store = {
    ...memory,
    listsAtOnce: false,
    async put(type, name, bytes) {
      if (lost.has('put')) throw new HoldfastError('STORE_UNREACHABLE', { url: 'memory', reason: 'test' });
      written.set(name, clock.nowMs());
      await memory.put(type, name, bytes);
    },
    async stat(type, name) {
      const file = await memory.stat(type, name);
      return file && { ...file, modifiedMs: written.get(name)! };
    },
    async *list(type) {
      for await (const file of memory.list(type)) yield { ...file, modifiedMs: written.get(file.name)! };
    },
  };
  const repository = await initRepository(store, password, { kdf: cheapKdf });
  return { repository, clock, store, lost };
}

async function take(repository: Repository, clock: FakeClock, options: Partial<LockOptions> = {}) {
  const taking = acquireLock(repository, { exclusive: false, hostname: 'pod.uid.cluster', clock, ...options });
  const outcome = taking.then(
    () => undefined,
    () => undefined,
  );
  await clock.advance(200);
  await outcome;
  return taking;
}

test('shared locks stand side by side; an exclusive one stands alone', async () => {
  const { repository, clock } = await makeLocked();
  const first = await take(repository, clock);
  const second = await take(repository, clock);
  await expect(take(repository, clock, { exclusive: true })).rejects.toMatchObject(locked);
  await first.release();
  await second.release();
  const alone = await take(repository, clock, { exclusive: true });
  await expect(take(repository, clock)).rejects.toMatchObject(locked);
  await expect(take(repository, clock, { exclusive: true })).rejects.toMatchObject(locked);
  await alone.release();
  expect(await listLocks(repository)).toEqual([]);
});

test('the error names who holds the lock, since when and how', async () => {
  const { repository, clock } = await makeLocked();
  const lock = await take(repository, clock, { exclusive: true, hostname: 'mover-1.abc.def' });
  await expect(take(repository, clock)).rejects.toMatchObject({
    context: { holder: `mover-1.abc.def (process ${process.pid})`, since: '2026-01-01T00:00:00Z', kind: 'exclusive' },
  });
  await lock.release();
});

test('of two that come at the same moment no two get an exclusive lock, and the loser leaves nothing behind', async () => {
  const { repository, clock } = await makeLocked();
  const options = { exclusive: true, hostname: 'h', clock };
  const both = Promise.allSettled([acquireLock(repository, options), acquireLock(repository, options)]);
  await clock.advance(1000);
  const won = (await both).filter((result) => result.status === 'fulfilled');
  expect(won.length).toBeLessThanOrEqual(1);
  expect(await listLocks(repository)).toHaveLength(won.length);
  for (const { value } of won) await value.release();
});

test('who shares may begin at once, and is stopped when an exclusive lock turns out to have come at the same moment', async () => {
  const { repository, clock } = await makeLocked();
  const lock = await acquireLock(repository, { exclusive: false, hostname: 'h', clock });
  expect(lock.signal.aborted).toBe(false);
  const other = { time: '2026-01-01T00:00:00Z', hostname: 'other', username: 'u', pid: 1, uid: 0, gid: 0 };
  const id = await saveFile(repository, 'locks', encodeLock({ ...other, exclusive: true }));
  await clock.advance(200);
  await expect(lock.confirm()).rejects.toMatchObject({ ...locked, context: { holder: 'other (process 1)' } });
  expect(lock.signal.reason).toMatchObject(locked);
  await lock.release();
  expect((await listLocks(repository)).map((left) => left.id)).toEqual([id]);
});

test('of many that come at the same moment to a store that lists at once, one gets an exclusive lock at most, without a wait', async () => {
  const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  for (let round = 0; round < 20; round++) {
    const clock = fakeClock();
    const takes = [true, false, true, false].map((exclusive) =>
      acquireLock(repository, { exclusive, hostname: 'h', clock }),
    );
    const won = (await Promise.allSettled(takes)).flatMap((result, at) =>
      result.status === 'fulfilled' ? [{ lock: result.value, exclusive: at % 2 === 0 }] : [],
    );
    if (won.some(({ exclusive }) => exclusive)) expect(won).toHaveLength(1);
    expect(await listLocks(repository)).toHaveLength(won.length);
    for (const { lock } of won) {
      await lock.confirm();
      await lock.release();
    }
  }
});

test('with a time to wait, the lock is taken as soon as the other is gone, or refused at the end', async () => {
  const { repository, clock } = await makeLocked();
  const first = await take(repository, clock, { exclusive: true });
  const waiting = acquireLock(repository, { exclusive: false, hostname: 'h', clock, waitMs: 2 * minute });
  await clock.advance(7000);
  await first.release();
  await clock.advance(30_000);
  const second = await waiting;
  const late = acquireLock(repository, { exclusive: true, hostname: 'h', clock, waitMs: minute });
  const refused = expect(late).rejects.toMatchObject(locked);
  await clock.advance(61_000);
  await refused;
  await second.release();
});

test('a lock is refreshed every five minutes by a new file, and never is there none', async () => {
  const { repository, clock } = await makeLocked();
  const lock = await take(repository, clock);
  const [first] = await listLocks(repository);
  await clock.advance(4 * minute);
  expect(await listLocks(repository)).toEqual([first]);
  await clock.advance(2 * minute);
  const [second, ...more] = await listLocks(repository);
  expect(more).toEqual([]);
  expect(second?.id).not.toBe(first?.id);
  expect(second!.modifiedMs - first!.modifiedMs).toBeGreaterThanOrEqual(5 * minute);
  expect(lock.signal.aborted).toBe(false);
  await lock.release();
  await clock.advance(60 * minute);
  expect(await listLocks(repository)).toEqual([]);
});

test('whoever loses the lock is told to stop', async () => {
  const { repository, clock } = await makeLocked();
  const lock = await take(repository, clock);
  await removeStaleLocks(repository, { all: true });
  await clock.advance(6 * minute);
  expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
  await lock.release();
});

test('a store that is away for a while costs no lock; for too long, it does, before the lock is stale', async () => {
  const { repository, clock, lost } = await makeLocked();
  const lock = await take(repository, clock);
  lost.add('put');
  await clock.advance(15 * minute);
  expect(lock.signal.aborted).toBe(false);
  lost.delete('put');
  await clock.advance(2 * minute);
  expect(await listLocks(repository)).toHaveLength(1);
  lost.add('put');
  await clock.advance(20 * minute);
  expect(lock.signal.aborted).toBe(false);
  await clock.advance(9 * minute);
  expect(lock.signal.reason).toMatchObject({ code: 'LOCK_LOST' });
  lost.delete('put');
  await lock.release();
  expect(await listLocks(repository)).toEqual([]);
});

test('a machine that slept past the limit goes on when its lock is still there', async () => {
  const { repository, clock } = await makeLocked();
  const lock = await take(repository, clock);
  const [before] = await listLocks(repository);
  const realNow = clock.nowMs;
  let asleepMs = 0;
  clock.nowMs = () => realNow() + asleepMs;
  asleepMs = 60 * minute;
  await clock.advance(2000);
  expect(lock.signal.aborted).toBe(false);
  const [after] = await listLocks(repository);
  expect(after?.id).not.toBe(before?.id);
  await lock.release();
});

test('locks are stale after thirty minutes by the clock of the store', async () => {
  const { repository, clock } = await makeLocked();
  await saveFile(repository, 'locks', encodeLock(lockOf({ hostname: 'elsewhere', time: '2030-01-01T00:00:00Z' })));
  await clock.advance(29 * minute);
  expect(await removeStaleLocks(repository, { clock })).toEqual([]);
  await clock.advance(2 * minute);
  expect(await removeStaleLocks(repository, { clock, isGone: async () => false })).toEqual([]);
  expect(await removeStaleLocks(repository, { clock })).toHaveLength(1);
  expect(await listLocks(repository)).toEqual([]);
});

test('a lock of a process of this machine that has ended is stale at once, that of a living one is not', async () => {
  const { repository, clock } = await makeLocked();
  const child = spawn('true');
  await new Promise((resolve) => child.on('exit', resolve));
  await saveFile(repository, 'locks', encodeLock(lockOf({ hostname: hostname(), pid: child.pid! })));
  await saveFile(repository, 'locks', encodeLock(lockOf({ hostname: hostname(), pid: process.pid })));
  const removed = await removeStaleLocks(repository, { clock });
  expect(removed.map(({ content }) => content?.pid)).toEqual([child.pid]);
});

test('a lock that cannot be read is waited for, then counts as held; unlock with all removes it', async () => {
  const { repository, clock, store } = await makeLocked();
  await store.put('locks', 'ab'.repeat(32), Buffer.from('garbage'));
  await store.put('locks', 'cd'.repeat(32), Buffer.alloc(0));
  const taking = expect(acquireLock(repository, { exclusive: false, hostname: 'h', clock })).rejects.toMatchObject(
    locked,
  );
  await clock.advance(36_000);
  await taking;
  expect(await removeStaleLocks(repository, { all: true })).toHaveLength(1);
  const lock = await take(repository, clock);
  await lock.release();
});

test('a lock that is aborted while it is being taken leaves nothing behind', async () => {
  const { repository, clock } = await makeLocked();
  const stop = new AbortController();
  const taking = acquireLock(repository, { exclusive: true, hostname: 'h', clock, signal: stop.signal });
  const refused = expect(taking).rejects.toThrow('stop it');
  await clock.advance(100);
  stop.abort(new Error('stop it'));
  await refused;
  expect(await listLocks(repository)).toEqual([]);
});

describeWith('restic', 'locks and restic', () => {
  test('restic respects our locks, and we respect those of restic', async () => {
    const { repository, env } = await makeRepository();
    const source = await makeSource();
    const shared = await acquireLock(repository, { exclusive: false, hostname: 'h' });
    await restic(['backup', source], { env });
    expect((await resticResult(['prune'], { env })).stderr).toContain('already locked');
    expect((await restic(['list', 'locks', '--no-lock'], { env })).trim()).toBe((await listLocks(repository))[0]?.id);
    await shared.release();
    const alone = await acquireLock(repository, { exclusive: true, hostname: 'holdfast-host' });
    const refused = await resticResult(['backup', source], { env });
    expect(refused.stderr).toContain('locked exclusively');
    expect(refused.stderr).toContain('holdfast-host');
    await alone.release();
    await restic(['prune'], { env });
    const child = spawn(resticProgram, ['--no-cache', 'backup', '--stdin'], { env: { ...process.env, ...env } });
    await expect.poll(async () => (await listLocks(repository)).length).toBe(1);
    await expect(acquireLock(repository, { exclusive: true, hostname: 'h' })).rejects.toMatchObject(locked);
    const beside = await acquireLock(repository, { exclusive: false, hostname: 'h' });
    await beside.release();
    child.stdin.end('x');
    await new Promise((resolve) => child.on('exit', resolve));
    expect(await listLocks(repository)).toEqual([]);
  });
});

function lockOf(change: { hostname: string; pid?: number; time?: string }) {
  return { time: '2026-01-01T00:00:00Z', exclusive: true, username: 'u', pid: 1, ...change };
}

test('whoever waits for a lock is told who holds it, for how long, and how long is left', async () => {
  const { repository, clock } = await makeLocked();
  const held = await take(repository, clock, { exclusive: true, hostname: 'pruner' });
  await clock.advance(60_000);
  const waits: unknown[] = [];
  const waiting = acquireLock(repository, {
    exclusive: false,
    hostname: 'reader',
    clock,
    waitMs: 12_000,
    onWait: ({ locked: { context }, heldMs, leftMs }) => waits.push([context.holder, context.kind, heldMs, leftMs]),
  });
  const outcome = waiting.catch((error: unknown) => error);
  await clock.advance(12_000);
  expect(waits).toEqual([
    [`pruner (process ${process.pid})`, 'exclusive', 60_200, 12_000],
    [`pruner (process ${process.pid})`, 'exclusive', 65_200, 7000],
  ]);
  expect(await outcome).toMatchObject(locked);
  await held.release();
});
