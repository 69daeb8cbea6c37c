import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/base/errors.ts';
import type { RecipeSizes } from '../../src/manifest/recipe.ts';
import { neededBytes, planSize } from '../../src/restore/plan-size.ts';
import { backup, recipeOf } from './cluster-facts.ts';

const mebibyte = 2 ** 20;

function sizing(
  sizesMiB: Partial<RecipeSizes>,
  options: { infeasible?: boolean; usedMiB?: number; wishMiB?: number } = {},
) {
  const recorded = recipeOf();
  const sizes = { ...recorded.sizes };
  for (const [name, value] of Object.entries(sizesMiB))
    sizes[name] = value === null ? null : (value as number) * mebibyte;
  const recipe = { ...recorded, sizes, resizeInfeasible: options.infeasible ?? false };
  const wishes = options.wishMiB === undefined ? {} : { sizeBytes: options.wishMiB * mebibyte };
  return planSize(recipe, { ...backup, bytes: (options.usedMiB ?? 1) * mebibyte }, wishes);
}

function sizeMiB(...given: Parameters<typeof sizing>): number {
  const size = sizing(...given);
  if (isHoldfastError(size)) throw size;
  return size.bytes / mebibyte;
}

test.each<[string, Partial<RecipeSizes>, Parameters<typeof sizing>[1], number]>([
  ['as requested', { requestedBytes: 200, provisionedBytes: 200 }, {}, 200],
  ['as the storage rounded it up', { requestedBytes: 200, provisionedBytes: 1024 }, {}, 1024],
  ['as requested, while a resize is under way', { requestedBytes: 500, provisionedBytes: 200 }, {}, 500],
  [
    'as it was, after a resize the storage refused',
    { requestedBytes: 9000, provisionedBytes: 200 },
    { infeasible: true },
    200,
  ],
  ['as requested, however full it is', { requestedBytes: 200, provisionedBytes: 200 }, { usedMiB: 195 }, 200],
  ['as chosen', { requestedBytes: 200, provisionedBytes: 200 }, { wishMiB: 300 }, 300],
  [
    'smaller as chosen, where the data fits',
    { requestedBytes: 900, provisionedBytes: 900 },
    { usedMiB: 100, wishMiB: 150 },
    150,
  ],
  [
    'as large as before, however full it was',
    { requestedBytes: 200, provisionedBytes: 200 },
    { usedMiB: 195, wishMiB: 200 },
    200,
  ],
])('the volume is as large %s', (_, sizes, options, expected) => {
  expect(sizeMiB(sizes, options)).toBe(expected);
});

test('a volume that held more than its size said gets room for what there is', () => {
  const size = sizeMiB({ requestedBytes: 10, provisionedBytes: 10 }, { usedMiB: 500 });
  expect(size * mebibyte).toBeGreaterThanOrEqual(neededBytes(500 * mebibyte));
});

test('a smaller volume than the data needs is refused with both numbers', () => {
  const refusal = sizing({ requestedBytes: 900, provisionedBytes: 900 }, { usedMiB: 100, wishMiB: 100 });
  expect(isHoldfastError(refusal, 'TARGET_TOO_SMALL')).toBe(true);
  expect(refusal).toMatchObject({ context: { needed: '126.0 MiB', size: '100.0 MiB' } });
});

test('what the mover saw in use counts, not what was stored', () => {
  expect(
    isHoldfastError(sizing({ requestedBytes: 900, usedBytes: 400 }, { usedMiB: 1, wishMiB: 300 }), 'TARGET_TOO_SMALL'),
  ).toBe(true);
});
