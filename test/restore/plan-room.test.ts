import { describe, expect, test } from 'vitest';
import type { ClusterFacts, RestoreWishes } from '../../src/restore/facts.ts';
import { planRestore } from '../../src/restore/plan.ts';
import { planSet, type SetItem } from '../../src/restore/plan-set.ts';
import { backup, classOf, facts, nodeOf, recipeOf, zoneKey } from './cluster-facts.ts';

const mebibyte = 2 ** 20;
const waits = { volumeBindingMode: 'WaitForFirstConsumer' };

/** The recorded claim asks for 200 MiB of class `standard` in zone b. */
function planning(changes: Partial<ClusterFacts>, wishes: RestoreWishes = {}) {
  return planRestore({ backup, recipe: recipeOf(), facts: { ...facts, ...changes }, wishes });
}

function codesOf(changes: Partial<ClusterFacts>, wishes: RestoreWishes = {}): string[] {
  return planning(changes, wishes).refusals.map(({ code }) => code);
}

function quotaOf(left: Record<string, number>): Partial<ClusterFacts> {
  return { quotas: [{ name: 'storage', left }] };
}

describe('a quota', () => {
  test.each<[string, Record<string, number>, string[]]>([
    [
      'has to hold two claims of the size for the time of the restore',
      { 'requests.storage': 399 * mebibyte },
      ['QUOTA_EXCEEDED'],
    ],
    ['that holds both is no obstacle', { 'requests.storage': 400 * mebibyte, persistentvolumeclaims: 2 }, []],
    ['of numbers counts both', { persistentvolumeclaims: 1 }, ['QUOTA_EXCEEDED']],
    ['of numbers by the other name counts both', { 'count/persistentvolumeclaims': 1 }, ['QUOTA_EXCEEDED']],
    [
      'of the class counts',
      { 'standard.storageclass.storage.k8s.io/requests.storage': 200 * mebibyte },
      ['QUOTA_EXCEEDED'],
    ],
    ['of another class does not', { 'gold.storageclass.storage.k8s.io/persistentvolumeclaims': 0 }, []],
    ['of pods does not', { 'requests.cpu': 0 }, []],
  ])('%s', (_, left, codes) => {
    expect(codesOf(quotaOf(left))).toEqual(codes);
  });

  test('holds already what an unfinished restore has made', () => {
    const { plan } = planning({});
    const id = plan!.restoreId;
    const target = { uid: 'u', phase: 'Pending', restoreId: id, backupId: backup.id, restoredFrom: backup.id };
    const unfinished = plan!.temporaryClaim.metadata.annotations['restore.holdfast.dev/plan']!;
    expect(codesOf({ target, unfinished, ...quotaOf({ persistentvolumeclaims: 0 }) })).toEqual([]);
  });

  test('that may not be read refuses nothing, and it is said', () => {
    const { plan, refusals } = planning({ quotas: null, limits: null });
    expect(refusals).toEqual([]);
    expect(plan?.warnings).toEqual([expect.stringContaining('the quotas of shop')]);
  });

  test('has to hold all claims of a set, and as many temporary ones as are restored at a time', () => {
    const itemOf = (name: string): SetItem => {
      const recipe = recipeOf({ claim: { metadata: { name } } });
      const found = { recipe, facts: { ...facts, ...quotaOf({ persistentvolumeclaims: 4 }) } };
      return { source: `shop/${name}`, backup, takenMs: 0, run: null, found, warnings: [] };
    };
    const items = ['a', 'b', 'c'].map(itemOf);
    const plan = (parallel: number) => planSet({ items, set: null, missing: [], refusals: [], wishes: {}, parallel });
    expect(plan(2).refusals.map(({ code, context }) => [code, context.needed])).toEqual([['QUOTA_EXCEEDED', '5']]);
    expect(plan(1).refusals).toEqual([]);
  });
});

test.each<[string, number | null, number | null, string[]]>([
  ['too small', 201 * mebibyte, null, ['SIZE_NOT_ALLOWED']],
  ['too large', null, 199 * mebibyte, ['SIZE_NOT_ALLOWED']],
  ['just right', 200 * mebibyte, 200 * mebibyte, []],
])('a claim that is %s for the limits of the namespace', (_, minBytes, maxBytes, codes) => {
  expect(codesOf({ limits: [{ name: 'claims', minBytes, maxBytes }] })).toEqual(codes);
});

describe('what the storage has left', () => {
  const roomOf = (storageClass: string, zone: string, size: number) => ({
    ...{ storageClass, labels: { [zoneKey]: zone } },
    bytes: size * mebibyte,
  });

  test('in the planned zone decides, and what would help is named', () => {
    const capacities = [
      roomOf('standard', 'b', 100),
      roomOf('standard', 'c', 300),
      roomOf('immediate', 'b', 300),
      roomOf('immediate', 'a', 50),
    ];
    const [refusal] = planning({ capacities }).refusals;
    expect(refusal?.code).toBe('STORAGE_FULL');
    expect(refusal?.hint).toBe(
      'What would help: --zone c has room; --storage-class immediate has room; the data fits into --size 72Mi.',
    );
    expect(codesOf({ capacities }, { zone: 'c' })).toEqual([]);
    expect(codesOf({ capacities }, { storageClass: 'immediate' })).toEqual([]);
    expect(codesOf({ capacities }, { sizeBytes: 72 * mebibyte })).toEqual([]);
  });

  test('anywhere is enough for a volume that may be anywhere', () => {
    const capacities = [roomOf('standard', 'a', 300), roomOf('standard', 'b', 10)];
    expect(codesOf({ capacities }, { zone: 'any' })).toEqual([]);
  });

  test('is not asked of a driver that does not tell, nor for a volume that is there already', () => {
    expect(codesOf({ capacities: [] })).toEqual([]);
    expect(codesOf({ capacities: [roomOf('other', 'b', 0)] })).toEqual([]);
    const unfinished = planning({}).plan!.temporaryClaim.metadata.annotations['restore.holdfast.dev/plan']!;
    expect(codesOf({ unfinished, capacities: [roomOf('standard', 'b', 0)] })).toEqual([]);
  });
});

test.each([
  ['b', 0, ['NODES_FULL']],
  ['b', 1, []],
  ['a', 0, []],
])('nodes of zone %s that may have %d more volumes', (zone, left, codes) => {
  const full = nodeOf(zone, { attachable: { 'csi.test': left } });
  const nodes = facts.nodes.map((node) => (node.name === full.name ? full : node));
  expect(codesOf({ nodes })).toEqual(codes);
});

test('a class that takes the place of the recorded one', () => {
  const storageClasses = [...facts.storageClasses, classOf({ metadata: { name: 'gp3' }, ...waits })];
  const { plan } = planning({ storageClasses }, { classMap: { standard: 'gp3', other: 'x' } });
  expect(plan?.storageClass).toMatchObject({ name: 'gp3', reason: 'in place of standard' });
  expect(codesOf({ storageClasses }, { classMap: { standard: 'gone' } })).toEqual(['STORAGE_CLASS_MISSING']);
  const chosen = planning({ storageClasses }, { classMap: { standard: 'gp3' }, storageClass: 'immediate' });
  expect(chosen.plan?.storageClass.name).toBe('immediate');
});
