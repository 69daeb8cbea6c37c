import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCredentials, readPassword, readSettings, repositoryUrl, wantsColour } from '../../src/cli/config.ts';
import { tempDir } from '../setup/temp-dir.ts';

test('the repository is taken from the flag, then from HOLDFAST_REPOSITORY, then from RESTIC_REPOSITORY', () => {
  const env = { HOLDFAST_REPOSITORY: 'second', RESTIC_REPOSITORY: 'third' };
  expect(repositoryUrl(readSettings({ repo: 'first' }, env))).toBe('first');
  expect(repositoryUrl(readSettings({}, env))).toBe('second');
  expect(repositoryUrl(readSettings({}, { ...env, HOLDFAST_REPOSITORY: '' }))).toBe('third');
  expect(() => repositoryUrl(readSettings({}, {}))).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test('the password comes from the flag, then from files, then from variables, of Holdfast before those of restic', async () => {
  const folder = await tempDir();
  const file = (name: string): string => {
    writeFileSync(join(folder, name), `${name}\n`);
    return join(folder, name);
  };
  const env: Record<string, string> = {
    HOLDFAST_PASSWORD_FILE: file('holdfast-file'),
    RESTIC_PASSWORD_FILE: file('restic-file'),
    HOLDFAST_PASSWORD: 'holdfast-variable',
    RESTIC_PASSWORD: 'restic-variable',
  };
  expect(await readPassword(readSettings({ passwordFile: file('flag') }, env))).toBe('flag');
  for (const name of Object.keys(env)) {
    const expected = name.toLowerCase().replace('_password_file', '-file').replace('_password', '-variable');
    expect(await readPassword(readSettings({}, env))).toBe(expected);
    delete env[name];
  }
  await expect(readPassword(readSettings({}, env))).rejects.toThrow(
    expect.objectContaining({ code: 'PASSWORD_MISSING' }),
  );
});

test('white space around the password in a file is not part of it, as in restic', async () => {
  const path = join(await tempDir(), 'password');
  writeFileSync(path, ' ge heim\t\r\n\n');
  expect(await readPassword(readSettings({ passwordFile: path }, {}))).toBe('ge heim');
});

test('a password file that is missing or empty is an error, never an empty password', async () => {
  const folder = await tempDir();
  writeFileSync(join(folder, 'empty'), '\n');
  const settings = (name: string) => readSettings({ passwordFile: join(folder, name) }, { HOLDFAST_PASSWORD: 'other' });
  await expect(readPassword(settings('empty'))).rejects.toThrow(expect.objectContaining({ code: 'PASSWORD_MISSING' }));
  await expect(readPassword(settings('none'))).rejects.toThrow(expect.objectContaining({ code: 'SOURCE_UNREADABLE' }));
});

test('credentials for a mover are the password and what the environment says of S3, and nothing else', async () => {
  const env = {
    HOLDFAST_PASSWORD: 'p',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 's',
    AWS_REGION: '',
    HOME: '/root',
  };
  expect(await readCredentials(readSettings({}, env))).toEqual({
    HOLDFAST_PASSWORD: 'p',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 's',
  });
});

test('flags for stores are variables from there on, beside those that are there', async () => {
  const certificates = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
  const file = join(await tempDir(), 'ca.pem');
  writeFileSync(file, certificates);
  const env = { HOLDFAST_PASSWORD: 'p', HOLDFAST_OPTIONS: 's3.region=a', RESTIC_CACERT: '/not/used' };
  const settings = readSettings({ option: ['s3.region=b', 's3.storage-class=STANDARD_IA'], cacert: file }, env);
  expect(settings.env).toEqual({
    ...env,
    HOLDFAST_OPTIONS: 's3.region=a s3.region=b s3.storage-class=STANDARD_IA',
    HOLDFAST_CACERT: file,
  });
  expect(await readCredentials(settings)).toEqual({
    HOLDFAST_PASSWORD: 'p',
    HOLDFAST_OPTIONS: 's3.region=a s3.region=b s3.storage-class=STANDARD_IA',
    HOLDFAST_CACERT: certificates,
  });
});

test('a setting without a value, and certificates that fit into no Secret, are refused; those of a whole system fit', async () => {
  expect(() => readSettings({ option: ['s3.region'] }, {})).toThrow(/NAME=VALUE/);
  const withBytes = (bytes: number) => ({
    HOLDFAST_PASSWORD: 'p',
    HOLDFAST_CACERT: `-----BEGIN CERTIFICATE-----${'x'.repeat(bytes)}`,
  });
  await expect(readCredentials(readSettings({}, withBytes(1_100_000)))).rejects.toMatchObject({ code: 'USAGE' });
  expect(await readCredentials(readSettings({}, withBytes(220_000)))).toEqual(withBytes(220_000));
});

test('colours are for terminals whose user has not asked for none', () => {
  expect(wantsColour(true, {})).toBe(true);
  expect(wantsColour(false, {})).toBe(false);
  expect(wantsColour(true, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColour(true, { TERM: 'dumb' })).toBe(false);
});
