/**
 * Kills a command at its n-th write or removal, for each n: what it leaves behind is then sound, every backup that was
 * there and not to go is restored by restic, and the command run again finishes. A sample by default, which
 * HOLDFAST_TEST_SEED chooses; all points with HOLDFAST_TEST_FULL=1 (`npm run test:full`, which can be interrupted).
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { acquireLock, removeStaleLocks } from '../../src/repository/locks.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { describeWith } from '../setup/needs.ts';
import { isFull, seed } from '../setup/properties.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { killingStore } from './killing-store.ts';
import { hastyClock, type Kept } from './prune-scene.ts';
import { password } from './restic-repository.ts';

/** A command, and a repository as it is before it, which is copied for every kill. */
export interface KillScene {
  readonly folder: string;
  /** What has to be there whatever happens, under its id or as what has that as its original. */
  readonly kept: readonly Kept[];
  readonly exclusive: boolean;
  /**
   * What is true right after a kill: by default, restic finds no fault and restores what is kept. A repository that was
   * damaged before may be so still: then it is only restored, or not even that before the command has finished.
   */
  readonly afterKill?: 'sound' | 'restorable' | 'damaged';
  /** A password that the command makes: after a kill it works, or the old one. */
  readonly newPassword?: string;
  /** The command. Run again on what it left behind, it finishes. */
  run(repository: Repository): Promise<unknown>;
  /** What is true after it has finished. */
  finished(repository: Repository): Promise<void>;
}

export type KillScenes = Readonly<Record<string, () => Promise<KillScene>>>;

/** Of one command, as it is written down for the summary of the run. */
export interface KillCoverage {
  readonly name: string;
  readonly tested: number;
  readonly all: number;
}

/** Points that were finished before an interruption, one a line. */
const stateFile = process.env.HOLDFAST_TEST_STATE;
/** In a sample: one of so many points, and one at least. */
const sampleShare = 8;

/** Defines a test for each command. */
export function testKills(scenes: KillScenes): void {
  describeWith('restic', 'killed at any of its changes', () => {
    test.each(Object.entries(scenes))(
      '%s leaves a sound repository, and finishes when it is run again',
      async (name, make) => {
        const scene = await make();
        const whole = await runKilled(scene, 0);
        expect(whole.changes).toBeGreaterThan(2);
        await expectFinished(scene, whole.folder, isFull ? scene.kept : []);
        const points = choosePoints(name, whole.changes);
        for (const point of points) {
          if (isDone(name, point)) continue;
          await killOnce(scene, point);
          noteDone(name, point);
        }
        const coverage: KillCoverage = { name, tested: points.length, all: whole.changes };
        appendFileSync(inject('killPointsFile'), `${JSON.stringify(coverage)}\n`);
      },
      isFull ? 3_600_000 : 120_000,
    );
  });
}

async function killOnce(scene: KillScene, point: number): Promise<void> {
  const { folder, dead, changes } = await runKilled(scene, point);
  // What is packed together is a matter of timing, so a run may have got by with fewer changes.
  expect(dead || changes < point, `change ${point}`).toBe(true);
  const { afterKill = 'sound' } = scene;
  const { repository, env } = await openSomehow(scene, folder);
  await removeStaleLocks(repository, { all: true });
  if (afterKill === 'sound') await restic(['check', '--read-data'], { env });
  if (afterKill !== 'damaged') await expectRestorable(repository, env, scene.kept);
  await runLocked(scene, repository);
  // Everything was restored a moment ago: in a sample, one backup tells whether the second run broke anything.
  await expectFinished(scene, folder, isFull || afterKill === 'damaged' ? scene.kept : scene.kept.slice(-1));
  await rm(folder, { recursive: true });
}

/** Runs the command in a copy of the scene; how many changes it asked for, and where the copy is. */
async function runKilled(
  scene: KillScene,
  killAt: number,
): Promise<{ changes: number; folder: string; dead: boolean }> {
  const folder = join(await tempDir(), 'repository');
  // Links are enough: files of a repository are never written again, the config is replaced by another file.
  execFileSync('cp', ['-al', scene.folder, folder]);
  const killing = killingStore(openFolderStore(folder), killAt);
  const repository = await openRepository(killing.store, password);
  await runLocked(scene, repository).catch((error: unknown) => {
    if (!killing.isDead()) throw error;
  });
  return { changes: killing.changes(), folder, dead: killing.isDead() };
}

async function runLocked(scene: KillScene, repository: Repository): Promise<void> {
  const lock = await acquireLock(repository, { exclusive: scene.exclusive, hostname: 'test', clock: hastyClock });
  try {
    await scene.run(repository);
  } finally {
    await lock.release();
  }
}

async function openSomehow(
  { newPassword }: KillScene,
  folder: string,
): Promise<{ repository: Repository; env: Record<string, string> }> {
  for (const secret of newPassword === undefined ? [password] : [password, newPassword]) {
    const repository = await openRepository(openFolderStore(folder), secret).catch(() => undefined);
    if (repository) return { repository, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: secret } };
  }
  throw new Error('no password opens the repository any more');
}

async function expectFinished(scene: KillScene, folder: string, kept: readonly Kept[]): Promise<void> {
  const { repository, env } = await openSomehow(scene, folder);
  await scene.finished(repository);
  await restic(['check', '--read-data'], { env });
  await expectRestorable(repository, env, kept);
}

async function expectRestorable(
  repository: Repository,
  env: Readonly<Record<string, string>>,
  kept: readonly Kept[],
): Promise<void> {
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
  return all.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, Math.max(1, Math.round(count / sampleShare)));
}

function isDone(name: string, point: number): boolean {
  if (stateFile === undefined || !existsSync(stateFile)) return false;
  return readFileSync(stateFile, 'utf8').split('\n').includes(`${name} ${point}`);
}

function noteDone(name: string, point: number): void {
  if (stateFile !== undefined) appendFileSync(stateFile, `${name} ${point}\n`);
}
