/** `backup --stdin` and `--stdin-from-command`, as they are used in a shell. */
import { beforeEach, expect, test } from 'vitest';
import { lastLine, newPlace, type Place } from './place.ts';
import { runProgram } from './run-cli.ts';

let place: Place;
beforeEach(async () => {
  place = await newPlace();
});

/** A line of sh in which `holdfast` is the program. */
function sh(line: string) {
  const holdfast = `"${process.execPath}" "${process.cwd()}/cmd/holdfast.ts"`;
  return runProgram('sh', ['-c', `holdfast() { ${holdfast} "$@"; }; ${line}`], { env: place.env });
}

test('a pipe becomes a backup of one file, under the name that was given', async () => {
  const { exitCode, stdout } = await sh(
    "printf 'from a pipe' | holdfast backup --stdin --stdin-filename db/shop.sql --tag nightly --json",
  );
  expect(exitCode).toBe(0);
  expect(lastLine(stdout)).toMatchObject({ type: 'summary', filesNew: 1, bytesProcessed: 11 });
  expect((await place.cli('dump', 'latest', '/db/shop.sql')).stdout).toBe('from a pipe');
  expect(lastLine((await place.cli('list', '--json')).stdout)).toMatchObject([{ tags: ['nightly'] }]);
});

test('what a command writes is backed up where it ends well, and not where it fails', async () => {
  const good = await sh('holdfast backup --stdin-from-command --stdin-filename out -- echo "several words"');
  expect(good).toMatchObject({ exitCode: 0, stderr: '' });
  expect((await place.cli('dump', 'latest', '/out')).stdout).toBe('several words\n');
  const failing = await sh("holdfast backup --stdin-from-command -- sh -c 'echo half; echo reason >&2; exit 4'");
  expect(failing).toMatchObject({ exitCode: 1, stdout: '' });
  expect(failing.stderr).toMatch(/^reason\nerror: The command sh failed: it ended with exit code 4\./);
  const missing = await sh('holdfast backup --stdin-from-command --json -- no-such-program');
  expect(JSON.parse(missing.stderr)).toMatchObject({ code: 'COMMAND_FAILED' });
  expect(lastLine((await place.cli('list', '--json')).stdout)).toHaveLength(1);
});

test('options that a stream has no use for are refused, and so is nothing to run', async () => {
  const wrong = await sh('holdfast backup --stdin --exclude x </dev/null');
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--exclude is for --dir') });
  const empty = await sh('holdfast backup --stdin-from-command');
  expect(empty).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('takes a command after --') });
  const both = await sh('holdfast backup --stdin --dir /tmp </dev/null');
  expect(both).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('Give only one of') });
});
