/**
 * Each command that changes a repository, killed at its n-th write or removal: restic then finds no fault, every backup
 * that was there and not to go is restored, and the command run again finishes. A sample by default; all points with
 * HOLDFAST_TEST_FULL=1 (`npm run test:full`). HOLDFAST_TEST_SEED chooses another sample.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { executeForget, planRemoval } from '../../src/repository/forget.ts';
import { changePassword } from '../../src/repository/key-management.ts';
import { acquireLock, removeStaleLocks } from '../../src/repository/locks.ts';
import { executePrune } from '../../src/repository/prune.ts';
import { planPrune } from '../../src/repository/prune-plan.ts';
import { surveyPacks } from '../../src/repository/prune-survey.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/repository/repair-index.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { retag } from '../../src/repository/tag.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { killingStore } from './killing-store.ts';
import { backUpChanges, changeFiles, forget, hastyClock, type Kept } from './prune-scene.ts';
import { cheapKdf, makeRepository, password } from './restic-repository.ts';

const isFull = process.env.HOLDFAST_TEST_FULL === '1';
const seed = process.env.HOLDFAST_TEST_SEED ?? '1';
const pointsInSample = 2;
const newPassword = 'another password';

/** A repository as it is before the command, to be copied for every kill. */
interface Scene {
  readonly folder: string;
  /** What has to be there whatever happens. */
  readonly kept: readonly Kept[];
  readonly exclusive: boolean;
  /** The command. Run again on what it left behind, it finishes. */
  run(repository: Repository): Promise<unknown>;
  /** What is true after it has finished. */
  finished(repository: Repository): Promise<void>;
}

const scenes: Readonly<Record<string, () => Promise<Scene>>> = {
  async prune() {
    const { folder, kept } = await filled(2);
    return {
      folder,
      kept,
      exclusive: true,
      async run(repository) {
        const survey = await surveyPacks(repository);
        const plan = planPrune(survey.facts, { maxUnused: { bytes: 0 } });
        const { errors } = await executePrune(repository, survey, plan, { packSizeBytes: 300_000 });
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
    const names: string[] = [];
    for await (const { name } of repository.store.list('index')) names.push(name);
    await repository.store.remove('index', names[0]!);
    return {
      folder,
      kept,
      exclusive: true,
      run: async (target) => executeIndexRepair(target, await planIndexRepair(target, { readAllPacks: true })),
      async finished(target) {
        const plan = await planIndexRepair(target);
        expect([plan.read.size, plan.missing, plan.wrong, plan.damagedFiles]).toEqual([0, [], [], []]);
      },
    };
  },
  async backup() {
    const { folder, kept } = await filled(0);
    const source = join(await tempDir(), 'source');
    await changeFiles(source, 7);
    const options = { source, host: 'test', paths: ['/other'], tags: [], workers: 1, packSizeBytes: 300_000 };
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
  async 'key passwd'() {
    const { folder, kept } = await filled(3);
    return {
      folder,
      kept,
      exclusive: true,
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
  const backups = await backUpChanges(made.repository, 300_000);
  await forget(made.repository, ...backups.slice(0, forgotten).map(({ id }) => id));
  const kept = backups.slice(forgotten);
  return { ...made, kept, ids: kept.map(({ id }) => id) };
}

/** Runs the command in a copy of the scene; how many changes it asked for, and where the copy is. */
async function runKilled(scene: Scene, killAt: number): Promise<{ changes: number; folder: string; dead: boolean }> {
  const folder = join(await tempDir(), 'repository');
  // Links are enough: files of a repository are never written again.
  execFileSync('cp', ['-al', scene.folder, folder]);
  const killing = killingStore(openFolderStore(folder), killAt);
  const repository = await openRepository(killing.store, password);
  await runLocked(scene, repository).catch((error: unknown) => {
    if (!killing.isDead()) throw error;
  });
  return { changes: killing.changes(), folder, dead: killing.isDead() };
}

async function runLocked(scene: Scene, repository: Repository): Promise<void> {
  const lock = await acquireLock(repository, { exclusive: scene.exclusive, hostname: 'test', clock: hastyClock });
  try {
    await scene.run(repository);
  } finally {
    await lock.release();
  }
}

/** After a kill the old password works, or the new one. */
async function openSomehow(folder: string): Promise<{ repository: Repository; env: Record<string, string> }> {
  for (const secret of [password, newPassword]) {
    const repository = await openRepository(openFolderStore(folder), secret).catch(() => undefined);
    if (repository) return { repository, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: secret } };
  }
  throw new Error('no password opens the repository any more');
}

async function expectSound(folder: string, kept: readonly Kept[]): Promise<void> {
  const { repository, env } = await openSomehow(folder);
  await removeStaleLocks(repository, { all: true });
  await restic(['check', '--read-data'], { env });
  const snapshots = await listSnapshots(repository);
  for (const { id, source } of kept) {
    const found = snapshots.filter((snapshot) => snapshot.id === id || snapshot.original === id);
    expect(found.length).toBeGreaterThan(0);
    const target = join(await tempDir(), 'restored');
    await restic(['restore', found[0]!.id, '--target', target], { env });
    expect(compareTrees(source, target)).toEqual([]);
    await rm(target, { recursive: true });
  }
}

/** All points, or a sample that the seed chooses. */
function choosePoints(name: string, count: number): number[] {
  const all = Array.from({ length: count }, (_, at) => at + 1);
  if (isFull) return all;
  const rank = (point: number): string => createHash('sha256').update(`${seed} ${name} ${point}`).digest('hex');
  return all.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, pointsInSample);
}

describeWith('restic', 'killed at any of its changes', () => {
  const covered: { readonly name: string; readonly tested: number; readonly all: number }[] = [];

  afterAll(() => {
    const sum = (field: 'tested' | 'all'): number => covered.reduce((total, scene) => total + scene[field], 0);
    const scenes = covered.map(({ name, tested, all }) => `${name} ${tested} of ${all}`).join(', ');
    process.stdout.write(`kill points tested ${sum('tested')} of ${sum('all')} (seed ${seed}): ${scenes}\n`);
  });

  test.each(Object.entries(scenes))(
    '%s leaves a sound repository, and finishes when it is run again',
    async (name, make) => {
      const scene = await make();
      const whole = await runKilled(scene, 0);
      expect(whole.changes).toBeGreaterThan(2);
      await scene.finished((await openSomehow(whole.folder)).repository);
      await expectSound(whole.folder, scene.kept);
      const points = choosePoints(name, whole.changes);
      for (const point of points) {
        const { folder, dead, changes } = await runKilled(scene, point);
        // What is packed together is a matter of timing, so a run may have got by with fewer changes.
        expect(dead || changes < point, `change ${point}`).toBe(true);
        if (name !== 'repair index') await expectSound(folder, scene.kept);
        const { repository } = await openSomehow(folder);
        await removeStaleLocks(repository, { all: true });
        await runLocked(scene, repository);
        await scene.finished((await openSomehow(folder)).repository);
        await expectSound(folder, scene.kept);
        await rm(folder, { recursive: true });
      }
      covered.push({ name, tested: points.length, all: whole.changes });
    },
    isFull ? 3_600_000 : 300_000,
  );
});
