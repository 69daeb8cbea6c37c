/**
 * `npm run test:full [-- --shard 2/4] [-- --fresh]`: all unit tests with nothing sampled, in parts that are remembered, so
 * that a run which was interrupted goes on where it was. What was done counts only for the same state of the tree.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

interface PartResult {
  readonly part: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly durationMs: number;
}

interface VitestReport {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
}

const project = resolve(import.meta.dirname, '..');
const folder = join(project, '.cache', 'test-full');
const doneFile = join(folder, 'done');
const pointsFile = join(folder, 'points');
const reportFile = join(folder, 'report.json');
/** Files without a sample are quick: so many of them make a part. */
const filesInPart = 20;

const { values } = parseArgs({ options: { shard: { type: 'string' }, fresh: { type: 'boolean', default: false } } });
const parts = shardOf(listParts(), values.shard);
startState(treeState(), values.fresh);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
for (const [at, files] of parts.entries()) {
  const part = files.join(' ');
  if (stop.signal.aborted) break;
  if (resultOf(part)) continue;
  process.stdout.write(`\npart ${at + 1} of ${parts.length}: ${part}\n`);
  const result = await runPart(part, files);
  // What failed is run again by the next run.
  if (result?.failed === 0) appendFileSync(doneFile, `${JSON.stringify(result)}\n`);
}
process.exitCode = report();

/** Each file that samples is a part of its own, the others come together. */
function listParts(): string[][] {
  const files = globSync('test/**/*.test.ts', { cwd: project }).filter((file) => !file.startsWith('test/cluster/'));
  const samples = files.filter((file) => isSampling(file)).sort();
  const others = files.filter((file) => !samples.includes(file)).sort();
  const together = Array.from({ length: Math.ceil(others.length / filesInPart) }, (_, at) =>
    others.slice(at * filesInPart, (at + 1) * filesInPart),
  );
  return [...together, ...samples.map((file) => [file])];
}

function isSampling(file: string): boolean {
  return /HOLDFAST_TEST_FULL|kill-matrix\.ts|setup\/properties\.ts/.test(readFileSync(join(project, file), 'utf8'));
}

/** `2/4`: the second of four. */
function shardOf(all: string[][], shard: string | undefined): string[][] {
  if (shard === undefined) return all;
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(shard) ?? [];
  if (!(Number(index) >= 1 && Number(index) <= Number(count))) throw new TypeError(`--shard ${shard}: give 2/4`);
  return all.filter((_, at) => at % Number(count) === Number(index) - 1);
}

/** The commit and all that differs from it. */
function treeState(): string {
  const git = (...args: string[]): string => spawnSync('git', args, { cwd: project, encoding: 'utf8' }).stdout ?? '';
  const state = git('rev-parse', 'HEAD') + git('status', '--porcelain') + git('diff', 'HEAD');
  return createHash('sha256')
    .update(state)
    .update(process.env.HOLDFAST_TEST_SEED ?? '')
    .digest('hex');
}

function startState(state: string, isFresh: boolean): void {
  mkdirSync(folder, { recursive: true });
  const stateFile = join(folder, 'state');
  if (!isFresh && readText(stateFile) === state) return;
  for (const file of [doneFile, pointsFile]) rmSync(file, { force: true });
  writeFileSync(stateFile, state);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function results(): PartResult[] {
  return readText(doneFile)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): PartResult => JSON.parse(line));
}

function resultOf(part: string): PartResult | undefined {
  return results().find((result) => result.part === part);
}

/** undefined where it was interrupted. */
async function runPart(part: string, files: readonly string[]): Promise<PartResult | undefined> {
  const startMs = Date.now();
  rmSync(reportFile, { force: true });
  const args = ['run', '--project', 'unit', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
  const env = { ...process.env, HOLDFAST_TEST_FULL: '1', HOLDFAST_TEST_STATE: pointsFile };
  const vitest = join(project, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(process.execPath, [vitest, ...args, ...files], { cwd: project, env, stdio: 'inherit' });
  const end = (): unknown => child.kill('SIGTERM');
  stop.signal.addEventListener('abort', end, { once: true });
  await new Promise((done) => child.once('close', done));
  stop.signal.removeEventListener('abort', end);
  if (stop.signal.aborted) return undefined;
  const text = readText(reportFile);
  if (text === '') return { part, passed: 0, failed: 1, skipped: 0, durationMs: Date.now() - startMs };
  const { success, numPassedTests, numFailedTests, numPendingTests }: VitestReport = JSON.parse(text);
  const failed = success ? 0 : Math.max(1, numFailedTests);
  return { part, passed: numPassedTests, failed, skipped: numPendingTests, durationMs: Date.now() - startMs };
}

/** The exit code. */
function report(): number {
  const done = results().filter(({ part }) => parts.some((files) => files.join(' ') === part));
  const sum = (field: 'passed' | 'skipped' | 'durationMs'): number =>
    done.reduce((total, one) => total + one[field], 0);
  const points = readText(pointsFile).split('\n').length - 1;
  const minutes = (sum('durationMs') / 60_000).toFixed(1);
  process.stdout.write(
    `\nfull test: ${done.length} of ${parts.length} parts passed, with ${sum('passed')} tests (${sum('skipped')} not run) ` +
      `and ${points} kill points, in ${minutes} minutes\n`,
  );
  if (done.length < parts.length) process.stdout.write('Run it again to go on with what failed or was not reached.\n');
  return done.length === parts.length ? 0 : 1;
}
