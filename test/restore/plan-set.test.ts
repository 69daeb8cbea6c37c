import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import type { ClusterFacts, ExistingClaim } from '../../src/restore/facts.ts';
import { planSet, type SetItem, type SetRequest } from '../../src/restore/plan-set.ts';
import { backup, facts, recipeOf } from './cluster-facts.ts';

function itemOf(name: string, changes: Partial<SetItem> = {}, changed: Partial<ClusterFacts> = {}): SetItem {
  const recipe = recipeOf({ claim: { metadata: { name } } });
  return {
    source: `shop/${name}`,
    backup,
    takenMs: 0,
    run: 'r1',
    found: { recipe, facts: { ...facts, ...changed } },
    warnings: [],
    ...changes,
  };
}

function planOf(items: SetItem[], changes: Partial<SetRequest> = {}) {
  return planSet({ items, set: null, missing: [], refusals: [], wishes: {}, parallel: 3, ...changes });
}

const there: ExistingClaim = { uid: 'u', phase: 'Bound', restoreId: null, backupId: null, restoredFrom: null };

describe('each claim of a set', () => {
  test('has a plan of its own', () => {
    const { entries, refusals } = planOf([itemOf('data-db-0'), itemOf('data-db-1')]);
    expect(refusals).toEqual([]);
    expect(entries.map(({ claim, status }) => [claim, status])).toEqual([
      ['shop/data-db-0', 'ready'],
      ['shop/data-db-1', 'ready'],
    ]);
    expect(entries[1]?.plan?.target).toEqual({ namespace: 'shop', name: 'data-db-1' });
  });

  test('goes to the namespace that is wished, under its own name', () => {
    const { entries } = planOf([itemOf('data-db-0')], { wishes: { namespace: 'trial' } });
    expect(entries[0]).toMatchObject({ claim: 'trial/data-db-0', source: 'shop/data-db-0', status: 'ready' });
  });

  test('that a run before has finished needs nothing, also where its zone is gone by now', () => {
    const done = itemOf('data-db-0', {}, { target: { ...there, restoredFrom: backup.id }, nodes: [] });
    expect(planOf([done]).entries[0]).toMatchObject({ status: 'restored', plan: null, refusals: [] });
  });

  test.each([
    [false, 'refused', ['TARGET_EXISTS']],
    [true, 'skipped', []],
  ])('that is there, with --skip-existing %s, is %s', (skipExisting, status, codes) => {
    const { entries } = planOf([itemOf('data-db-0', {}, { target: there })], { wishes: { skipExisting } });
    expect(entries[0]).toMatchObject({ status });
    expect(entries[0]?.refusals.map(({ code }) => code)).toEqual(codes);
  });

  test('that is half restored from another backup is never skipped', () => {
    const target = { ...there, restoreId: 'other', backupId: 'ef'.repeat(32), restoredFrom: backup.id };
    const { entries } = planOf([itemOf('data-db-0', {}, { target })], { wishes: { skipExisting: true } });
    expect(entries[0]).toMatchObject({ status: 'refused', plan: null });
  });

  test('whose recipe cannot be read is refused, and the others are planned', () => {
    const unreadable = new HoldfastError('RECIPE_UNREADABLE', { reason: 'it is no JSON' });
    const { entries } = planOf([itemOf('data-db-0', { found: unreadable }), itemOf('data-db-1')]);
    expect(entries.map(({ status }) => status)).toEqual(['refused', 'ready']);
  });
});

describe('a set is refused', () => {
  test('when two backups would become the same claim', () => {
    const items = [itemOf('data'), itemOf('data', { source: 'media/data' })];
    const { refusals } = planOf(items, { wishes: { namespace: 'trial' } });
    expect(refusals.map(({ code }) => code)).toEqual(['RESTORE_REFUSED']);
    expect(refusals[0]?.message).toContain('media/data');
  });

  test('when an ordinal has no backup, unless that is allowed (R8.1)', () => {
    const lacking = { set: 'shop/db', missing: ['shop/data-db-1'] };
    const { refusals } = planOf([itemOf('data-db-0')], lacking);
    expect(refusals.map(({ code }) => code)).toEqual(['ORDINALS_MISSING']);
    expect(refusals[0]?.message).toContain('shop/data-db-1');
    const allowed = planOf([itemOf('data-db-0')], { ...lacking, wishes: { allowIncomplete: true } });
    expect(allowed).toMatchObject({ refusals: [], missing: ['shop/data-db-1'] });
  });
});

test('ordinals whose backups are of several runs are told apart', () => {
  const items = [itemOf('data-db-0'), itemOf('data-db-1', { run: 'r2', takenMs: 7_200_000 })];
  expect(planOf(items, { set: 'shop/db' }).warnings).toEqual([expect.stringContaining('2 runs, 2h apart')]);
  expect(planOf(items).warnings).toEqual([]);
  expect(planOf([itemOf('data-db-0'), itemOf('data-db-1')], { set: 'shop/db' }).warnings).toEqual([]);
});
