/** Repositories with something to prune, and restic as the judge of what is left. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { acquireLock } from '../../src/repository/locks.ts';
import { executePrune, type PruneExecution, type PruneResult } from '../../src/repository/prune.ts';
import { type PruneOptions, type PrunePlan, planPrune } from '../../src/repository/prune-plan.ts';
import { surveyPacks } from '../../src/repository/prune-survey.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import type { TestRepository } from './restic-repository.ts';

/** A backup and a copy of what was backed up. */
export interface Kept {
  readonly id: string;
  readonly source: string;
}

/** A clock whose waits are over at once: locks settle without waiting. */
export const hastyClock = {
  nowMs: () => Date.now(),
  sleep: (durationMs: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(resolve, durationMs >= 1000 ? durationMs : 0);
      timer.unref();
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
};

/** Plans and prunes under an exclusive lock, as the command does. */
export async function prune(
  repository: Repository,
  options: PruneOptions & PruneExecution = {},
): Promise<{ plan: PrunePlan; result: PruneResult }> {
  const lock = await acquireLock(repository, { exclusive: true, hostname: 'test', clock: hastyClock });
  try {
    const survey = await surveyPacks(repository);
    const plan = planPrune(survey.facts, options);
    return { plan, result: await executePrune(repository, survey, plan, options) };
  } finally {
    await lock.release();
  }
}

export async function backUp(repository: Repository, source: string, packSizeBytes?: number): Promise<Kept> {
  const copy = join(await tempDir(), 'copy');
  // Not with fs.cp, which rounds times.
  execFileSync('cp', ['-a', source, copy]);
  const { backupId } = await backupFolder(repository, {
    source,
    host: 'test',
    paths: ['/source'],
    tags: [],
    workers: 1,
    ...(packSizeBytes === undefined ? {} : { packSizeBytes }),
  });
  return { id: backupId, source: copy };
}

/** Four backups of a folder in which, each time, some files are replaced. */
export async function backUpChanges(repository: Repository, packSizeBytes?: number): Promise<Kept[]> {
  const source = join(await tempDir(), 'source');
  const backups: Kept[] = [];
  for (let round = 0; round < 4; round++) {
    await changeFiles(source, round);
    backups.push(await backUp(repository, source, packSizeBytes));
  }
  return backups;
}

export async function changeFiles(source: string, round: number): Promise<void> {
  for (const name of ['folder-0', `folder-${round}`]) await mkdir(join(source, 'deep', name), { recursive: true });
  for (let at = 0; at < 6; at++) {
    if (round > 0 && at % 3 !== round % 3) continue;
    const folder = at % 2 === 0 ? 'deep' : join('deep', 'folder-0');
    await writeFile(join(source, folder, `file-${at}`), noise(`${round} ${at}`, 150_000 + 1000 * at));
    await writeFile(join(source, folder, `text-${at}`), `text ${round} ${at}\n`.repeat(2000));
  }
}

export async function forget(repository: Repository, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) await repository.store.remove('snapshots', id);
}

/** restic finds no fault, and restores exactly these backups. */
export async function judge({ env, repository }: TestRepository, kept: readonly Kept[]): Promise<void> {
  await restic(['check', '--read-data'], { env });
  expect((await listSnapshots(repository)).map(({ id }) => id).sort()).toEqual(kept.map(({ id }) => id).sort());
  for (const { id, source } of kept) {
    const target = join(await tempDir(), 'restored');
    await restic(['restore', id, '--target', target], { env });
    expect(compareTrees(source, target)).toEqual([]);
    await rm(target, { recursive: true });
  }
}

export async function packNames(repository: Repository): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of repository.store.list('data')) names.push(name);
  return names.sort();
}

export async function countFiles(folder: string, type: string): Promise<number> {
  const entries = await readdir(join(folder, type), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

export function packBytes(folder: string, id: string): Buffer {
  return readFileSync(join(folder, 'data', id.slice(0, 2), id));
}
