/** What the options of `backup --dir` do, beside exclusions; restic, where there is one, reads the results. */
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { orVariable, parsePackSize, parseTime } from '../../src/cli/backup-options.ts';
import { acquireLock } from '../../src/repository/locks.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openStore } from '../../src/store/open-store.ts';
import { noise } from '../fixtures/make-tree.ts';
import { lastLine, makeFiles, newPlace, type Place, password } from './place.ts';
import { runCli } from './run-cli.ts';

let place: Place;
let source: string;

beforeEach(async () => {
  place = await newPlace();
  source = join(place.folder, 'source');
  makeFiles(source, 3);
});

async function backup(...args: string[]) {
  const result = await place.cli('backup', '--dir', source, '--json', ...args);
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
  return lastLine(result.stdout) as {
    backupId: string | null;
    parentId?: string;
    isSkipped: boolean;
    filesNew: number;
  };
}

const filesIn = (folder: string): string[] =>
  readdirSync(join(place.repository, folder), { recursive: true }).map(String);

describe('--skip-if-unchanged', () => {
  test('makes no second backup of the same state, says so, and makes one as soon as something differs', async () => {
    const first = await backup('--skip-if-unchanged');
    expect(first).toMatchObject({ isSkipped: false });
    expect(await backup('--skip-if-unchanged')).toMatchObject({
      backupId: null,
      isSkipped: true,
      parentId: first.backupId,
    });
    const { stdout } = await place.cli('backup', '--dir', source, '--skip-if-unchanged');
    expect(stdout).toContain(`is as in backup ${first.backupId?.slice(0, 8)}: no backup was made`);
    expect(filesIn('snapshots')).toEqual([first.backupId]);
    appendFileSync(join(source, 'file-1'), 'more');
    expect(await backup('--skip-if-unchanged')).toMatchObject({ isSkipped: false, parentId: first.backupId });
  });
});

describe('--parent', () => {
  test('compares with the backup that it names, or with none', async () => {
    const first = await backup();
    const second = await backup();
    expect(second.parentId).toBe(first.backupId);
    expect(await backup('--parent', 'latest~1')).toMatchObject({ parentId: first.backupId, filesNew: 0 });
    const alone = await backup('--parent', 'none');
    expect(alone).toMatchObject({ filesNew: 3 });
    expect(alone.parentId).toBeUndefined();
  });

  test('that does not exist is refused', async () => {
    const { exitCode, stderr } = await place.cli('backup', '--dir', source, '--parent', 'abcdef');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('abcdef') });
    expect(filesIn('snapshots')).toEqual([]);
  });
});

test('--time, --host and --tag are what the backup shows', async () => {
  await backup('--time', '2026-03-01 12:00:00', '--host', 'db', '--tag', 'a,b', '--tag', 'c');
  const shown = await place.cli('list', '--json');
  expect(lastLine(shown.stdout)).toMatchObject([{ time: '2026-03-01T12:00:00Z', host: 'db', tags: ['a', 'b', 'c'] }]);
});

test('a backup of an earlier time is compared with what was there before it', async () => {
  const old = await backup('--time', '2026-03-01 12:00:00');
  await backup('--time', '2026-05-01 12:00:00');
  expect((await backup('--time', '2026-04-01 12:00:00')).parentId).toBe(old.backupId);
});

test('--host and --pack-size come from the variables of restic where they are not given', async () => {
  writeFileSync(join(source, 'large'), noise('large', 12 << 20));
  const env = { ...place.env, RESTIC_HOST: 'from-env', RESTIC_PACK_SIZE: '4' };
  const { exitCode } = await runCli(['backup', '--dir', source], { env });
  expect(exitCode).toBe(0);
  expect(lastLine((await place.cli('list', '--json')).stdout)).toMatchObject([{ host: 'from-env' }]);
  expect(filesIn('data').filter((name) => name.includes('/')).length).toBeGreaterThanOrEqual(3);
  const wrong = await runCli(['backup', '--dir', source], { env: { ...env, RESTIC_PACK_SIZE: '3' } });
  expect(wrong).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('RESTIC_PACK_SIZE: expected a size of 4'),
  });
});

