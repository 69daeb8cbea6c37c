/** What the program says of itself. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodeMeanings, longName } from '../../src/cli/command.ts';
import { commandList } from '../../src/cli/command-list.ts';
import { projectFolder, runCli, runProgram } from './run-cli.ts';

test('help names every command with its one sentence, but those for pods', async () => {
  const { stdout, stderr, exitCode } = await runCli(['--help']);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  for (const { name, summary, hidden } of commandList) {
    const [word = ''] = name.split(' ');
    expect(new RegExp(`^ +${word} `, 'm').test(stdout), name).toBe(hidden !== true);
    expect(summary).toMatch(/^[A-Z].*\.$/);
  }
});

test('no command at all is a call for help, and "help COMMAND" is "COMMAND --help"', async () => {
  const [plain, asked] = await Promise.all([runCli([]), runCli(['--help'])]);
  expect(plain).toEqual(asked);
  const [word, flag] = await Promise.all([runCli(['help', 'list']), runCli(['list', '--help'])]);
  expect(word).toEqual(flag);
  expect(word.stdout).toMatch(/^Usage: holdfast list /);
});

test('the version is that of package.json', async () => {
  const { version } = JSON.parse(readFileSync(resolve(projectFolder, 'package.json'), 'utf8'));
  expect(await runCli(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

describe.each(commandList.map((entry) => [entry.name, entry] as const))('%s', (name, entry) => {
  test('has its options under the names that the parser gives them', async () => {
    const command = await entry.load();
    for (const [key, { flags }] of Object.entries(command.options)) {
      const words = longName(flags).slice(2).split('-');
      const camelCase = words.map((word, at) => (at === 0 ? word : word[0]!.toUpperCase() + word.slice(1))).join('');
      expect(key).toBe(camelCase);
    }
  });

  test('explains options, examples and exit codes', async () => {
    const command = await entry.load();
    const { stdout, exitCode } = await runCli([...name.split(' '), '--help']);
    expect(exitCode).toBe(0);
    for (const { flags } of Object.values(command.options)) expect(stdout).toContain(`  ${flags} `);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const [example] of command.examples) expect(stdout).toContain(example);
    for (const code of command.exitCodes)
      expect(stdout).toMatch(new RegExp(`^  ${code} +${exitCodeMeanings[code]}`, 'm'));
  });
});

test('an older Node is told apart, and how to get the right one is said', async () => {
  const pretend = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
  const result = await runProgram(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(pretend)}`,
    resolve(projectFolder, 'cmd/holdfast.ts'),
    'list',
  ]);
  expect(result).toMatchObject({ exitCode: 1, stdout: '' });
  expect(result.stderr).toMatch(/^error: holdfast needs Node 26 or newer.*\nhint: .*npm ci.*npx holdfast/);
});

test('the entry point holds nothing that an older Node cannot read', () => {
  const source = readFileSync(resolve(projectFolder, 'cmd/holdfast.ts'), 'utf8');
  // As Node 20 sees it: CommonJS, because of cmd/package.json, and no types taken out.
  expect(() => new Function('require', source.replace(/^#!.*/, '').replaceAll('import(', 'require('))).not.toThrow();
});
