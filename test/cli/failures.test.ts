/** What the command line says when it is asked for the wrong thing. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { reportFailure } from '../../src/cli/failure.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { runCli } from './run-cli.ts';

const password = { HOLDFAST_PASSWORD: 'geheim' };

test('a place without a repository ends with 10, as text and as one line of JSON', async () => {
  const repository = join(await tempDir(), 'nothing');
  const text = await runCli(['list', '--repo', repository], { env: password });
  expect(text).toEqual({
    exitCode: 10,
    stdout: '',
    stderr:
      `error: There is no repository at ${repository}.\n` +
      'hint: Check the address, or create one there with `holdfast init`.\n',
  });
  const json = await runCli(['list', '--repo', repository, '--json'], { env: password });
  expect(json).toMatchObject({ exitCode: 10, stdout: '' });
  expect(
    json.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([{ type: 'error', code: 'REPOSITORY_NOT_FOUND', exitCode: 10, context: { url: repository } }]);
});

test('a wrong password ends with 12, and none does, too', async () => {
  const env = { HOLDFAST_REPOSITORY: join(await tempDir(), 'repository') };
  await runCli(['init'], { env: { ...env, ...password } });
  const wrong = await runCli(['list'], { env: { ...env, HOLDFAST_PASSWORD: 'falsch' } });
  expect(wrong).toMatchObject({ exitCode: 12, stdout: '' });
  expect(wrong.stderr).not.toContain('falsch');
  expect(await runCli(['list'], { env })).toMatchObject({ exitCode: 12 });
});

test('a repository is not made twice', async () => {
  const env = { ...password, HOLDFAST_REPOSITORY: join(await tempDir(), 'repository') };
  await runCli(['init'], { env });
  const again = await runCli(['init', '--json'], { env });
  expect(again.exitCode).toBe(1);
  expect(JSON.parse(again.stderr)).toMatchObject({ code: 'REPOSITORY_EXISTS' });
});

test('a misspelt command or option is answered with the one that was meant', async () => {
  const command = await runCli(['bakcup']);
  expect(command).toMatchObject({ exitCode: 1, stdout: '' });
  expect(command.stderr).toMatch(/^error: Unknown command 'bakcup' \(did you mean backup\?\)\.\nhint: /);
  const option = await runCli(['list', '--jsn']);
  expect(option.stderr).toMatch(/^error: Unknown option '--jsn' \(did you mean --json\?\)\.\n/);
});

test.each([
  [['list'], 'No repository was named'],
  [['list', '--repo', 'ftp://host/x'], 'ftp://host/x'],
  [['restore'], 'Name a backup, or choose claims'],
  [['restore', 'latest', '--repo', 'r', '--dir', 'd', '--zone', 'b'], '--zone is for claims'],
  [['backup', '--repo', 'r'], 'Nothing to back up'],
  [['backup', '--repo', 'r', '--dir', ''], '--dir was given an empty value'],
  [['backup', '--repo', 'r', '--dir', 'no-such-folder'], 'no-such-folder: ENOENT'],
  [['list', 'what', '--repo', 'r'], 'Too many arguments'],
  [['init', '--repo', 'r', '--chunker', 'fixed'], '--chunker fixed: expected gear or rabin'],
])('%j is refused with a reason and nothing is made', async (args, reason) => {
  const cwd = await tempDir();
  const result = await runCli(args, { cwd, env: password });
  expect(result).toMatchObject({ exitCode: expect.any(Number), stdout: '' });
  expect(result.exitCode).not.toBe(0);
  expect(result.stderr).toMatch(/^error: .*\nhint: .*\n$/);
  expect(result.stderr).toContain(reason);
});

test('a bug shows where it is, and asks for a report', () => {
  let text = '';
  const stderr = { write: (part: string) => (text += part) };
  expect(reportFailure(new TypeError('x is not y'), { stderr, json: false, colour: false, verbose: false })).toBe(1);
  expect(text).toMatch(/^error: This should not happen.*\nTypeError: x is not y\n +at .*/);
  text = '';
  reportFailure('oops', { stderr, json: true, colour: false, verbose: false });
  expect(JSON.parse(text)).toMatchObject({ type: 'error', code: 'BUG', message: 'oops', exitCode: 1 });
});

test('with --verbose a failure tells its code and what caused it', () => {
  let text = '';
  const stderr = { write: (part: string) => (text += part) };
  const error = new HoldfastError(
    'STORE_UNREACHABLE',
    { url: 's3:x', reason: 'refused' },
    { cause: new Error('ECONN') },
  );
  reportFailure(error, { stderr, json: false, colour: true, verbose: true });
  expect(text).toContain('\x1b[31merror:\x1b[39m Cannot reach s3:x: refused.');
  expect(text).toContain('code: STORE_UNREACHABLE\ncause: Error: ECONN');
});
