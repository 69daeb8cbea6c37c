/**
 * `npm run bench`: Holdfast beside restic, and rustic and kopia where they are on the PATH, in the same run on the same
 * data in memory; medians of the rounds. Writes bench/results.md.
 *   --rounds 3 --mib 1024 --files 50000
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type DataSet, largeFiles, smallFiles } from './data-sets.ts';
import { type Measurement, measure, median } from './measure.ts';
import { findTools, type Place, type Tool } from './tools.ts';

const jobs = ['first backup', 'unchanged backup', 'check --read-data', 'restore'] as const;
type Job = (typeof jobs)[number];

/** What one tool did with one data set, over all rounds. */
interface Results {
  readonly times: Record<Job, Measurement[]>;
  repositoryMib: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    mib: { type: 'string', default: '1024' },
    files: { type: 'string', default: '50000' },
  },
});

const tools = findTools();
const scratch = mkdtempSync('/dev/shm/holdfast-bench-');
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const report = [header(), ''];
for (const dataSet of [largeFiles(Number(values.mib)), smallFiles(Number(values.files))]) {
  report.push(...describe(dataSet, await runAll(dataSet)), '');
}
process.stdout.write(`\n${report.join('\n')}`);
writeFileSync(resolve(import.meta.dirname, 'results.md'), report.join('\n'));

async function runAll(dataSet: DataSet): Promise<Map<Tool, Results>> {
  const data = join(scratch, dataSet.name);
  dataSet.make(data);
  // Files written within 2 s of a backup are read again by the next one, which is not what is to be measured.
  await setTimeout(3000);
  const results = new Map(tools.map((tool) => [tool, emptyResults()]));
  for (let round = 0; round < Number(values.rounds); round++) {
    // Not always in the same order: what runs first finds caches cold.
    for (const tool of round % 2 === 0 ? tools : tools.toReversed()) {
      await runOnce(tool, data, results.get(tool)!);
      console.error(`${dataSet.name}, round ${round + 1}: ${tool.name} done`);
    }
  }
  rmSync(data, { recursive: true });
  return results;
}

async function runOnce(tool: Tool, data: string, results: Results): Promise<void> {
  const work = mkdtempSync(join(scratch, `${tool.name}-`));
  const place: Place = { data, work, target: join(work, 'restored') };
  await measure(tool.init(place));
  results.times['first backup'].push(await measure(tool.backup(place)));
  results.times['unchanged backup'].push(await measure(tool.backup(place)));
  results.repositoryMib = sizeOf(join(work, 'repository')) / (1 << 20);
  results.times['check --read-data'].push(await measure(tool.check(place)));
  mkdirSync(place.target);
  results.times.restore.push(await measure(tool.restore(place)));
  rmSync(work, { recursive: true, force: true });
}

function emptyResults(): Results {
  return {
    times: { 'first backup': [], 'unchanged backup': [], 'check --read-data': [], restore: [] },
    repositoryMib: 0,
  };
}

function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((total, { parentPath, name }) => total + statSync(join(parentPath, name)).size, 0);
}

function header(): string {
  const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const versions = tools.map(({ name, version }) => `${name} ${version.replace(/^\w+ /, '')}`).join('; ');
  return [
    '# Benchmarks',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${machine}, everything on tmpfs. ${versions}. Load before the run: ${loadavg()[0]?.toFixed(1)}.`,
    `Medians of ${values.rounds} rounds in one run: time, time on the processors, most memory; in brackets how many times Holdfast's.`,
    'Made by `npm run bench`.',
  ].join('\n');
}

function describe(dataSet: DataSet, results: ReadonlyMap<Tool, Results>): string[] {
  const own = [...results.values()][0]!;
  const rows = jobs.map((job) => [job, ...[...results.values()].map(({ times }) => cell(times[job], own.times[job]))]);
  const sizes = ['repository', ...[...results.values()].map(({ repositoryMib }) => `${repositoryMib.toFixed(0)} MiB`)];
  const names = ['', ...[...results.keys()].map(({ name }) => name)];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [`## ${dataSet.title}`, '', line(names), line(names.map(() => '---')), ...[...rows, sizes].map(line)];
}

function cell(measured: readonly Measurement[], own: readonly Measurement[]): string {
  const of = (all: readonly Measurement[], what: keyof Measurement): number => median(all.map((one) => one[what]));
  const shown = (what: 'seconds' | 'cpuSeconds'): string => {
    const ratio = `${(of(measured, what) / of(own, what)).toFixed(1)}×`;
    return `${of(measured, what).toFixed(2)} s${measured === own ? '' : ` (${ratio})`}`;
  };
  return `${shown('seconds')}, CPU ${shown('cpuSeconds')}, ${of(measured, 'peakMib').toFixed(0)} MiB`;
}
