import { describe, expect, test } from 'vitest';
import { isHoldfastError } from '../../src/base/errors.ts';
import type { Recipe } from '../../src/manifest/recipe.ts';
import type { ClusterFacts, RestoreWishes } from '../../src/restore/facts.ts';
import { planClass } from '../../src/restore/plan-class.ts';
import { type PlacePlan, planPlace } from '../../src/restore/plan-place.ts';
import { classOf, facts, nodeOf, recipeIn, recipeOf, zoneKey } from './cluster-facts.ts';

function placing(recipe: Recipe, wishes: RestoreWishes = {}, changed: Partial<ClusterFacts> = {}) {
  const all = { ...facts, ...changed };
  const storageClass = planClass(recipe, all, wishes);
  if (isHoldfastError(storageClass)) throw storageClass;
  return planPlace(recipe, all, wishes, storageClass);
}

function placeOf(...given: Parameters<typeof placing>): PlacePlan {
  const place = placing(...given);
  if (isHoldfastError(place)) throw place;
  return place;
}

const inB = recipeOf();
const immediate = { storageClass: 'immediate' };

describe('the zone', () => {
  test.each<[string, Recipe, RestoreWishes, string, string[] | null, string]>([
    ['stays', inB, {}, 'preserved', ['b'], 'mover'],
    ['stays, by a copy of a class that binds at once', inB, immediate, 'preserved', ['b'], 'class'],
    ['stays, by a class that allows no other', inB, { storageClass: 'only-b' }, 'preserved', ['b'], 'already'],
    ['is the chosen one', inB, { zone: 'c' }, 'chosen', ['c'], 'mover'],
    ['is the chosen one, by a copy of the class', inB, { zone: 'c', ...immediate }, 'chosen', ['c'], 'class'],
    ['is left to the scheduler', inB, { zone: 'any' }, 'any', null, 'none'],
    [
      'is mapped when the old one is not here',
      recipeIn(zoneKey, 'eu-1'),
      { zoneMap: { 'eu-1': 'a' } },
      'mapped',
      ['a'],
      'mover',
    ],
    ['stays, whatever the map says, when it is here', inB, { zoneMap: { b: 'a' } }, 'preserved', ['b'], 'mover'],
    ['stays both zones of a regional disk', recipeIn(zoneKey, 'a', 'b'), immediate, 'preserved', ['a', 'b'], 'class'],
    ['is open for a volume of no zone', recipeIn('topology.example/rack', 'r'), {}, 'any', null, 'none'],
  ])('%s', (_, recipe, wishes, decision, values, force) => {
    const place = placeOf(recipe, wishes);
    expect(place).toMatchObject({ decision, force });
    expect(place.label).toEqual(values && { key: zoneKey, values });
  });

  test('that was only guessed is no reason to refuse', () => {
    const guessed: Recipe = { ...inB, topology: { ...inB.topology, zones: ['gone'], source: 'attached-node' } };
    expect(placeOf(guessed)).toMatchObject({ decision: 'any', label: null });
  });

  test('is named by the key of the driver, whichever key the recipe was written with', () => {
    const key = 'topology.ebs.csi.aws.com/zone';
    const node = nodeOf('b', { labels: { [key]: 'b' }, driverKeys: { 'csi.test': [key] } });
    expect(placeOf(inB, {}, { nodes: [node] }).label).toEqual({ key, values: ['b'] });
  });

  test('is not forced on a driver that knows none', () => {
    const nodes = [nodeOf('a', { driverKeys: { 'csi.test': [] } }), nodeOf('b', { driverKeys: { 'csi.test': [] } })];
    const place = placeOf(inB, {}, { nodes });
    expect(place).toMatchObject({ label: null, force: 'none' });
    expect(place.warnings[0]).toMatch(/knows no zones/);
  });

  test('is forced by the mover where the provisioner is no CSI driver', () => {
    const nodes = [nodeOf('a', { driverKeys: {} }), nodeOf('b', { driverKeys: {} })];
    expect(placeOf(inB, {}, { nodes })).toMatchObject({ label: { key: zoneKey, values: ['b'] }, force: 'mover' });
  });
});

