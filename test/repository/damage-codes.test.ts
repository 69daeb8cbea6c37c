/** What is damaged is told by a code of its own, by every command that meets it, and nothing is touched. */
import { chmodSync, cpSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/base/error-catalog.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { makeFiles, newPlace, type Place, password } from '../cli/place.ts';
import { type CliResult, runCli } from '../cli/run-cli.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { contentOf, filesIn, flip, packPath, packWith } from './damage.ts';

let sound: Place;
let place: Place;

beforeAll(async () => {
  sound = await newPlace();
  makeFiles(join(sound.folder, 'files'), 1);
  expect((await sound.cli('backup', '--dir', join(sound.folder, 'files'))).exitCode).toBe(0);
});

beforeEach(async () => {
  const folder = await tempDir();
  cpSync(sound.folder, folder, { recursive: true });
  const repository = join(folder, 'repository');
  const env = { ...sound.env, HOLDFAST_REPOSITORY: repository };
  place = { folder, repository, env, cli: (...args) => runCli(args, { env }) };
});

function only(type: string): string {
  return filesIn(join(place.repository, type))[0]!;
}

async function pack(type: 'data' | 'tree'): Promise<string> {
  const repository = await openRepository(openFolderStore(place.repository), password);
  return packPath(place.repository, (await packWith(repository, type)).id);
}

function codeOf({ stderr }: CliResult): unknown {
  const line = stderr.split('\n').find((text) => text.includes('"type":"error"'));
  return line === undefined ? stderr : (JSON.parse(line) as { code: unknown }).code;
}

async function expectUntouched(code: ErrorCode, ...commands: readonly (readonly string[])[]): Promise<void> {
  const before = contentOf(place.repository);
  for (const command of commands) {
    const result = await place.cli('--json', ...command);
    expect(codeOf(result), command.join(' ')).toBe(code);
    expect(result.exitCode, command.join(' ')).not.toBe(0);
  }
  expect(contentOf(place.repository)).toEqual(before);
}

async function cut(path: string): Promise<void> {
  chmodSync(path, 0o600);
  truncateSync(path, Math.floor(statSync(path).size / 2));
}

describe.each<[string, (path: string) => Promise<void>]>([
  ['a flipped bit', (path) => flip(path, 40)],
  ['a lost half', cut],
])('%s', (_, harm) => {
  test('in the config is CONFIG_DAMAGED', async () => {
    await harm(join(place.repository, 'config'));
    await expectUntouched('CONFIG_DAMAGED', ['list'], ['prune']);
  });

  test('in the only key is KEY_DAMAGED', async () => {
    await harm(only('keys'));
    await expectUntouched('KEY_DAMAGED', ['list'], ['unlock', '--all']);
  });

  test('in an index is INDEX_DAMAGED', async () => {
    await harm(only('index'));
    await expectUntouched(
      'INDEX_DAMAGED',
      ['ls', 'latest'],
      ['prune'],
      ['backup', '--dir', join(place.folder, 'files')],
    );
  });

  test('in a snapshot is SNAPSHOT_DAMAGED', async () => {
    const id = readdirSync(join(place.repository, 'snapshots'))[0]!;
    await harm(only('snapshots'));
    await expectUntouched('SNAPSHOT_DAMAGED', ['ls', id], ['prune'], ['tag', '--add', 'x', id]);
  });

  test('in the tree of a backup is TREE_DAMAGED', async () => {
    await harm(await pack('tree'));
    await expectUntouched('TREE_DAMAGED', ['ls', 'latest'], ['dump', 'latest', '/file-0']);
  });

  test('in the data of a file is PACK_DAMAGED', async () => {
    await harm(await pack('data'));
    await expectUntouched('PACK_DAMAGED', ['dump', 'latest', '/file-0']);
  });
});

test('a wrong password is PASSWORD_WRONG for every command that needs one', async () => {
  const env = { ...place.env, HOLDFAST_PASSWORD: 'another' };
  const before = contentOf(place.repository);
  const commands = [['list'], ['prune'], ['unlock', '--all'], ['repair', 'index'], ['key', 'list']];
  for (const command of commands) {
    const result = await runCli(['--json', ...command], { env });
    expect([codeOf(result), result.exitCode], command.join(' ')).toEqual(['PASSWORD_WRONG', 12]);
  }
  expect(contentOf(place.repository)).toEqual(before);
});

test('a file without any bytes is damaged, too', async () => {
  for (const [type, code] of [
    ['index', 'INDEX_DAMAGED'],
    ['snapshots', 'SNAPSHOT_DAMAGED'],
  ] as const) {
    const path = only(type);
    const bytes = readFileSync(path);
    chmodSync(path, 0o600);
    writeFileSync(path, '');
    await expectUntouched(code, ['prune']);
    writeFileSync(path, bytes);
  }
});
