import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { parseSpan } from '../../src/policy/calendar-span.ts';
import type { RetentionPolicy } from '../../src/policy/retention.ts';
import { executeForget, forgetJson, type GroupKey, planForget, planRemoval } from '../../src/repository/forget.ts';
import type { Snapshot, StoredSnapshot } from '../../src/repository/format/snapshot.ts';
import { initRepository } from '../../src/repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { cheapKdf, makeRepository, makeSource, password } from './restic-repository.ts';

const tree = '11'.repeat(32);
const nowMs = Date.UTC(2026, 10, 22);

function stored(day: number, change: Partial<Snapshot> = {}): StoredSnapshot {
  const time = new Date(Date.UTC(2026, 0, day)).toISOString();
  return { id: String(day).padStart(64, '0'), time, tree, paths: ['/a'], hostname: 'h', ...change };
}

function removedDays(snapshots: StoredSnapshot[], policy: RetentionPolicy, options = {}): number[] {
  const plan = planForget(snapshots, policy, { nowMs, ...options });
  return plan.groups.flatMap(({ remove }) => remove.map(({ id }) => Number(id)));
}

test('rules apply to each host and set of paths on its own, unless grouped otherwise', () => {
  const snapshots = [
    stored(1),
    stored(2, { paths: ['/b', '/a'] }),
    stored(3, { paths: ['/a', '/b'] }),
    stored(4, { hostname: 'other', tags: ['t'] }),
  ];
  expect(removedDays(snapshots, { last: 1 })).toEqual([2]);
  expect(removedDays(snapshots, { last: 1 }, { groupBy: ['host'] })).toEqual([2, 1]);
  expect(removedDays(snapshots, { last: 1 }, { groupBy: ['tags'] })).toEqual([2, 1]);
  expect(removedDays(snapshots, { last: 1 }, { groupBy: [] })).toEqual([3, 2, 1]);
});

test('what the filter leaves out is neither removed nor counted', () => {
  const snapshots = [stored(1), stored(2, { tags: ['x'] }), stored(3)];
  expect(removedDays(snapshots, { last: 1 }, { filter: { tags: [['']] } })).toEqual([1]);
});

test('ledger entries are never in a plan', () => {
  const ledger = stored(9, { paths: ['/.holdfast/run'] });
  const plan = planForget([stored(1), ledger, stored(2)], { last: 1 }, { nowMs, groupBy: [] });
  expect(JSON.stringify(forgetJson(plan))).not.toContain(ledger.id);
});

test('no rule at all is refused, and so are rules that would keep nothing of a group', () => {
  expect(() => planForget([stored(1)], {}, { nowMs })).toThrow(expect.objectContaining({ code: 'POLICY_EMPTY' }));
  expect(() => planForget([stored(1)], { tags: [['x']] }, { nowMs })).toThrow(
    expect.objectContaining({ code: 'FORGET_REFUSED', context: { group: 'host h, paths /a' } }),
  );
});

test("rustic's marks against removal are honoured", () => {
  const snapshots = [
    stored(1, { delete: 'Never' }),
    stored(2, { delete: { After: '2026-12-01T00:00:00Z' } }),
    stored(3, { delete: { After: '2026-11-01T00:00:00Z' } }),
    stored(4, { delete: 'NotSet' }),
    stored(5),
  ];
  expect(removedDays(snapshots, { last: 1 })).toEqual([4, 3]);
});

test('by hand, incomplete backups count like all others; with a floor they do not', () => {
  const incomplete = { tags: ['state=incomplete'] };
  const snapshots = [stored(1), stored(2, incomplete), stored(3, incomplete)];
  expect(removedDays(snapshots, { last: 1 })).toEqual([2, 1]);
  expect(removedDays(snapshots, { last: 1 }, { floor: {} })).toEqual([2]);
});

test('forgetting removes exactly what the plan says, and reports what it could not remove', async () => {
  const memory = openMemoryStore();
  const made = await initRepository(memory, password, { kdf: cheapKdf });
  for (let day = 1; day <= 5; day++) {
    const { id: _, ...snapshot } = stored(day);
    await saveSnapshot(made, snapshot);
  }
  const all = await listSnapshots(made);
  const stuck = all[1]!.id;
  const store: typeof memory = {
    ...memory,
    async remove(type, name) {
      if (name === stuck)
        throw new HoldfastError('STORE_DENIED', { url: 'memory', operation: 'remove', reason: 'test' });
      await memory.remove(type, name);
    },
  };
  const result = await executeForget({ ...made, store }, planForget(all, { last: 2 }, { nowMs }));
  expect(result.errors).toEqual([{ id: stuck, message: expect.stringContaining('refused') }]);
  expect(new Set(result.removed)).toEqual(new Set([all[0]!.id, all[2]!.id]));
  expect((await listSnapshots(made)).map(({ id }) => id)).toEqual([stuck, all[3]!.id, all[4]!.id]);
  await executeForget(made, planRemoval([all[4]!]));
  expect(await listSnapshots(made)).toHaveLength(2);
});

test('nothing is removed from a repository that is marked append-only', async () => {
  const made = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  const repository = { ...made, config: { ...made.config, append_only: true } };
  await expect(executeForget(repository, planRemoval([stored(1)]))).rejects.toMatchObject({
    code: 'REPOSITORY_APPEND_ONLY',
  });
});

interface JsonGroup {
  readonly host: string;
  readonly paths: string[] | null;
  readonly tags: string[] | null;
  readonly keep: { readonly id: string }[] | null;
  readonly remove: { readonly id: string }[] | null;
  readonly reasons: { readonly snapshot: { readonly time: string }; readonly matches: string[] }[] | null;
}

