/** A folder that is the content of a claim goes on with the claim's backups, and is found by its name. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { lastLine, makeFiles, newPlace } from './place.ts';

test("a claim's folder is backed up in the layout that is asked for, lists by the claim and comes back", async () => {
  const place = await newPlace();
  const source = join(place.folder, 'mounted');
  makeFiles(source, 3);
  const backUp = (...args: string[]) => place.cli('backup', '--dir', source, '--json', ...args);
  expect(await backUp('--as', 'shop/data', '--layout', 'volsync')).toMatchObject({ exitCode: 0, stderr: '' });
  const second = await backUp('--as', 'shop/data', '--tag', 'mine');
  expect(second.exitCode).toBe(0);

  const listed = await place.cli('list', '--namespace', 'shop', '--claim', 'data', '--json');
  const entries = lastLine(listed.stdout) as { tags: string[] }[];
  const shape = {
    namespace: 'shop',
    claim: 'data',
    layout: 'volsync',
    host: 'volsync',
    paths: ['/data'],
    state: 'complete',
  };
  expect(entries).toMatchObject([shape, shape]);
  expect(entries[1]?.tags).toEqual(expect.arrayContaining(['mine', 'layout=volsync']));
  expect((await place.cli('list')).stdout).toMatch(/volsync +shop\/data .* mine$/m);

  const target = join(place.folder, 'restored');
  expect((await place.cli('restore', 'shop/data', '--dir', target)).exitCode).toBe(0);
  expect(compareTrees(source, target)).toEqual([]);

  const other = await backUp('--as', 'shop/other', '--layout', 'volsync');
  expect([other.exitCode, other.stderr]).toEqual([1, expect.stringContaining('shop/data')]);
  const unnamed = await backUp('--layout', 'k8up');
  expect([unnamed.exitCode, unnamed.stderr]).toEqual([1, expect.stringContaining('--as')]);
  const wrong = await backUp('--as', 'shop/data', '--host', 'elsewhere');
  expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining('volsync')]);
});
