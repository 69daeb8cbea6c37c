import { expect, test } from 'vitest';
import {
  type PackAction,
  type PackFacts,
  type PruneFacts,
  type PruneOptions,
  planPrune,
} from '../../src/repository/prune-plan.ts';

const MiB = 1 << 20;

/** A pack of 16 MiB in which `unusedPercent` is unused, unless told otherwise. */
function pack(id: string, unusedPercent: number, change: Partial<PackFacts> & { sizeBytes?: number } = {}): PackFacts {
  const { sizeBytes = 16 * MiB, ...rest } = change;
  const unusedBytes = Math.round((sizeBytes * unusedPercent) / 100);
  return {
    id,
    kind: 'data',
    indexedBytes: sizeBytes,
    storedBytes: sizeBytes,
    usedBlobs: unusedPercent === 100 ? 0 : 10,
    unusedBlobs: unusedPercent > 0 ? 10 : 0,
    usedBytes: sizeBytes - unusedBytes,
    unusedBytes,
    hasPlainTrees: false,
    ...rest,
  };
}

function facts(packs: readonly PackFacts[], change: Partial<PruneFacts> = {}): PruneFacts {
  return { packs, unreferenced: [], lockedSinceMs: 1000, ...change };
}

function actions(packs: readonly PackFacts[], options: PruneOptions = {}): Record<string, PackAction> {
  const { decisions } = planPrune(facts(packs), options);
  return Object.fromEntries(decisions.map(({ id, action }) => [id, action]));
}

const whole = Array.from({ length: 9 }, (_, at) => pack(`whole-${at}`, 0));
const nothingUnused = { maxUnused: { bytes: 0 } } as const;

test.each<[title: string, pack: PackFacts, options: PruneOptions, action: PackAction, reason: string]>([
  ['used as a whole', pack('p', 0), {}, 'keep', 'all of it is used'],
  ['not used at all', pack('p', 100), {}, 'remove', 'nothing in it is used'],
  ['a little unused, within the limit', pack('p', 20), {}, 'keep', 'as much as is left unused is allowed'],
  [
    'a little unused, no limit',
    pack('p', 90),
    { maxUnused: 'unlimited' },
    'keep',
    'as much as is left unused is allowed',
  ],
  ['a little unused, none allowed', pack('p', 20), nothingUnused, 'repack', '20% of it is unused'],
  ['hardly unused, none allowed', pack('p', 0.01), nothingUnused, 'repack', '1% of it is unused'],
  ['mostly unused', pack('p', 90), {}, 'repack', '90% of it is unused'],
  ['unused and small', pack('p', 20, { sizeBytes: MiB }), { maxUnused: 'unlimited' }, 'repack', '20% of it is unused'],
  [
    'trees, partly unused',
    pack('p', 20, { kind: 'tree' }),
    { maxUnused: 'unlimited' },
    'repack',
    '20% of it is unused',
  ],
  ['mixed, all used', pack('p', 0, { kind: 'mixed' }), {}, 'repack', 'it mixes trees and data'],
  [
    'trees that are not compressed',
    pack('p', 0, { kind: 'tree', hasPlainTrees: true }),
    { maxUnused: 'unlimited' },
    'repack',
    'its trees are not compressed',
  ],
  ['small, one of few', pack('p', 0, { sizeBytes: MiB }), {}, 'keep', 'all of it is used, and few packs are small'],
  [
    'missing and unused',
    pack('p', 100, { storedBytes: undefined }),
    {},
    'drop',
    'it is missing, and nothing in it is used',
  ],
  ['cut and unused', pack('p', 100, { storedBytes: 3 }), {}, 'remove', 'nothing in it is used'],
  [
    'over the limit of repacking',
    pack('p', 90),
    { ...nothingUnused, maxRepackBytes: 10 * MiB },
    'keep',
    'the limit of what may be repacked is reached',
  ],
])('a pack that is %s', (_, one, options, action, reason) => {
  const decision = planPrune(facts([...whole, one]), options).decisions.find(({ id }) => id === 'p');
  expect(decision).toMatchObject({ action, reason });
});

