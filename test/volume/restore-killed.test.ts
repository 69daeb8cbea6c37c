/**
 * A restore that is killed at any moment goes on when it is run again, and fetches only what is not there yet.
 * HOLDFAST_TEST_FULL=1 kills it many times over.
 */
import { linkSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startCli } from '../cli/run-cli.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { newScene, password } from './restore-scene.ts';

const kills = process.env.HOLDFAST_TEST_FULL === '1' ? 60 : 3;
const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now() % 100_000);

function fill(source: string): void {
  mkdirSync(join(source, 'small'), { recursive: true });
  for (let at = 0; at < 200; at++) writeFileSync(join(source, 'small', `file-${at}`), noise(`small ${at}`, 20_000));
  for (let at = 0; at < 4; at++) writeFileSync(join(source, `large-${at}`), noise(`large ${at}`, 15 << 20));
  linkSync(join(source, 'large-0'), join(source, 'small', 'another-name'));
}

test(`a restore killed ${kills} times (seed ${seed}) ends equal to the backup, and fetches no more than is missing`, async () => {
  const scene = await newScene(fill);
  const env = { HOLDFAST_REPOSITORY: scene.url, HOLDFAST_PASSWORD: password };
  const restore = () => startCli(['restore', 'latest', '--dir', scene.target, '--json'], { env });
  let random = seed;
  let killed = 0;
  for (let round = 0; round < kills; round++) {
    random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
    const { process: child, result } = restore();
    const atBytes = (random % 60) << 20;
    while (child.exitCode === null && writtenBytes(scene.target) < atBytes)
      await new Promise((next) => setTimeout(next, 2));
    child.kill('SIGKILL');
    if ((await result).exitCode === undefined) killed += 1;
    // Whatever looks finished is finished.
    expect(finishedButWrong(scene.source, scene.target)).toEqual([]);
  }
  expect(killed).toBeGreaterThan(0);
  const there = rightBytes(scene.source, scene.target);
  const { exitCode, stdout, stderr } = await restore().result;
  expect({ exitCode, stderr: stderr.replace(/.*lock.*\n/g, '') }).toEqual({ exitCode: 0, stderr: '' });
  expect(compareTrees(scene.source, scene.target)).toEqual([]);
  const { bytes, bytesFetched } = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, number>;
  // Noise does not compress; pieces of up to 1 MiB between two others are fetched along with them.
  expect(bytesFetched!).toBeLessThan(bytes! - there + 0.3 * bytes!);
}, 600_000);

function names(folder: string): string[] {
  try {
    const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return all.filter((name) => lstatSync(join(folder, name)).isFile() && !name.startsWith('.holdfast'));
  } catch {
    return [];
  }
}

function writtenBytes(folder: string): number {
  return names(folder).reduce(
    (sum, name) => sum + 512 * (lstatSync(join(folder, name), { throwIfNoEntry: false })?.blocks ?? 0),
    0,
  );
}

/** Files with the size and the time of the original. */
function finished(source: string, target: string): string[] {
  return names(target).filter((name) => {
    const [a, b] = [lstatSync(join(source, name), { bigint: true }), lstatSync(join(target, name), { bigint: true })];
    return a.size === b.size && a.mtimeNs === b.mtimeNs;
  });
}

function finishedButWrong(source: string, target: string): string[] {
  const wrong = compareTrees(source, target)
    .filter((line) => / content is /.test(line))
    .map((line) => line.split(': content')[0]!);
  return finished(source, target).filter((name) => wrong.includes(name));
}

function rightBytes(source: string, target: string): number {
  return finished(source, target).reduce((sum, name) => sum + lstatSync(join(target, name)).size, 0);
}
