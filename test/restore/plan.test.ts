import { describe, expect, test } from 'vitest';
import type { BackupFacts, ClusterFacts, RestoreWishes } from '../../src/restore/facts.ts';
import { restoreIdOf } from '../../src/restore/marks.ts';
import { planRestore, type RestorePlan } from '../../src/restore/plan.ts';
import { backup, classOf, facts, recipeOf, zoneKey } from './cluster-facts.ts';

interface Case {
  readonly recipe?: ReturnType<typeof recipeOf> | null;
  readonly backup?: Partial<BackupFacts>;
  readonly facts?: Partial<ClusterFacts>;
  readonly wishes?: RestoreWishes;
}

function planning(given: Case = {}) {
  return planRestore({
    backup: { ...backup, ...given.backup },
    recipe: given.recipe === undefined ? recipeOf() : given.recipe,
    facts: { ...facts, ...given.facts },
    wishes: given.wishes ?? {},
  });
}

function planOf(given: Case = {}): RestorePlan {
  const { plan, refusals } = planning(given);
  expect(refusals).toEqual([]);
  return plan!;
}

function codesOf(given: Case): string[] {
  const { plan, refusals } = planning(given);
  expect(plan).toBeNull();
  return refusals.map(({ code }) => code);
}

const id = restoreIdOf(backup.id, 'shop', 'data-db-0');

describe('a plan', () => {
  test('by default makes the claim again as it was', () => {
    const plan = planOf();
    expect(plan.target).toEqual({ namespace: 'shop', name: 'data-db-0' });
    expect(plan.subfolder).toBe('/shop/data-db-0/volume');
    expect(plan.claim.spec).toEqual({
      accessModes: ['ReadWriteOnce'],
      volumeMode: 'Filesystem',
      storageClassName: 'standard',
      resources: { requests: { storage: '200Mi' } },
    });
    expect(plan.reclaimPolicy).toEqual({ value: 'Delete', reason: 'as recorded' });
    expect(plan).toMatchObject({ createsNamespace: false, resumes: false, classCopy: null, warnings: [] });
  });

  test('names its objects after backup and target, so that the same restore finds them again', () => {
    expect(planOf().temporaryClaim.metadata.name).toBe(`holdfast-restore-${id}`);
    expect(planOf().claim.metadata.labels['restore.holdfast.dev/id']).toBe(id);
    expect(planOf({ backup: { id: 'cd'.repeat(32) } }).restoreId).not.toBe(id);
    expect(planOf({ wishes: { name: 'other' } }).restoreId).not.toBe(id);
  });

  test('keeps the labels of the claim off the temporary one, which nothing may adopt', () => {
    const { temporaryClaim, claim } = planOf();
    expect(claim.metadata.labels).toMatchObject({ app: 'db' });
    expect(Object.keys(temporaryClaim.metadata.labels)).toEqual(['restore.holdfast.dev/id']);
    expect(temporaryClaim.spec).toEqual(claim.spec);
  });

  test('writes into a claim for readers only through a temporary one that can be written', () => {
    const plan = planOf({ wishes: { accessModes: ['ReadOnlyMany'] } });
    expect(plan.claim.spec.accessModes).toEqual(['ReadOnlyMany']);
    expect(plan.temporaryClaim.spec.accessModes).toEqual(['ReadWriteOnce']);
  });

  test.each([
    ['Delete', {}, 'Delete'],
    ['Retain', {}, 'Retain'],
    ['Recycle', {}, 'Retain'],
    ['Delete', { reclaimPolicy: 'Retain' }, 'Retain'],
  ] as const)('of a volume with policy %s and wishes %j ends with %s', (recorded, wishes, expected) => {
    const recipe = recipeOf({ volume: { spec: { persistentVolumeReclaimPolicy: recorded } } });
    expect(planOf({ recipe, wishes }).reclaimPolicy.value).toBe(expected);
  });

  test('says what is different about the class of today', () => {
    const storageClasses = [classOf({ parameters: { pool: 'slow', tier: '2' }, allowVolumeExpansion: false })];
    expect(planOf({ facts: { storageClasses } }).storageClass.differences).toEqual([
      'parameter pool was fast, is slow',
      'parameter tier was not set, is 2',
      'volume expansion was allowed, is not allowed',
    ]);
    expect(planOf().storageClass.differences).toEqual([]);
  });

  test('takes the default class for a claim that named none', () => {
    const isDefault = { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } };
    const storageClasses = [classOf(), classOf({ metadata: { name: 'usual', ...isDefault } })];
    const recipe = recipeOf({ claim: { spec: { storageClassName: '' } }, volume: { spec: { storageClassName: '' } } });
    expect(planOf({ recipe, facts: { storageClasses } }).storageClass.name).toBe('usual');
  });

  test.each([
    ['gold', 'gold', 0],
    ['foreign', undefined, 1],
    ['gone', undefined, 1],
  ])('with the attributes class %s keeps %s', (name, kept, warnings) => {
    const plan = planOf({ recipe: recipeOf({ claim: { spec: { volumeAttributesClassName: name } } }) });
    expect(plan.claim.spec.volumeAttributesClassName).toBe(kept);
    expect(plan.warnings).toHaveLength(warnings);
  });

  test('warns when another driver makes the volume', () => {
    const recipe = recipeOf({ volume: { spec: { csi: { driver: 'csi.old' } } } });
    expect(planOf({ recipe }).warnings).toEqual(['the volume was made by csi.old, the new one is made by csi.test']);
  });

  test('goes on with what an earlier run of it left', () => {
    const unfinished = planOf().temporaryClaim.metadata.annotations['restore.holdfast.dev/plan']!;
    const parked = { uid: 'u', phase: 'Pending', restoreId: id, backupId: backup.id, restoredFrom: null };
    expect(planOf({ facts: { unfinished, target: parked } }).resumes).toBe(true);
  });
});

