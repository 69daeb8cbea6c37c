import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRepository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { contentOf, flip, packPath, packWith } from '../repository/damage.ts';
import { lastLine, makeFiles, newPlace, password } from './place.ts';

test('a damaged pack is saved, its loss is listed by path, and the repaired backup takes the place of the damaged one', async () => {
  const place = await newPlace();
  makeFiles(join(place.folder, 'files'), 4);
  await place.cli('backup', '--dir', join(place.folder, 'files'));
  const repository = await openRepository(openFolderStore(place.repository), password);
  const { id, blobs } = await packWith(repository, 'data');
  await flip(packPath(place.repository, id), blobs[1]!.offset + 20);
  const before = contentOf(place.repository);

  const copies = join(place.folder, 'no', 'such', 'folder');
  expect((await place.cli('repair', 'packs', id.slice(0, 8), '--plan')).stdout).toContain(
    '3 blobs can be read, 1 cannot',
  );
  const refused = await place.cli('repair', 'packs', id.slice(0, 8), '--save-to', copies);
  expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('--save-to')]);
  expect(contentOf(place.repository)).toEqual(before);

  const saved = await place.cli('repair', 'packs', id.slice(0, 8), '--save-to', place.folder, '--json');
  expect(lastLine(saved.stdout)).toMatchObject({ type: 'repaired', savedBlobs: 3, packsRemoved: 1 });
  expect(existsSync(join(place.folder, `pack-${id}`))).toBe(true);
  expect((await place.cli('check')).exitCode).toBe(1);

  const plan = await place.cli('repair', 'snapshots', '--plan');
  expect(plan.stdout).toMatch(/\/file-\d lacks 4\.9 KiB\n0 backups without loss, 1 backup damaged\n$/);
  const [damaged] = readdirSync(join(place.repository, 'snapshots'));
  const repaired = lastLine((await place.cli('repair', 'snapshots', '--forget', '--json')).stdout);
  expect(repaired).toMatchObject({
    type: 'repaired',
    damaged: [{ id: damaged, lost: [{ kind: 'parts', lostBytes: 5000 }] }],
    repaired: [{ from: damaged, removed: true }],
  });
  expect(readdirSync(join(place.repository, 'snapshots'))).not.toContain(damaged);
  expect(await place.cli('check', '--read-data')).toMatchObject({ exitCode: 0 });
});
