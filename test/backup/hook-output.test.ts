/** What commands of hooks wrote, as it is shown. */
import { expect, test } from 'vitest';
import { lastLines } from '../../src/backup/hook-output.ts';

test('the end of an output is shown, without empty lines', () => {
  const output = Array.from({ length: 9 }, (_, at) => `line ${at}\n\n`).join('');
  expect(lastLines(output, ['x'])).toBe('line 4 / line 5 / line 6 / line 7 / line 8');
  expect(lastLines('', ['x'])).toBe('');
});

test.each([
  ['an argument', ['mysql', '--password=hunter22'], 'no hunter22'],
  ['the next argument', ['tool', '--token', 'hunter22'], 'no hunter22'],
  ["mysql's way", ['mysql', '-phunter22'], 'no hunter22'],
  ['a variable in a script', ['sh', '-c', "PGPASSWORD='hunter22' psql"], 'no hunter22'],
  ['a value with a space', ['tool', '--password=two hunter22'], 'no two hunter22'],
  ['an address', ['tool'], 'no postgres://me:hunter22@db/shop'],
])('a secret that is given as %s is not shown', (_, command, said) => {
  const shown = lastLines(said, command);
  expect(shown).not.toContain('hunter22');
  expect(shown).toContain('(redacted)');
});
