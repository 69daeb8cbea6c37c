/** init --from and --format, copy and upgrade as users and scripts meet them. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSettings, sourceSettings } from '../../src/cli/config.ts';
import { acquireLock } from '../../src/repository/locks.ts';
import { initRepository, openRepository } from '../../src/repository/repository.ts';
import { isLedger, listSnapshots, loadSnapshot, saveSnapshot } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { lastLine, makeFiles, newPlace, type Place, password } from './place.ts';
import { type CliResult, runCli } from './run-cli.ts';

const otherPassword = 'another password';
const ids = (result: CliResult): string[] => JSON.parse(result.stdout).map(({ id }: { id: string }) => id);

interface CopyPlace extends Place {
  readonly copy: string;
  readonly passwordFile: string;
  /** In the repository with the copies. */
  there(...args: string[]): Promise<CliResult>;
}

let first: Promise<Place> | undefined;

/** Two backups of one folder with different tags, and an empty repository for copies. */
async function placeToCopy(version: 1 | 2 = 2): Promise<CopyPlace> {
  first ??= makeBackups();
  const folder = await tempDir();
  execFileSync('cp', ['-a', `${(await first).folder}/.`, folder]);
  const [repository, copy, passwordFile] = ['repository', 'copy', 'password'].map((name) => join(folder, name));
  writeFileSync(passwordFile!, password);
  await initRepository(openFolderStore(copy!), otherPassword, { kdf: { N: 1024, r: 8, p: 1 }, version });
  const envOf = (path: string, secret: string) => ({ HOLDFAST_REPOSITORY: path, HOLDFAST_PASSWORD: secret });
  const env = envOf(repository!, password);
  const there = (...args: string[]) => runCli(args, { env: envOf(copy!, otherPassword) });
  const cli = (...args: string[]) => runCli(args, { env });
  return { folder, repository: repository!, copy: copy!, passwordFile: passwordFile!, env, cli, there };
}

async function makeBackups(): Promise<Place> {
  const place = await newPlace();
  makeFiles(join(place.folder, 'source'), 3);
  for (const tag of ['first', 'second']) await place.cli('backup', '--dir', join(place.folder, 'source'), '--tag', tag);
  return place;
}

test('copy says what it would do, does it, and says what was there already', async () => {
  const { there, repository, copy, passwordFile, cli } = await placeToCopy();
  const source = ['--from-repo', repository, '--from-password-file', passwordFile] as const;
  const [first, second] = ids(await cli('list', '--json'));
  const opened = await openRepository(openFolderStore(repository), password);
  const { tree, time } = await loadSnapshot(opened, first!);
  await saveSnapshot(opened, { time, tree, paths: ['/.holdfast/recipe/shop/data'], tags: [`of=${first}`] });
  const plan = await there('copy', ...source, '--tag', 'first', '--plan');
  expect(plan).toMatchObject({ exitCode: 0, stderr: '' });
  expect(plan.stdout).toMatch(
    new RegExp(
      `^copy {2}${first!.slice(0, 8)} .*/source\n1 backup to copy: \\d+ blobs of 2 packs, .*; 0 there already\n$`,
    ),
  );
  expect(ids(await there('list', '--json'))).toEqual([]);
  const copied = await there('copy', ...source, first!.slice(0, 8));
  expect(copied).toMatchObject({ exitCode: 0, stderr: '' });
  expect(copied.stdout).toMatch(/^copy .*: it is [0-9a-f]{8} here\n1 backup copied, .* stored; 0 there already\n$/);
  const records = (await listSnapshots(await openRepository(openFolderStore(copy), otherPassword))).filter(isLedger);
  expect(records).toMatchObject([{ tree, tags: [`of=${first}`] }]);
  const rest = lastLine((await there('copy', ...source, '--json')).stdout);
  const listed = ids(await there('list', '--json'));
  expect(rest).toMatchObject({
    type: 'copied',
    copied: [{ from: second, to: listed[1] }],
    skipped: expect.arrayContaining([{ from: first, to: listed[0] }]),
    failed: [],
  });
  expect(await there('check', '--read-data')).toMatchObject({ exitCode: 0 });
  for (const folder of [repository, copy]) expect(readdirSync(join(folder, 'locks'))).toEqual([]);
  const lock = await acquireLock(opened, { exclusive: true, hostname: 'elsewhere' });
  expect(await there('copy', ...source)).toMatchObject({ exitCode: 11, stdout: '' });
  await lock.release();
});

test('a backup that is damaged is named, the others are copied, and the exit code is 3', async () => {
  const { there, repository, passwordFile, cli } = await placeToCopy();
  const [, second] = ids(await cli('list', '--json'));
  const path = join(repository, 'snapshots', second!);
  const bytes = readFileSync(path);
  bytes[40]! ^= 1;
  rmSync(path);
  writeFileSync(path, bytes);
  const result = await there('copy', '--from-repo', repository, '--from-password-file', passwordFile);
  expect(result.exitCode).toBe(3);
  expect(result.stderr).toContain(`error: cannot copy ${second!.slice(0, 8)}: `);
  expect(result.stderr).toContain('1 backups could not be copied');
  expect(ids(await there('list', '--json'))).toHaveLength(1);
});

