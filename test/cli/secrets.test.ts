/** Passwords, keys and credentials are in nothing that any command prints, and in no list of processes. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { commandList } from '../../src/cli/command-list.ts';
import { initRepository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { makeFiles } from './place.ts';
import { type CliResult, startCli } from './run-cli.ts';

const password = `secret-${randomUUID()}`;
const newPassword = `secret-${randomUUID()}`;
const wrongPassword = `secret-${randomUUID()}`;
const accessKey = `secret-${randomUUID()}`;
/** Also what the master key is, in every form in which it could be written. */
const secrets = [password, newPassword, wrongPassword, accessKey];

let folder: string;
let repository: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await tempDir();
  repository = join(folder, 'repository');
  const store = openFolderStore(repository);
  const { key } = await initRepository(store, password, { kdf: { N: 1024, r: 8, p: 1 } });
  await store.close();
  for (const part of [key.encrypt, key.macK, key.macR]) {
    for (const form of ['hex', 'base64', 'base64url'] as const) secrets.push(part.toString(form).replace(/=+$/, ''));
  }
  makeFiles(join(folder, 'files'), 2);
  writeFileSync(join(folder, 'new-password'), `${newPassword}\n`);
  writeFileSync(join(folder, 'policy.yaml'), 'apiVersion: x\n');
  env = {
    HOLDFAST_REPOSITORY: repository,
    HOLDFAST_PASSWORD: password,
    AWS_ACCESS_KEY_ID: 'key-id',
    AWS_SECRET_ACCESS_KEY: accessKey,
    AWS_SESSION_TOKEN: accessKey,
    RESTIC_FROM_PASSWORD: password,
    KUBECONFIG: join(folder, 'no-kubeconfig'),
  };
});

/** How each command is called, so that it does what it does, or fails at it. */
const calls: Readonly<Record<string, () => readonly string[]>> = {
  backup: () => ['--dir', join(folder, 'files')],
  list: () => [],
  show: () => ['latest'],
  ls: () => ['latest'],
  find: () => ['file-0'],
  dump: () => ['latest', '/file-0'],
  diff: () => ['latest', 'latest'],
  restore: () => ['latest', '--dir', join(folder, `target-${randomUUID()}`)],
  stats: () => [],
  tag: () => ['--add', 'x', 'latest'],
  forget: () => ['--keep-last', '1'],
  check: () => ['--read-data'],
  prune: () => [],
  'repair index': () => ['--read-all-packs'],
  'repair packs': () => ['00'],
  'repair snapshots': () => [],
  'key list': () => [],
  'key add': () => ['--new-password-file', join(folder, 'new-password')],
  'key remove': () => ['00'],
  unlock: () => ['--all'],
  init: () => [],
  upgrade: () => [],
  copy: () => ['--from-repo', repository],
  hold: () => ['latest', '--reason', 'x'],
  release: () => ['latest'],
  'adopt-cluster': () => ['0e2f6a3c-old'],
  'render cronjob': () => [join(folder, 'policy.yaml')],
  mover: () => ['backup'],
  'key passwd': () => ['--new-password-file', join(folder, 'new-password')],
};

/** What was printed, and the command lines of the process and of those that it started. */
async function run(args: readonly string[], more: Record<string, string> = {}): Promise<CliResult & { lists: string }> {
  const { process: child, result } = startCli(args, { env: { ...env, ...more } });
  let lists = '';
  const look = setInterval(() => {
    lists += listsOf(child.pid ?? 0);
  }, 50);
  lists += listsOf(child.pid ?? 0);
  const ended = await result.finally(() => clearInterval(look));
  return { ...ended, lists };
}

function listsOf(pid: number): string {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '),
    );
    const started = children.filter((child) => child !== '').map((child) => listsOf(Number(child)));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') + started.join('');
  } catch {
    // It has ended.
    return '';
  }
}

function expectNoSecret(name: string, { stdout, stderr, lists }: CliResult & { lists: string }): void {
  const said = `${stdout}\n${stderr}`;
  for (const secret of secrets) {
    expect(said.includes(secret), `${name}: ${said}`).toBe(false);
    expect(lists.includes(secret), `${name}: ${lists}`).toBe(false);
  }
  expect(stderr).not.toContain('unknown option');
}

test('every command is called here', () => {
  expect(Object.keys(calls).sort()).toEqual(commandList.map(({ name }) => name).sort());
});

test.each(Object.keys(calls))('%s prints no secret, as text or JSON, with all that it can say', async (name) => {
  const args = [...name.split(' '), ...calls[name]!(), '--verbose'];
  const results = [await run(args)];
  // After the first one, the old password opens nothing any more, which fails in another way.
  results.push(await run([...args, '--json']));
  for (const result of results) {
    expect(result.lists).toContain('holdfast');
    expectNoSecret(name, result);
  }
});

test.each([
  ['a wrong password', { HOLDFAST_PASSWORD: wrongPassword }],
  ['a store that is not there', { HOLDFAST_REPOSITORY: 's3:http://127.0.0.1:1/bucket' }],
  ['an address with credentials in it', { HOLDFAST_REPOSITORY: `s3:http://user:${accessKey}@127.0.0.1:1/bucket` }],
])('a failure for %s tells no secret', async (_, more) => {
  for (const format of [[], ['--json']]) {
    const result = await run(['list', '--verbose', ...format], { HOLDFAST_RETRY: '0', ...more });
    expect(result.exitCode).not.toBe(0);
    expectNoSecret('list', result);
  }
});
