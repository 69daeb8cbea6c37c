/** Each command that changes a repository, but copy and upgrade, killed at each of its changes (kill-matrix.ts). */
import { join } from 'node:path';
import { expect } from 'vitest';
import { isHoldfastError } from '../../src/base/errors.ts';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { executeForget, planRemoval } from '../../src/repository/forget.ts';
import { addKey, changePassword, removeKey } from '../../src/repository/key-management.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { executePrune } from '../../src/repository/prune.ts';
import { planPrune } from '../../src/repository/prune-plan.ts';
import { surveyPacks } from '../../src/repository/prune-survey.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/repository/repair-index.ts';
import { executePackRepair, planPackRepair } from '../../src/repository/repair-packs.ts';
import { executeSnapshotRepair, planSnapshotRepair, repairedTag } from '../../src/repository/repair-snapshots.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { retag } from '../../src/repository/tag.ts';
import { walkTree } from '../../src/repository/walk-tree.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { flip, indexedPacks, namesOf, packPath, packWith } from './damage.ts';
import { type KillScenes, testKills } from './kill-matrix.ts';
import { backUpChanges, changeFiles, forget } from './prune-scene.ts';
import { cheapKdf, makeRepository, password } from './restic-repository.ts';

const newPassword = 'another password';
const packSizeBytes = 300_000;

const scenes: KillScenes = {
  async prune() {
    const { folder, kept } = await filled(2);
    return {
      folder,
      kept,
      exclusive: true,
      async run(repository) {
        const survey = await surveyPacks(repository);
        const plan = planPrune(survey.facts, { maxUnused: { bytes: 0 } });
        const { errors } = await executePrune(repository, survey, plan, { packSizeBytes });
        expect(errors).toEqual([]);
      },
      async finished(repository) {
        const { facts } = await surveyPacks(repository);
        expect(planPrune(facts, { maxUnused: { bytes: 0 } }).totals.unusedBytes).toBe(0);
        expect(facts.unreferenced).toEqual([]);
      },
    };
  },
  async forget() {
    const { folder, kept, ids } = await filled(0);
    const doomed = new Set(ids.slice(0, 2));
    return {
      folder,
      kept: kept.slice(2),
      exclusive: false,
      async run(repository) {
        const found = (await listSnapshots(repository)).filter(({ id }) => doomed.has(id));
        const { errors } = await executeForget(repository, planRemoval(found));
        expect(errors).toEqual([]);
      },
      async finished(repository) {
        expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual(ids.slice(2));
      },
    };
  },
  async 'repair index'() {
    const { folder, kept, repository } = await filled(0);
    await repository.store.remove('index', (await namesOf(repository, 'index'))[0]!);
    return {
      folder,
      kept,
      exclusive: true,
      afterKill: 'damaged',
      run: async (target) => executeIndexRepair(target, await planIndexRepair(target, { readAllPacks: true })),
      async finished(target) {
        const plan = await planIndexRepair(target);
        expect([plan.read.size, plan.missing, plan.wrong, plan.damagedFiles]).toEqual([0, [], [], []]);
      },
    };
  },
  async 'repair packs'() {
    const { folder, kept, repository } = await filled(0);
    const damaged = [(await packWith(repository, 'data')).id, (await packWith(repository, 'tree')).id];
    // All blobs can be read, so that all backups must be there at every moment.
    for (const id of damaged) await flip(packPath(folder, id), -20);
    return {
      folder,
      kept,
      exclusive: true,
      afterKill: 'restorable',
      async run(target) {
        const there = await namesOf(target, 'data');
        const names = damaged.filter((id) => there.includes(id));
        await executePackRepair(target, await planPackRepair(target, names), { saveCopy: async () => {} });
      },
      async finished(target) {
        const left = [...(await namesOf(target, 'data')), ...(await indexedPacks(target)).map(({ id }) => id)];
        expect(left.filter((id) => damaged.includes(id))).toEqual([]);
      },
    };
  },
  async 'repair snapshots'() {
    const { folder, kept, repository } = await filled(0);
    await loseLatestData(folder, repository);
    const all = await listSnapshots(repository);
    const damaged = (await planSnapshotRepair(repository, all, all)).repairs.map(({ snapshot }) => snapshot.id);
    expect(damaged.length).toBeGreaterThan(0);
    return {
      folder,
      kept: kept.filter(({ id }) => !damaged.includes(id)),
      exclusive: true,
      afterKill: 'restorable',
      async run(target) {
        const found = await listSnapshots(target);
        await executeSnapshotRepair(target, await planSnapshotRepair(target, found, found), { forget: true });
      },
      async finished(target) {
        const repaired = (await listSnapshots(target)).filter(({ tags }) => tags?.includes(repairedTag));
        expect(repaired.map(({ original }) => original).sort()).toEqual([...damaged].sort());
      },
    };
  },
  async backup() {
    const { folder, kept } = await filled(0);
    const source = join(await tempDir(), 'source');
    await changeFiles(source, 7);
    const options = { source, host: 'test', paths: ['/other'], tags: [], workers: 1, packSizeBytes };
    return {
      folder,
      kept,
      exclusive: false,
      run: (repository) => backupFolder(repository, options),
      async finished(repository) {
        const made = (await listSnapshots(repository)).filter(({ paths }) => paths[0] === '/other');
        expect(made.length).toBeGreaterThan(0);
      },
    };
  },
  async tag() {
    const { folder, kept } = await filled(1);
    return {
      folder,
      kept,
      exclusive: true,
      run: async (repository) => retag(repository, await listSnapshots(repository), { add: ['tagged'] }),
      async finished(repository) {
        const snapshots = await listSnapshots(repository);
        expect(snapshots.map(({ tags }) => tags)).toEqual(kept.map(() => ['tagged']));
      },
    };
  },
  async 'key add'() {
    const { folder, kept } = await filled(3);
    return {
      folder,
      kept,
      exclusive: false,
      run: (repository) => addKey(repository, newPassword, { kdf: cheapKdf }),
      finished: async ({ store }) => void (await openRepository(store, newPassword)),
    };
  },
  async 'key remove'() {
    const { folder, kept, repository } = await filled(3);
    const id = await addKey(repository, newPassword, { kdf: cheapKdf });
    return {
      folder,
      kept,
      exclusive: true,
      run: (target) =>
        removeKey(target, id).catch((error: unknown) => {
          // Whoever types it again is told that it is gone.
          if (!isHoldfastError(error, 'KEY_NOT_FOUND')) throw error;
        }),
      finished: async ({ store }) => {
        await expect(openRepository(store, newPassword)).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
      },
    };
  },
  async 'key passwd'() {
    const { folder, kept } = await filled(3);
    return {
      folder,
      kept,
      exclusive: true,
      newPassword,
      run: (repository) => changePassword(repository, newPassword, { kdf: cheapKdf }),
      async finished(repository) {
        await expect(openRepository(repository.store, password)).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
      },
    };
  },
};