describe('spread over the zones (R5.8)', () => {
  const named = (name: string): Recipe => recipeOf({ claim: { metadata: { name } } });

  test.each([
    ['data-db-0', 'a'],
    ['data-db-1', 'b'],
    ['data-db-2', 'c'],
    ['data-db-3', 'a'],
    ['logs-db-1', 'b'],
  ])('%s comes to zone %s, wherever it was', (name, zone) => {
    expect(placeOf(named(name), { zone: 'spread' })).toMatchObject({ decision: 'spread', label: { values: [zone] } });
  });

  test('goes only over zones that are here and that the class allows', () => {
    const nodes = [nodeOf('a'), nodeOf('b', { usable: false }), nodeOf('c')];
    expect(placeOf(named('data-db-1'), { zone: 'spread' }, { nodes }).label?.values).toEqual(['c']);
    expect(placeOf(named('data-db-2'), { zone: 'spread', storageClass: 'only-b' }).label?.values).toEqual(['b']);
  });

  test('takes an ordinal', () => {
    expect(isHoldfastError(placing(named('data'), { zone: 'spread' }), 'RESTORE_REFUSED')).toBe(true);
  });
});

describe('a volume of a region', () => {
  const key = 'topology.kubernetes.io/region';
  const recipe = recipeIn(key, 'eu');
  const inRegion = (region: string) => nodeOf('a', { labels: { [key]: region }, driverKeys: { 'csi.test': [key] } });

  test('stays in it', () => {
    expect(placeOf(recipe, {}, { nodes: [inRegion('eu')] })).toMatchObject({
      decision: 'preserved',
      label: { key, values: ['eu'] },
      force: 'mover',
    });
  });

  test('is mapped, or refused, where that is not here', () => {
    const nodes = [inRegion('us')];
    expect(placeOf(recipe, { zoneMap: { eu: 'us' } }, { nodes })).toMatchObject({ decision: 'mapped' });
    expect(isHoldfastError(placing(recipe, {}, { nodes }), 'REGION_MISSING')).toBe(true);
  });
});

describe('a zone is missing', () => {
  const unusable = [nodeOf('a'), nodeOf('b', { usable: false })];
  const unserved = [nodeOf('a'), nodeOf('b', { driverKeys: { other: [zoneKey] } })];

  test.each<[string, Recipe, RestoreWishes, Partial<ClusterFacts>]>([
    ['when no node is in it', recipeIn(zoneKey, 'eu-1'), {}, {}],
    ['when it is chosen and no node is in it', inB, { zone: 'eu-1' }, {}],
    ['when the map leads nowhere', recipeIn(zoneKey, 'eu-1'), { zoneMap: { 'eu-1': 'eu-2' } }, {}],
    ['when no node in it can run pods', inB, {}, { nodes: unusable }],
    ['when the driver serves no node in it', inB, {}, { nodes: unserved }],
    ['when one zone of a regional disk is gone', recipeIn(zoneKey, 'a', 'x'), {}, {}],
  ])('%s', (_, recipe, wishes, changed) => {
    expect(isHoldfastError(placing(recipe, wishes, changed), 'ZONE_MISSING')).toBe(true);
  });

  test('and the refusal names those that are there', () => {
    expect(placing(inB, { zone: 'x' })).toMatchObject({ context: { zone: 'x', zones: 'a, b, c' } });
  });
});

test('a class that is kept out of the zone is not bent to it', () => {
  expect(isHoldfastError(placing(inB, { storageClass: 'only-b', zone: 'c' }), 'RESTORE_REFUSED')).toBe(true);
});

describe('a volume of one node', () => {
  const onB = recipeIn('kubernetes.io/hostname', 'node-b');
  const local = [classOf({ provisioner: 'rancher.io/local-path' })];
  const nodes = facts.nodes.map((node) => ({ ...node, driverKeys: {} }));

  test('goes back to its node', () => {
    expect(placeOf(onB, {}, { nodes, storageClasses: local }).label).toEqual({
      key: 'kubernetes.io/hostname',
      values: ['node-b'],
    });
  });

  test('goes elsewhere, with a warning, when that is gone', () => {
    const place = placeOf(recipeIn('kubernetes.io/hostname', 'node-z'), {}, { nodes, storageClasses: local });
    expect(place).toMatchObject({ decision: 'any', label: null });
    expect(place.warnings).toHaveLength(1);
  });
});
