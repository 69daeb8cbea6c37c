import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withCredentialFiles } from '../../src/cli/credential-files.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-secret-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a mounted Secret is read as variables, byte for byte, and comes before those that are set', async () => {
  // As the kubelet mounts one.
  await mkdir(join(folder, '..data-1'));
  await symlink('..data-1', join(folder, '..data'));
  for (const [name, text] of Object.entries({ HOLDFAST_PASSWORD: 'pass\n', AWS_REGION: 'eu' })) {
    await writeFile(join(folder, '..data-1', name), text);
    await symlink(`..data/${name}`, join(folder, name));
  }
  const env = { HOLDFAST_CREDENTIALS_DIR: folder, AWS_REGION: 'us', HOME: '/tmp' };
  expect(await withCredentialFiles(env)).toEqual({ ...env, AWS_REGION: 'eu', HOLDFAST_PASSWORD: 'pass\n' });
});

test('without a folder nothing changes, and one that cannot be read is named', async () => {
  expect(await withCredentialFiles({ A: 'b' })).toEqual({ A: 'b' });
  await expect(withCredentialFiles({ HOLDFAST_CREDENTIALS_DIR: '/nowhere' })).rejects.toMatchObject({
    code: 'SOURCE_UNREADABLE',
    context: { path: '/nowhere' },
  });
});
