import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { currentUser } from '../../src/base/user.ts';
import { testWith } from '../setup/needs.ts';

const file = join(import.meta.dirname, '../../src/base/user.ts');

test('the user has a name and a number', () => {
  expect(currentUser()).toMatchObject({ uid: process.getuid?.() });
  expect(currentUser().username).not.toBe('');
});

testWith('root', 'a user without an entry in the password file is told by its number', () => {
  const script = `const { currentUser } = await import(${JSON.stringify(file)}); console.log(JSON.stringify(currentUser()))`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { uid: 65_432, gid: 65_433 });
  expect(JSON.parse(String(output))).toEqual({ username: '65432', uid: 65_432, gid: 65_433 });
});