test.each([
  ['missing', undefined, 'the pack p is missing, and backups need it'],
  ['cut', 3, 'the pack p has 3 bytes, and must have 16777216, and backups need it'],
])('a pack that is %s and needed ends the prune', (_, storedBytes, reason) => {
  expect(() => planPrune(facts([pack('p', 0, { storedBytes })]))).toThrow(
    expect.objectContaining({ code: 'PRUNE_REFUSED', context: { reason } }),
  );
});

test('packs in no index go, but for those that are not older than the lock', () => {
  const unreferenced = [999, 1000, 1001].map((modifiedMs) => ({ id: `at-${modifiedMs}`, sizeBytes: 5, modifiedMs }));
  const { decisions, totals } = planPrune(facts([], { unreferenced }));
  expect(decisions.map(({ action }) => action)).toEqual(['sweep', 'keep', 'keep']);
  expect(totals).toMatchObject({ freedBytes: 5, packs: { sweep: 1, keep: 2 } });
});

test('small packs are put together when they are ten, or when asked for and ten', () => {
  const small = Array.from({ length: 10 }, (_, at) => pack(`small-${at}`, 0, { sizeBytes: 3 * MiB }));
  expect(new Set(Object.values(actions(small)))).toEqual(new Set(['repack']));
  expect(new Set(Object.values(actions(small.slice(1))))).toEqual(new Set(['keep']));
  const middling = Array.from({ length: 10 }, (_, at) => pack(`middling-${at}`, 0, { sizeBytes: 12 * MiB }));
  expect(new Set(Object.values(actions(middling)))).toEqual(new Set(['keep']));
  expect(new Set(Object.values(actions(middling, { repackSmall: true })))).toEqual(new Set(['repack']));
});

test('the limit is a share of what is left after the prune', () => {
  // 144 MiB used of 160: 5% of the rest are 7.6 MiB.
  const packs = [...whole.slice(0, 8), pack('a', 50), pack('b', 50)];
  expect(actions(packs)).toMatchObject({ a: 'repack', b: 'repack' });
  expect(actions(packs, { maxUnused: { percent: 6 } })).toMatchObject({ a: 'repack', b: 'keep' });
  expect(actions(packs, { maxUnused: { percent: 11 } })).toMatchObject({ a: 'keep', b: 'keep' });
  expect(actions(packs, { maxUnused: { bytes: 8 * MiB + 1 } })).toMatchObject({ a: 'repack', b: 'keep' });
  expect(actions(packs, { maxUnused: { percent: 100 } })).toMatchObject({ a: 'keep', b: 'keep' });
});

test('what frees most for the least work comes first; trees before all', () => {
  const packs = [...whole, pack('less', 30), pack('tree', 10, { kind: 'tree' }), pack('more', 60)];
  const { decisions } = planPrune(facts(packs), nothingUnused);
  const order = decisions.filter(({ action }) => action === 'repack').map(({ id }) => id);
  expect(order).toEqual(['tree', 'more', 'less']);
  expect(actions(packs, { ...nothingUnused, maxRepackBytes: 33 * MiB })).toMatchObject({
    tree: 'repack',
    more: 'repack',
    less: 'keep',
  });
});

test('totals add up', () => {
  const packs = [pack('kept', 0), pack('gone', 100), pack('half', 50)];
  const { totals } = planPrune(facts(packs), nothingUnused);
  expect(totals).toEqual({
    packs: { keep: 1, repack: 1, remove: 1, sweep: 0, drop: 0 },
    bytes: { keep: 16 * MiB, repack: 16 * MiB, remove: 16 * MiB, sweep: 0, drop: 0 },
    usedBytes: 24 * MiB,
    unusedBytes: 24 * MiB,
    freedBytes: 24 * MiB,
    unusedAfterBytes: 0,
  });
});
