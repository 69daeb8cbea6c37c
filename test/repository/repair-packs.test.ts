import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import { executePackRepair, planPackRepair } from '../../src/repository/repair-packs.ts';
import { executeSnapshotRepair, planSnapshotRepair } from '../../src/repository/repair-snapshots.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { contentOf, flip, indexedPacks, namesOf, packPath, packWith } from './damage.ts';
import { makeRepository, type TestRepository } from './restic-repository.ts';

const fileCount = 12;

async function filled(): Promise<TestRepository & { source: string }> {
  const made = await makeRepository();
  const source = join(await tempDir(), 'source');
  await mkdir(source, { recursive: true });
  for (let at = 0; at < fileCount; at++) await writeFile(join(source, `file-${at}`), noise(`${at}`, 9000));
  await backupFolder(made.repository, { source, host: 'test', paths: ['/source'], tags: [], workers: 1 });
  return { ...made, source };
}

async function repair(repository: Repository, ...names: string[]) {
  const copies = new Map<string, Buffer>();
  const plan = await planPackRepair(repository, names);
  const result = await executePackRepair(repository, plan, {
    saveCopy: async (id, bytes) => void copies.set(id, bytes),
  });
  return { plan, result, copies };
}

async function errorsOf(repository: Repository): Promise<string[]> {
  return (await checkRepository(repository, { readData: true, workers: 0 })).errors.map(({ message }) => message);
}

describeWith('restic', 'repairing packs', () => {
  test('leaves a pack without a fault alone', async () => {
    const { repository, folder } = await filled();
    const { id } = await packWith(repository, 'data');
    const before = contentOf(folder);
    const { plan, result } = await repair(repository, id.slice(0, 10));
    expect([plan.sound, plan.damaged, result.packsRemoved]).toEqual([[id], [], 0]);
    expect(contentOf(folder)).toEqual(before);
  });

  test('saves every blob but the damaged one; then the snapshots are repaired, and all else is restored', async () => {
    const made = await filled();
    const { id, blobs } = await packWith(made.repository, 'data');
    await flip(packPath(made.folder, id), blobs[3]!.offset + 20);
    const damaged = await made.repository.store.get('data', id);
    const { plan, result, copies } = await repair(made.repository, id);
    expect(plan.damaged[0]!.lost.map((blob) => blob.id)).toEqual([blobs[3]!.id]);
    expect(result).toMatchObject({ savedBlobs: blobs.length - 1, packsRemoved: 1 });
    expect(copies.get(id)).toEqual(damaged);
    expect(await namesOf(made.repository, 'data')).not.toContain(id);
    expect(await errorsOf(made.repository)).toEqual([expect.stringContaining('is not in the index, but')]);
    const all = await listSnapshots(made.repository);
    const repairs = await planSnapshotRepair(made.repository, all, all);
    await executeSnapshotRepair(made.repository, repairs, { forget: true });
    await restic(['check', '--read-data'], { env: made.env });
    const target = await tempDir();
    await restic(['restore', 'latest', '--target', target], { env: made.env });
    const lost = repairs.repairs[0]!.lost.map(({ path }) => path.toString());
    expect(lost).toEqual([expect.stringMatching(/^\/file-\d+$/)]);
    const differences = compareTrees(made.source, target);
    expect(differences.filter((line) => !line.startsWith(`${lost[0]!.slice(1)}:`))).toEqual([]);
    // The next backup brings back what was lost.
    await backupFolder(made.repository, {
      source: made.source,
      host: 'test',
      paths: ['/source'],
      tags: [],
      workers: 1,
    });
    const healed = await tempDir();
    await restic(['restore', 'latest', '--target', healed], { env: made.env });
    expect(compareTrees(made.source, healed)).toEqual([]);
  });

  test.each([
    ['cannot be read', (path: string) => flip(path, -20), 0],
    ['was cut off with a part of the blobs', (path: string) => truncate(path, 50_000), 1],
  ])('saves by the index what is there of a pack whose header %s', async (_, harm, fewest) => {
    const made = await filled();
    const { id, blobs } = await packWith(made.repository, 'data');
    await harm(packPath(made.folder, id));
    const { plan, result } = await repair(made.repository, id);
    expect(plan.damaged[0]!.lost.length).toBeGreaterThanOrEqual(fewest);
    expect(plan.damaged[0]!.lost.length).toBeLessThan(8 * fewest + 1);
    expect(result.savedBlobs).toBe(blobs.length - plan.damaged[0]!.lost.length);
    if (fewest === 0) expect(await errorsOf(made.repository)).toEqual([]);
  });

  test('takes a pack out of the index that is gone, and counts what it held as lost', async () => {
    const made = await filled();
    const { id, blobs } = await packWith(made.repository, 'data');
    await made.repository.store.remove('data', id);
    const { plan, copies } = await repair(made.repository, id);
    expect(plan.damaged[0]).toMatchObject({ isMissing: true, readable: [] });
    expect(plan.damaged[0]!.lost).toHaveLength(blobs.length);
    expect(copies.size).toBe(0);
    expect((await indexedPacks(made.repository)).map((pack) => pack.id)).not.toContain(id);
  });

  test('changes nothing where the copy of the damaged pack cannot be kept', async () => {
    const made = await filled();
    const { id } = await packWith(made.repository, 'data');
    await flip(packPath(made.folder, id), 20);
    const before = contentOf(made.folder);
    const plan = await planPackRepair(made.repository, [id]);
    const saveCopy = (): Promise<void> => Promise.reject(new Error('the disk is full'));
    await expect(executePackRepair(made.repository, plan, { saveCopy })).rejects.toThrow('the disk is full');
    expect(contentOf(made.folder)).toEqual(before);
  });

  test('wants one pack for each name', async () => {
    const { repository } = await filled();
    await expect(planPackRepair(repository, ['0000000000'])).rejects.toMatchObject({ code: 'PACK_NOT_FOUND' });
    await expect(planPackRepair(repository, [''])).rejects.toMatchObject({ code: 'PACK_NOT_FOUND' });
  });
});