/** Four backups, of which the first ones are forgotten. */
async function filled(forgotten: number) {
  const made = await makeRepository();
  const backups = await backUpChanges(made.repository, packSizeBytes);
  await forget(made.repository, ...backups.slice(0, forgotten).map(({ id }) => id));
  const kept = backups.slice(forgotten);
  return { ...made, kept, ids: kept.map(({ id }) => id) };
}

/** Data that only the newest backup needs is damaged, and taken out with what else its pack holds. */
async function loseLatestData(folder: string, repository: Repository): Promise<void> {
  const [before, after] = await Promise.all([dataOf(repository, -2), dataOf(repository, -1)]);
  const lost = after.find((id) => !before.includes(id))!;
  const pack = (await indexedPacks(repository)).find(({ blobs }) => blobs.some(({ id }) => id === lost))!;
  await flip(packPath(folder, pack.id), pack.blobs.find(({ id }) => id === lost)!.offset + 20);
  await executePackRepair(repository, await planPackRepair(repository, [pack.id]), { saveCopy: async () => {} });
}

/** The data blobs of the snapshot at this place in the order of time. */
async function dataOf(repository: Repository, at: number): Promise<string[]> {
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  const ids: string[] = [];
  const { tree } = (await listSnapshots(repository)).at(at)!;
  for await (const { node } of walkTree(reader, tree)) ids.push(...(node.content ?? []));
  return ids;
}

testKills(scenes);
