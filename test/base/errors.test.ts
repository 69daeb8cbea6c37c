import { readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { catalog, type ErrorEntry } from '../../src/base/error-catalog.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../../src/base/errors.ts';
import { errorsPage, readErrorsPage } from './errors-page.ts';

const entries: [string, ErrorEntry][] = Object.entries(catalog);
const root = resolve(import.meta.dirname, '../..');

test('an error says what happened and what to do, with the facts of the case', () => {
  const error = new HoldfastError('BACKUP_AMBIGUOUS', { name: 'a1', count: 2, matches: 'a1b2c3d4, a1ffffff' });
  expect(error.message).toBe('"a1" matches 2 backups: a1b2c3d4, a1ffffff.');
  expect(error.hint).toBe('Give more characters of the id.');
  expect(error.exitCode).toBe(1);
  expect(error.retryable).toBe(false);
});

test('an error in JSON carries code, message, hint, exit code and context', () => {
  const error = new HoldfastError('REPOSITORY_NOT_FOUND', { url: '/srv/backups' }, { cause: new Error('secret path') });
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    type: 'error',
    code: 'REPOSITORY_NOT_FOUND',
    message: 'There is no repository at /srv/backups.',
    hint: 'Check the address, or create one there with `holdfast init`.',
    exitCode: 10,
    retryable: false,
    context: { url: '/srv/backups' },
  });
});

test('an error is told apart from others by its code', () => {
  const error = new HoldfastError('PASSWORD_MISSING');
  expect(isHoldfastError(error)).toBe(true);
  expect(isHoldfastError(error, 'PASSWORD_MISSING')).toBe(true);
  expect(isHoldfastError(error, 'PASSWORD_WRONG')).toBe(false);
  expect(isHoldfastError(new Error('PASSWORD_MISSING'))).toBe(false);
  expect(messageOf('text')).toBe('text');
});

test('exit codes mean what they mean in restic', () => {
  const byCode = Object.fromEntries(entries.map(([code, { exitCode = 1 }]) => [code, exitCode]));
  expect(byCode).toMatchObject({
    BACKUP_INCOMPLETE: 3,
    REPOSITORY_NOT_FOUND: 10,
    REPOSITORY_LOCKED: 11,
    PASSWORD_WRONG: 12,
    INTERRUPTED: 130,
  });
  expect([...new Set(Object.values(byCode))].sort((a, b) => a - b)).toEqual([1, 3, 10, 11, 12, 130]);
});

test.each(entries)('%s has a whole sentence as its message and a hint that ends', (_, { message, hint }) => {
  expect(message).toMatch(/^[A-Z{"].*\.$/);
  expect(hint).toMatch(/[.}]$/);
});

test('docs/errors.md is made from the catalogue (npm run docs:errors)', () => {
  expect(readErrorsPage()).toBe(errorsPage());
});

test('every code is thrown somewhere', async () => {
  const source = await readSource();
  const unused = entries.map(([code]) => code).filter((code) => !source.includes(`'${code}'`));
  expect(unused).toEqual([]);
});

async function readSource(): Promise<string> {
  const texts: string[] = [];
  for await (const path of glob('src/**/*.ts', { cwd: root })) {
    if (!path.endsWith('error-catalog.ts')) texts.push(readFileSync(join(root, path), 'utf8'));
  }
  return texts.join('\n');
}
