import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addKey, changePassword, removeKey } from '../../src/repository/key-management.ts';
import { listKeys } from '../../src/repository/keys.ts';
import { initRepository, openRepository } from '../../src/repository/repository.ts';
import { listBackups } from '../../src/repository/snapshots.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { cheapKdf, makeRepository, makeSource, password } from './restic-repository.ts';

const options = { kdf: cheapKdf, username: 'alice', hostname: 'laptop' };

async function made() {
  return initRepository(openMemoryStore(), password, { kdf: cheapKdf });
}

test('a second key opens the same master key, and says whose it is', async () => {
  const first = await made();
  const id = await addKey(first, 'second', options);
  const second = await openRepository(first.store, 'second');
  expect(second).toMatchObject({ keyId: id, id: first.id });
  expect(second.key).toEqual(first.key);
  expect(await listKeys(first.store)).toContainEqual(
    expect.objectContaining({ id, username: 'alice', hostname: 'laptop' }),
  );
});

test('no key goes, and none is replaced, where the repository is marked append-only', async () => {
  const first = await made();
  const id = await addKey(first, 'second', options);
  const marked = { ...first, config: { ...first.config, append_only: true } };
  const refused = { code: 'REPOSITORY_APPEND_ONLY' };
  await expect(removeKey(marked, id)).rejects.toMatchObject(refused);
  await expect(changePassword(marked, 'third', options)).rejects.toMatchObject(refused);
  expect((await listKeys(first.store)).length).toBe(2);
});

test('a key goes by the beginning of its id, but never the one in use, and none by a name that several have', async () => {
  const first = await made();
  const id = await addKey(first, 'second', options);
  await expect(removeKey(first, first.keyId)).rejects.toMatchObject({ code: 'KEY_NEEDED' });
  for (const [name, count] of [
    ['', 0],
    ['x', 0],
  ] as const) {
    await expect(removeKey(first, name)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND', context: { name, count } });
  }
  // Until two keys begin with the same digit.
  const ids = [first.keyId, id];
  while (new Set(ids.map((one) => one[0])).size === ids.length) ids.push(await addKey(first, 'more', options));
  const shared = ids.find((one) => ids.filter((other) => other[0] === one[0]).length > 1)!;
  await expect(removeKey(first, shared[0]!)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  expect(await removeKey(first, id.slice(0, 12))).toBe(id);
  await expect(openRepository(first.store, 'second')).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
  expect((await openRepository(first.store, password)).id).toBe(first.id);
});

test('a changed password leaves the other keys alone', async () => {
  const first = await made();
  await addKey(first, 'second', options);
  const id = await changePassword(first, 'changed', options);
  expect((await openRepository(first.store, 'changed')).keyId).toBe(id);
  expect((await openRepository(first.store, 'second')).id).toBe(first.id);
  await expect(openRepository(first.store, password)).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
});

describeWith('restic', 'restic', () => {
  test('opens the repository with keys of ours, and we with its own', async () => {
    const { repository, env } = await makeRepository();
    await restic(['backup', '.'], { env, cwd: await makeSource() });
    await addKey(repository, 'ours', options);
    const listed: { userName: string }[] = JSON.parse(
      await restic(['key', 'list', '--json'], { env: { ...env, RESTIC_PASSWORD: 'ours' } }),
    );
    expect(listed.map(({ userName }) => userName)).toContain('alice');
    const file = join(await tempDir(), 'password');
    await writeFile(file, "restic's\n");
    await restic(['key', 'passwd', '--new-password-file', file], { env: { ...env, RESTIC_PASSWORD: 'ours' } });
    const opened = await openRepository(repository.store, "restic's");
    // restic clears bits of macR that Poly1305 does not use.
    const { encrypt, macK } = repository.key;
    expect(opened.key).toMatchObject({ encrypt, macK });
    expect((await listBackups(opened)).map(({ id }) => id)).toEqual(
      (await listBackups(repository)).map(({ id }) => id),
    );
  });
});