test('--plan counts what a backup would do, and writes nothing', async () => {
  await backup();
  const before = [...filesIn('data'), ...filesIn('index'), ...filesIn('snapshots')];
  appendFileSync(join(source, 'file-1'), 'more');
  writeFileSync(join(source, 'another'), 'new');
  const plan = await backup('--plan');
  expect(plan).toMatchObject({ type: 'plan', backupId: null, filesNew: 1, filesChanged: 1, filesUnmodified: 2 });
  const { stdout } = await place.cli('backup', '--dir', source, '--plan');
  expect(stdout).toMatch(
    /^plan: a backup of .*source, compared with [0-9a-f]{8}\n {2}files {3}1 new, 1 changed, 2 unm/,
  );
  expect([...filesIn('data'), ...filesIn('index'), ...filesIn('snapshots')]).toEqual(before);
  expect(await backup()).toMatchObject({ filesNew: 1, filesChanged: 1, filesUnmodified: 2 });
});

test('an option of --dir is refused for claims, and a wrong value is explained', async () => {
  const refused = await place.cli('backup', 'shop/data', '--skip-if-unchanged');
  expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--skip-if-unchanged is for --dir') });
  const time = await place.cli('backup', '--dir', source, '--time', 'yesterday');
  expect(time).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--time yesterday: expected a time') });
});

describe('the notation of values', () => {
  test('sizes of packs are MiB without a unit, and between 4 and 128 MiB', () => {
    expect([parsePackSize('4'), parsePackSize('64Mi'), parsePackSize('128')]).toEqual([4 << 20, 64 << 20, 128 << 20]);
    for (const wrong of ['3', '129', '0', '-5', '1Gi']) expect(() => parsePackSize(wrong)).toThrow(/size/);
  });

  test('times are of this machine unless they say of where', () => {
    expect(parseTime('2026-03-01T12:00:00.25+01:00')).toBe(Date.UTC(2026, 2, 1, 11, 0, 0, 250));
    expect(parseTime('2026-03-01 12:00')).toBe(new Date(2026, 2, 1, 12).getTime());
    for (const wrong of ['2026-13-01 12:00:00', '12:00', '2026-03-01']) expect(() => parseTime(wrong)).toThrow(/time/);
  });

  test('an option goes before variables, and an empty variable is none', () => {
    const env = { A: '', B: '7' };
    expect(orVariable(undefined, env, ['A', 'B'], Number)).toBe(7);
    expect(orVariable(3, env, ['A', 'B'], Number)).toBe(3);
    expect(orVariable(undefined, env, ['A'], Number)).toBeUndefined();
  });
});

test('--retry-lock waits, says for whom, and then fails as without it', async () => {
  const store = await openStore(place.repository);
  const lock = await acquireLock(await openRepository(store, password), { exclusive: true, hostname: 'the-pruner' });
  const { exitCode, stderr } = await place.cli('backup', '--dir', source, '--retry-lock', '500ms');
  const last = await place.cli('backup', '--dir', source, '--json', '--retry-lock', '500ms');
  await lock.release();
  await store.close();
  expect(exitCode).toBe(11);
  expect(stderr).toMatch(
    /^waiting for the-pruner \(process \d+\), which holds a lock \(exclusive\) for .*giving up in \d+ms\n/,
  );
  expect(stderr).toContain('is locked by the-pruner');
  const lines = last.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toMatchObject([{ type: 'waiting-for-lock', kind: 'exclusive' }, { code: 'REPOSITORY_LOCKED' }]);
});

test('--limit-upload slows the sending of packs down, and a limit that is none is refused', async () => {
  writeFileSync(join(source, 'large'), noise('large', 9 << 20));
  const { exitCode, stdout } = await place.cli(
    ...['backup', '--dir', source, '--json', '--pack-size', '4', '--limit-upload', '8Mi'],
  );
  expect(exitCode).toBe(0);
  // The second and the third pack wait for the one before.
  expect((lastLine(stdout) as { durationMs: number }).durationMs).toBeGreaterThan(700);
  const wrong = await place.cli('list', '--limit-download', 'fast');
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('fast') });
});

test('--compression and --no-extra-verify are taken, the former also from the variable of restic', async () => {
  writeFileSync(join(source, 'text'), 'the same line\n'.repeat(50_000));
  const stored = async (env: Record<string, string>, ...args: string[]): Promise<number> => {
    const { stdout } = await runCli(['backup', '--dir', source, '--json', '--plan', ...args], {
      env: { ...place.env, ...env },
    });
    return (lastLine(stdout) as { bytesStored: number }).bytesStored;
  };
  const compressed = await stored({}, '--no-extra-verify');
  expect(await stored({ RESTIC_COMPRESSION: 'off' })).toBeGreaterThan(compressed + 500_000);
  expect(await stored({ RESTIC_COMPRESSION: 'off' }, '--compression', 'max')).toBeLessThanOrEqual(compressed);
  const wrong = await place.cli('backup', '--dir', source, '--compression', 'much');
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('expected off, auto or max') });
});
