/** Before all unit tests: restic and an S3 server, once for the run. After them: what could not be run, and why. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { TestProject } from 'vitest/node';
import type { KillCoverage } from '../repository/kill-matrix.ts';
import { tryMount } from './mount.ts';
import type { Need } from './needs.ts';
import { ensureRestic } from './restic.ts';
import { findRustic } from './rustic.ts';
import { type S3Server, startS3Server } from './s3-server.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-run-'));
  // One for all processes of a run, so that it can be asked for again.
  process.env.HOLDFAST_TEST_SEED ??= String(Date.now() | 0);
  const notRunFile = join(folder, 'not-run');
  const killPointsFile = join(folder, 'kill-points');
  const missing: Partial<Record<Need, string>> = {};
  const [resticProblem, s3] = await Promise.all([ensureRestic(), startOrReason()]);
  if (resticProblem !== undefined) missing.restic = resticProblem;
  const rusticProblem = await findRustic();
  if (rusticProblem !== undefined) missing.rustic = rusticProblem;
  if (!process.env.RESTIC_SOURCE) missing['restic-source'] = "RESTIC_SOURCE=<folder> does not name restic's source";
  if (typeof s3 === 'string') missing.s3 = s3;
  if (process.getuid?.() !== 0) missing.root = 'the tests do not run as root';
  if (spawnSync('openssl', ['version']).status !== 0) missing.openssl = 'there is no openssl on the PATH';
  const mountProblem = await tryMount(folder);
  if (mountProblem !== undefined) missing.mount = mountProblem;
  project.provide('missing', missing);
  project.provide('s3', typeof s3 === 'string' ? undefined : accessOf(s3));
  project.provide('notRunFile', notRunFile);
  project.provide('killPointsFile', killPointsFile);
  project.provide('isCi', process.env.CI === 'true');
  return async () => {
    if (typeof s3 !== 'string') await s3.stop();
    process.stdout.write((await killPointsSummary(killPointsFile)) + (await notRunSummary(notRunFile)));
    await rm(folder, { recursive: true, force: true });
  };
}

async function startOrReason(): Promise<S3Server | string> {
  try {
    return await startS3Server();
  } catch (error) {
    return `there is no S3 server: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function accessOf({ endpoint, accessKeyId, secretAccessKey, region, dataFolder }: S3Server) {
  return { endpoint, accessKeyId, secretAccessKey, region, dataFolder };
}

async function notRunSummary(path: string): Promise<string> {
  const notRun = await readLines<{ title: string; reason: string; file: string }>(path);
  return notRun
    .map(({ title, reason, file }) => `not run: ${relative(process.cwd(), file)}: ${title}, because ${reason}\n`)
    .join('');
}

/** `kill points: 12 of 58 (seed 1: backup 1 of 6, prune 2 of 9, …)` */
async function killPointsSummary(path: string): Promise<string> {
  const covered = await readLines<KillCoverage>(path);
  if (covered.length === 0) return '';
  const sum = (field: 'tested' | 'all'): number => covered.reduce((total, scene) => total + scene[field], 0);
  const each = covered.map(({ name, tested, all }) => `${name} ${tested} of ${all}`).sort();
  const seed = process.env.HOLDFAST_TEST_SEED;
  return `kill points: ${sum('tested')} of ${sum('all')} (seed ${seed}: ${each.join(', ')})\n`;
}

async function readLines<Line>(path: string): Promise<Line[]> {
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  return lines.map((line): Line => JSON.parse(line));
}