describe('a restore is refused', () => {
  const exists = { uid: 'u', phase: 'Bound', restoreId: null, backupId: null, restoredFrom: null };
  const waiting = { uid: 'u', phase: 'Pending', restoreId: 'other', backupId: 'ef'.repeat(32), restoredFrom: null };
  const noClass = { wishes: { storageClass: 'gone' } };
  const block = recipeOf({ claim: { spec: { volumeMode: 'Block' } } });

  test.each<[string, Case, string[]]>([
    ['when the target exists', { facts: { target: exists } }, ['TARGET_EXISTS']],
    ['when another restore holds the target', { facts: { target: waiting } }, ['RESTORE_REFUSED']],
    ['without its namespace', { facts: { namespace: 'missing' } }, ['NAMESPACE_MISSING']],
    ['into a namespace that is being deleted', { facts: { namespace: 'terminating' } }, ['RESTORE_REFUSED']],
    ['without its class', noClass, ['STORAGE_CLASS_MISSING']],
    ['into a class without provisioner', { wishes: { storageClass: 'manual' } }, ['RESTORE_REFUSED']],
    ['into a zone that is not there', { wishes: { zone: 'x' } }, ['ZONE_MISSING']],
    ['into too small a volume', { wishes: { sizeBytes: 20 * 2 ** 20 } }, ['TARGET_TOO_SMALL']],
    ['from a backup without recipe', { recipe: null }, ['BACKUP_HAS_NO_RECIPE']],
    ['from an incomplete backup', { backup: { complete: false } }, ['BACKUP_NOT_COMPLETE']],
    [
      'into a device smaller than the image',
      { recipe: block, wishes: { sizeBytes: 199 * 2 ** 20 } },
      ['TARGET_TOO_SMALL'],
    ],
    ['when it was begun with another plan', { facts: { unfinished: 'else' } }, ['RESTORE_REFUSED']],
  ])('%s', (_, given, codes) => {
    expect(codesOf(given)).toEqual(codes);
  });

  test('with all reasons at once', () => {
    const given: Case = {
      backup: { complete: false },
      facts: { target: exists, namespace: 'terminating' },
      wishes: { zone: 'x', sizeBytes: 1 },
    };
    expect(codesOf(given)).toEqual([
      'BACKUP_NOT_COMPLETE',
      'RESTORE_REFUSED',
      'TARGET_EXISTS',
      'TARGET_TOO_SMALL',
      'ZONE_MISSING',
    ]);
  });

  test('with the way out named in every refusal', () => {
    for (const given of [noClass, { facts: { target: exists } }, { wishes: { zone: 'x' } }]) {
      for (const refusal of planning(given).refusals) expect(refusal.hint).toMatch(/--[a-z]/);
    }
  });

  test('but not when its user allows what stands in the way', () => {
    expect(planOf({ backup: { complete: false }, wishes: { allowIncomplete: true } })).toBeDefined();
    expect(planOf({ facts: { namespace: 'missing' }, wishes: { createNamespace: true } }).createsNamespace).toBe(true);
  });
});

test('a class that would make the volume anywhere is copied with the one zone', () => {
  const plan = planOf({ wishes: { storageClass: 'immediate', zone: 'c' } });
  expect(plan.classCopy).toEqual({
    ...facts.storageClasses[1],
    metadata: { name: `holdfast-restore-${plan.restoreId}`, labels: { 'restore.holdfast.dev/id': plan.restoreId } },
    allowedTopologies: [{ matchLabelExpressions: [{ key: zoneKey, values: ['c'] }] }],
  });
  expect(plan.temporaryClaim.spec.storageClassName).toBe(plan.classCopy?.metadata.name);
  expect(plan.claim.spec.storageClassName).toBe('immediate');
});
