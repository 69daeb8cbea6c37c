/** Before all unit tests: restic and an S3 server, once for the run. After them: what could not be run, and why. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { TestProject } from 'vitest/node';
import { tryMount } from './mount.ts';
import type { Need } from './needs.ts';
import { ensureRestic } from './restic.ts';
import { findRustic } from './rustic.ts';
import { type S3Server, startS3Server } from './s3-server.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-run-'));
  const notRunFile = join(folder, 'not-run');
  const missing: Partial<Record<Need, string>> = {};
  const [resticProblem, s3] = await Promise.all([ensureRestic(), startOrReason()]);
  if (resticProblem !== undefined) missing.restic = resticProblem;
  const rusticProblem = await findRustic();
  if (rusticProblem !== undefined) missing.rustic = rusticProblem;
  if (typeof s3 === 'string') missing.s3 = s3;
  if (process.getuid?.() !== 0) missing.root = 'the tests do not run as root';
  if (spawnSync('openssl', ['version']).status !== 0) missing.openssl = 'there is no openssl on the PATH';
  const mountProblem = await tryMount(folder);
  if (mountProblem !== undefined) missing.mount = mountProblem;
  project.provide('missing', missing);
  project.provide('s3', typeof s3 === 'string' ? undefined : accessOf(s3));
  project.provide('notRunFile', notRunFile);
  project.provide('isCi', process.env.CI === 'true');
  return async () => {
    if (typeof s3 !== 'string') await s3.stop();
    process.stdout.write(await notRunSummary(notRunFile));
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
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  return lines
    .map((line) => {
      const { title, reason, file }: { title: string; reason: string; file: string } = JSON.parse(line);
      return `not run: ${relative(process.cwd(), file)}: ${title}, because ${reason}\n`;
    })
    .join('');
}