test('copy needs a source that is another repository, and its password', async () => {
  const { there, copy, repository } = await placeToCopy();
  expect((await there('copy')).stderr).toContain('--from-repo');
  expect((await there('copy', '--from-repo', copy, '--from-password-file', '/x')).stderr).toContain(
    'the one to copy to',
  );
  const missing = await there('copy', '--from-repo', repository, '--json');
  expect(missing.exitCode).toBe(12);
  expect(lastLine(missing.stderr)).toMatchObject({ code: 'SOURCE_PASSWORD_MISSING' });
});

test('the source has options and variables of its own, and credentials where they are given', () => {
  const env = {
    HOLDFAST_PASSWORD: 'target',
    RESTIC_FROM_REPOSITORY: 'fourth',
    RESTIC_FROM_PASSWORD: 'restic',
    AWS_ACCESS_KEY_ID: 'target',
    AWS_SESSION_TOKEN: 'target',
  };
  const none = { repository: undefined, passwordFile: undefined };
  const settings = readSettings({ passwordFile: '/target' }, env);
  const source = sourceSettings(settings, none);
  expect(source).toMatchObject({ repository: 'fourth', env, passwordSource: { name: 'RESTIC_FROM_PASSWORD' } });
  const ours = { ...env, HOLDFAST_FROM_REPOSITORY: 'third', HOLDFAST_FROM_PASSWORD_FILE: '/file' };
  expect(sourceSettings(readSettings({}, ours), none)).toMatchObject({
    repository: 'third',
    passwordSource: { path: '/file' },
  });
  expect(sourceSettings(readSettings({}, ours), { repository: 'flag', passwordFile: '/flag' })).toMatchObject({
    repository: 'flag',
    passwordSource: { path: '/flag' },
  });
  const keyed = sourceSettings(readSettings({}, { ...env, HOLDFAST_FROM_AWS_ACCESS_KEY_ID: 'source' }), none);
  expect(keyed.env.AWS_ACCESS_KEY_ID).toBe('source');
  expect(keyed.env.AWS_SESSION_TOKEN).toBeUndefined();
});

test('init --from makes a repository that is cut alike, and takes no second say in that', async () => {
  const { repository, folder, passwordFile, there } = await placeToCopy();
  const made = join(folder, 'made');
  const args = ['init', '--repo', made, '--from', repository, '--from-password-file', passwordFile];
  expect((await there(...args, '--chunker', 'gear')).stderr).toContain('does not go with --chunker');
  expect(existsSync(made)).toBe(false);
  expect((await there(...args, '--format', '3')).stderr).toContain('--format 3: expected 1 or 2');
  const result = lastLine((await there(...args, '--format', '1', '--json')).stdout);
  expect(result).toMatchObject({ type: 'initialized', repository: made, chunker: 'gear', version: 1 });
  const { config } = await openRepository(openFolderStore(made), otherPassword);
  const like = (await openRepository(openFolderStore(repository), password)).config;
  expect({ ...config, id: '' }).toEqual({ ...like, id: '', version: 1 });
});

test('upgrade checks first, keeps the config as it was, and has nothing to do the second time', async () => {
  const { there, repository, passwordFile, copy, folder } = await placeToCopy(1);
  await there('copy', '--from-repo', repository, '--from-password-file', passwordFile);
  const before = readFileSync(join(copy, 'config'));
  const kept = join(folder, 'kept', 'config');
  const plan = await there('upgrade', '--plan');
  expect(plan).toMatchObject({ exitCode: 0, stderr: '' });
  expect(plan.stdout).toMatch(/^repository [0-9a-f]{10} is sound, and would change from version 1 to version 2\n$/);
  expect(readFileSync(join(copy, 'config'))).toEqual(before);
  const result = await there('upgrade', '--keep-config', kept, '--json');
  expect(lastLine(result.stdout)).toMatchObject({ type: 'upgraded', from: 1, to: 2, configCopy: kept });
  expect(readFileSync(kept)).toEqual(before);
  expect(statSync(kept).mode & 0o077).toBe(0);
  expect((await openRepository(openFolderStore(copy), otherPassword)).version).toBe(2);
  expect((await there('upgrade')).stdout).toMatch(/has version 2 already\n$/);
});

test('a repository with errors, or whose config cannot be kept, is not upgraded', async () => {
  const { there, repository, passwordFile, copy, folder } = await placeToCopy(1);
  await there('copy', '--from-repo', repository, '--from-password-file', passwordFile);
  const refused = await there('upgrade', '--keep-config', folder);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(`The config cannot be kept in ${folder}`);
  rmSync(join(copy, 'data'), { recursive: true });
  const result = await there('upgrade');
  expect(result.exitCode).toBe(1);
  expect(result.stderr).toMatch(/error: pack [0-9a-f]{8}: it is missing/);
  expect((await openRepository(openFolderStore(copy), otherPassword)).version).toBe(1);
});
