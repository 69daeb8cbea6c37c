import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { encodeRecipe } from '../../src/manifest/recipe.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { loadSnapshot } from '../../src/repository/snapshots.ts';
import { readRecipe } from '../../src/restore/read-recipe.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import type { Place } from '../../src/volume/backup-place.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { recipeOf } from './cluster-facts.ts';

let repository: Repository;
let source: string;

beforeAll(async () => {
  const root = await tempDir();
  source = join(root, 'source');
  await mkdir(source);
  await writeFile(join(source, 'file'), 'content');
  repository = await initRepository(await openStore(join(root, 'repository')), 'password');
});

async function backUp(paths: string[], place?: Place) {
  const common = { source, host: 'test', tags: [], parentId: null, paths };
  const { backupId } = await backupFolder(repository, { ...common, ...(place ? { place } : {}) });
  return loadSnapshot(repository, backupId);
}

function placeWith(content: Buffer | null): Place {
  const files = content === null ? [] : [{ name: 'manifest.json', content }];
  return { dirs: ['shop', 'data-db-0'], name: 'volume', files };
}

test('the recipe of a claim is read from its backup', async () => {
  const recipe = recipeOf();
  const snapshot = await backUp(['/shop/data-db-0'], placeWith(encodeRecipe(recipe)));
  expect(await readRecipe(repository, snapshot)).toEqual(recipe);
});

test('a backup of a folder has none', async () => {
  expect(await readRecipe(repository, await backUp(['/srv/shop']))).toBeNull();
  expect(await readRecipe(repository, await backUp(['/shop/data-db-0'], placeWith(null)))).toBeNull();
});

test('a recipe that cannot be read is an error and not a missing one', async () => {
  const snapshot = await backUp(['/shop/data-db-0'], placeWith(Buffer.from('{')));
  await expect(readRecipe(repository, snapshot)).rejects.toMatchObject({ code: 'RECIPE_UNREADABLE' });
});