interface PrintedGroup {
  readonly keep: readonly object[];
  readonly reasons: readonly { readonly snapshot: object; readonly matches: unknown }[];
}

/** Since 0.17 restic names the id of a snapshot beside the reasons, too, and tells no counters. */
function asNewerResticPrints(group: PrintedGroup): PrintedGroup {
  const reasons = group.reasons.map(({ matches }, at) => ({ snapshot: group.keep[at] ?? {}, matches }));
  return { ...group, reasons };
}

/** restic 0.14 does not keep the oldest snapshot for a rule that has room; 0.16 and later do, and so do we. */
function withoutOldest(groups: readonly JsonGroup[]): unknown[] {
  return groups
    .map(({ host, paths, tags, keep, remove, reasons }) => {
      const matches = (reasons ?? []).map((reason) => reason.matches.filter((match) => !match.startsWith('oldest')));
      const kept = (keep ?? []).map(({ id }, position) => ({ id, matches: matches[position]! }));
      const gone = kept.filter((one) => one.matches.length === 0).map(({ id }) => id);
      const removed = [...(remove ?? []).map(({ id }) => id), ...gone].sort();
      return { host, paths, tags, keep: kept.filter((one) => one.matches.length > 0), remove: removed };
    })
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** A generator of numbers in [0, 1) that gives the same ones for the same seed (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Rule = readonly [flag: string, value: string, policy: RetentionPolicy];

function drawRules(random: () => number): Rule[] {
  const number = (): number => 1 + Math.floor(random() * 12);
  const counted = (['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const).map((name): Rule => {
    const count = number();
    return [`--keep-${name}`, String(count), { [name]: count }];
  });
  const spans = ['', 'Hourly', 'Daily', 'Weekly', 'Monthly', 'Yearly'].map((unit): Rule => {
    const text = ['36h', '3d', '1m', '2m5d', '1y', '1y2m3d4h'][Math.floor(random() * 6)]!;
    const flag = unit === '' ? '--keep-within' : `--keep-within-${unit.toLowerCase()}`;
    return [flag, text, { [`within${unit}`]: parseSpan(text) }];
  });
  const tags: Rule = ['--keep-tag', 'red,blue', { tags: [['red', 'blue']] }];
  return [...counted, ...spans, tags].filter(() => random() < 0.2);
}

describeWith('restic', 'the plan and restic', () => {
  test('both print it in the same form, key by key', async () => {
    const { repository, env } = await makeRepository();
    const source = await makeSource();
    await restic(['backup', '--tag', 'a,b', '.'], { env, cwd: source });
    await restic(['backup', '--exclude', '*.x', '.'], { env, cwd: source });
    await restic(['backup', '--host', 'other', '.'], { env, cwd: source });
    await restic(['backup', '.'], { env, cwd: source });
    const snapshots = await listSnapshots(repository);
    for (const groupBy of [['host', 'paths'], ['tags'], []] as GroupKey[][]) {
      const args = ['--dry-run', '--json', '--keep-last', '1', '--group-by', groupBy.join(',')];
      const printed: PrintedGroup[] = JSON.parse(await restic(['forget', ...args], { env }));
      const ours = forgetJson(planForget(snapshots, { last: 1 }, { nowMs: Date.now(), groupBy }));
      const sorted = (groups: unknown[]): string[] => groups.map((group) => JSON.stringify(group)).sort();
      expect(sorted(ours)).toEqual(sorted(printed.map(asNewerResticPrints)));
    }
  });

  test('both keep and remove the same of hundreds of snapshots, for the same reasons', {
    timeout: 120_000,
  }, async () => {
    const seed = 20_261_122;
    const random = seededRandom(seed);
    const { repository, env } = await makeRepository();
    for (let count = 0; count < 300; count++) {
      const time = Date.UTC(2026, 9, 30) - Math.floor(random() ** 3 * 3 * 366 * 86_400_000);
      const zone = ['Z', '+02:00', '-07:30'][Math.floor(random() * 3)]!;
      await saveSnapshot(repository, {
        time: `${new Date(time).toISOString().slice(0, 19)}.${count + 1}${zone}`,
        tree,
        paths: [['/a'], ['/b', '/a'], ['/a', '/b']][Math.floor(random() * 3)]!,
        hostname: ['h1', 'h2'][Math.floor(random() * 2)]!,
        tags: ['red', 'blue', 'state=incomplete'].filter(() => random() < 0.3),
      });
    }
    const snapshots = await listSnapshots(repository);
    let compared = 0;
    for (let round = 0; round < 25; round++) {
      const rules = drawRules(random);
      // A rule that always keeps something, so that no group is refused.
      const policy: RetentionPolicy = Object.assign({ last: 1 }, ...rules.map(([, , part]) => part));
      const args = rules.map(([flag, value]) => `${flag}=${value}`);
      const groupBy = ([['host', 'paths'], ['host'], ['tags'], []] as GroupKey[][])[round % 4]!;
      const last = policy.last === 1 ? ['--keep-last', '1'] : [];
      const printed = await restic(
        ['forget', '--dry-run', '--json', '--no-lock', '--group-by', groupBy.join(','), ...last, ...args],
        { env },
      );
      const ours = JSON.parse(
        JSON.stringify(forgetJson(planForget(snapshots, policy, { nowMs: Date.now(), groupBy }))),
      );
      expect(withoutOldest(ours), `seed ${seed}, round ${round}: ${args.join(' ')}`).toEqual(
        withoutOldest(JSON.parse(printed)),
      );
      compared += 1;
    }
    expect(compared).toBe(25);
  });
});
