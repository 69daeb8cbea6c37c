/** Backups of claims, by their names and with their recipes. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { chooseBackup } from '../../src/cli/choose-backup.ts';
import { createOutput } from '../../src/cli/output.ts';
import { encodeRecipe } from '../../src/manifest/recipe.ts';
import { storeRecord } from '../../src/repository/ledger/store-record.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { recipeOf } from '../restore/cluster-facts.ts';
import { newPlace, type Place, password } from './place.ts';

let place: Place;
const ids: string[] = [];

beforeAll(async () => {
  place = await newPlace();
  const source = join(place.folder, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'orders.db'), 'rows');
  const store = await openStore(place.repository);
  const repository = await openRepository(store, password);
  for (const [at, content] of [encodeRecipe(recipeOf()), Buffer.from('{')].entries()) {
    const { backupId } = await backupFolder(repository, {
      source,
      host: 'cluster-1',
      paths: ['/shop/data'],
      tags: ['namespace=shop', at === 0 ? 'claim=data' : 'claim=broken'],
      place: { dirs: ['shop', 'data'], name: 'volume', files: [{ name: 'manifest.json', content }] },
      timeMs: Date.now() - 3_600_000 + at,
    });
    ids.push(backupId);
  }
  await store.close();
});

test('show tells the claim that a restore makes', async () => {
  const recipe = recipeOf();
  const { exitCode, stdout } = await place.cli('show', 'shop/data');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(new RegExp(`^backup +${ids[0]}\nof +shop/data\nmade .*1h.*ago`));
  expect(stdout).toMatch(new RegExp(`^claim +${recipe.claim.metadata.namespace}/${recipe.claim.metadata.name}$`, 'm'));
  expect(stdout).toMatch(/^requested +.* bytes\)$/m);
  const json = await place.cli('show', 'shop/data', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ id: ids[0], namespace: 'shop', claim: 'data', recipe });
});

test('a recipe that cannot be read fails, after all else has been told', async () => {
  const { exitCode, stdout, stderr } = await place.cli('show', 'shop/broken', '--json');
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ id: ids[1], claim: 'broken', recipe: null });
  expect(JSON.parse(stderr)).toMatchObject({ code: 'RECIPE_UNREADABLE' });
});

test('the name of a claim is taken wherever a backup is', async () => {
  expect((await place.cli('ls', 'shop/data', '/shop/data/volume')).stdout).toContain('/shop/data/volume/orders.db\n');
  expect((await place.cli('dump', 'shop/data', '/shop/data/volume/orders.db')).stdout).toBe('rows');
  const target = join(place.folder, 'target');
  expect(await place.cli('restore', 'shop/data', '--dir', target)).toMatchObject({ exitCode: 0 });
  const listed = await place.cli('list', '--namespace', 'shop', '--claim', 'broken', '--json');
  expect(JSON.parse(listed.stdout)).toMatchObject([{ id: ids[1] }]);
  const stats = await place.cli('stats', '--claim', 'data', '--json');
  expect(JSON.parse(stats.stdout)).toMatchObject({ groups: [{ namespace: 'shop', claim: 'data', host: 'cluster-1' }] });
});

test('a person is told what a name turned out to be, a script is not', async () => {
  const repository = await openRepository(await openStore(place.repository), password);
  const noteFor = async (isTTY: boolean, json: boolean): Promise<string> => {
    let text = '';
    const stderr = { isTTY, write: (data: string | Uint8Array) => (text += String(data)) };
    const output = createOutput({ stdout: stderr, stderr, json, colour: { stdout: false, stderr: false } });
    expect((await chooseBackup(repository, 'shop/data', {}, output)).id).toBe(ids[0]);
    return text;
  };
  expect(await noteFor(true, false)).toMatch(/^backup [0-9a-f]{8} of shop\/data, .* \(1h.* ago\)\n$/);
  expect([await noteFor(false, false), await noteFor(true, true)]).toEqual(['', '']);
});

test('a backup whose data is a CSI snapshot says so everywhere, and is not forgotten where that cannot be removed', async () => {
  const store = await openStore(place.repository);
  const keptSnapshot = {
    ...{
      driver: 'csi.example.com',
      handle: 'snap-7',
      class: null,
      namespace: 'shop',
      name: 'kept',
      content: 'content-7',
    },
    ...{ restoreSizeBytes: null, cutAt: null, contentMarks: { annotations: {}, labels: {} } },
  };
  const id = await storeRecord(await openRepository(store, password), {
    path: '/shop/kept',
    folders: ['shop', 'kept'],
    tags: ['namespace=shop', 'claim=kept', 'uid=1', 'run=r', 'method=Snapshot', 'state=complete'],
    host: 'cluster-1',
    fileName: 'manifest.json',
    content: encodeRecipe({ ...recipeOf(), method: 'Snapshot', keptSnapshot }),
  });
  await store.close();
  const list = JSON.parse((await place.cli('list', '--json')).stdout);
  expect(list.find((entry: { id: string }) => entry.id === id)).toMatchObject({
    claim: 'kept',
    dataInStorage: 'unknown',
  });
  const { stdout } = await place.cli('show', 'shop/kept');
  expect(stdout).toMatch(/^data +CSI snapshot in the storage system, unknown$/m);
  expect(stdout).toMatch(/^snapshot +snap-7 of csi\.example\.com, unknown$/m);
  const forgotten = await place.cli('forget', id);
  expect(forgotten.exitCode).toBe(3);
  expect(forgotten.stderr).toContain('CSI snapshot in a storage system that cannot be reached from here');
  expect((await place.cli('show', id)).exitCode).toBe(0);
});
