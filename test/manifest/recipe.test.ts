import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/base/errors.ts';
import { captureRecipe } from '../../src/manifest/capture.ts';
import { encodeRecipe, parseRecipe, withUsage } from '../../src/manifest/recipe.ts';
import { rawClaim, rawClass, rawVolume } from './raw-objects.ts';

const recipe = captureRecipe({
  claim: rawClaim,
  volume: rawVolume,
  storageClass: rawClass,
  consumers: [{ pod: 'db-0', node: 'node-b', owner: { kind: 'StatefulSet', name: 'db' }, ordinal: 0 }],
  method: 'FileCopy',
  cluster: { uid: 'u-1', name: 'test' },
  toolVersion: '0.1.0',
  recordedAtMs: 0,
});

test('a recipe comes back from its file as it went in', () => {
  expect(parseRecipe(encodeRecipe(recipe))).toEqual(recipe);
});

test('usage seen by the mover is written beside the other sizes', () => {
  const sizes = withUsage(recipe, { usedBytes: 5, filesystemBytes: 7 }).sizes;
  expect(sizes).toEqual({ ...recipe.sizes, usedBytes: 5, filesystemBytes: 7 });
});

test('a newer minor version is read, and what it adds is kept', () => {
  const newer = { ...recipe, schema: '1.9', novelty: { a: 1 } };
  expect(parseRecipe(JSON.stringify(newer))).toEqual(newer);
});

test.each([
  ['is no JSON', '{', /no JSON/],
  ['is something else', '{"kind":"Pod"}', /kind/],
  ['has a newer major version', JSON.stringify({ ...recipe, schema: '2.0' }), /version 2\.0/],
  ['lacks the claim', JSON.stringify({ ...recipe, claim: undefined }), /claim/],
  [
    'has a size that is no number',
    JSON.stringify({ ...recipe, sizes: { ...recipe.sizes, requestedBytes: '1Gi' } }),
    /requestedBytes/,
  ],
])('a file that %s is refused with the reason', (_, text, reason) => {
  const error = thrownBy(() => parseRecipe(text));
  expect(isHoldfastError(error, 'RECIPE_UNREADABLE')).toBe(true);
  expect(String(error)).toMatch(reason);
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
