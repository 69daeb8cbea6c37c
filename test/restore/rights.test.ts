import { expect, test } from 'vitest';
import { planRestore, type RestorePlan } from '../../src/restore/plan.ts';
import { neededFor } from '../../src/restore/rights.ts';
import { backup, facts, recipeOf } from './cluster-facts.ts';

function planOf(wishes = {}, namespace: 'active' | 'missing' = 'active'): RestorePlan {
  const given = { createNamespace: true, ...wishes };
  const { plan } = planRestore({ backup, recipe: recipeOf(), facts: { ...facts, namespace }, wishes: given });
  return plan!;
}

function rightsOf(plan: RestorePlan, sendsCredentials = false): string[] {
  return neededFor(plan, sendsCredentials).map(({ verb, resource, namespace }) =>
    [verb, resource, ...(namespace === undefined ? [] : [namespace])].join(' '),
  );
}

test('every restore needs the rights of its steps, in its namespace or in the whole cluster', () => {
  const rights = rightsOf(planOf());
  expect(rights).toContain('delete persistentvolumeclaims shop');
  expect(rights).toContain('get pods/log shop');
  expect(rights).toContain('patch persistentvolumes');
});

test.each([
  ['to send credentials', planOf(), true, 'create secrets shop'],
  ['to copy a class', planOf({ storageClass: 'immediate' }), false, 'create storageclasses'],
  ['to make a namespace', planOf({}, 'missing'), false, 'create namespaces'],
])('only a restore that has %s needs the right to it', (_, plan, sends, right) => {
  expect(rightsOf(plan, sends)).toContain(right);
  expect(rightsOf(planOf())).not.toContain(right);
});

test('what only makes a plan better informed is not asked for', () => {
  expect(rightsOf(planOf()).filter((right) => /resourcequotas|csistoragecapacities|statefulsets/.test(right))).toEqual(
    [],
  );
});
