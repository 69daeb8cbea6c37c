/** From version 1 of the format to version 2, and repositories that are cut like others. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeConfig, encodeConfig } from '../../src/repository/format/config.ts';
import { initRepository, openRepository } from '../../src/repository/repository.ts';
import { upgradeRepository } from '../../src/repository/upgrade.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import type { Store } from '../../src/store/store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { cheapKdf, makeResticRepository, password } from './restic-repository.ts';

const noCopy = { saveCopy: async (): Promise<void> => undefined };

function oldRepository(store: Store = openMemoryStore()) {
  return initRepository(store, password, { kdf: cheapKdf, version: 1 });
}

test('only the version changes, and what the config was is kept before', async () => {
  const repository = await oldRepository();
  const before = await repository.store.get('config', 'config');
  const copies: Buffer[] = [];
  const upgraded = await upgradeRepository(repository, {
    saveCopy: async (config) => {
      copies.push(config);
      expect(await repository.store.get('config', 'config')).toEqual(before);
    },
  });
  expect(copies).toEqual([before]);
  expect(upgraded).toMatchObject({ version: 2, id: repository.id });
  expect((await openRepository(repository.store, password)).config).toEqual({ ...repository.config, version: 2 });
});

test('a repository of version 2 is left as it is', async () => {
  const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  const before = await repository.store.get('config', 'config');
  const saveCopy = () => expect.fail('kept a copy of what does not change');
  expect((await upgradeRepository(repository, { saveCopy })).version).toBe(2);
  expect(await repository.store.get('config', 'config')).toEqual(before);
});

test('one that somebody else has upgraded meanwhile is not upgraded again', async () => {
  const repository = await oldRepository();
  await upgradeRepository(await openRepository(repository.store, password), noCopy);
  const before = await repository.store.get('config', 'config');
  expect((await upgradeRepository(repository, noCopy)).version).toBe(2);
  expect(await repository.store.get('config', 'config')).toEqual(before);
});

test('nothing changes where the copy cannot be kept or the lock is lost', async () => {
  const repository = await oldRepository();
  const fail = async (): Promise<never> => Promise.reject(new Error('no room'));
  await expect(upgradeRepository(repository, { saveCopy: fail })).rejects.toThrow('no room');
  await expect(upgradeRepository(repository, { ...noCopy, confirmLock: fail })).rejects.toThrow('no room');
  expect((await openRepository(repository.store, password)).version).toBe(1);
});

test('a store that does not keep the new config gets the old one back', async () => {
  const memory = openMemoryStore();
  const repository = await oldRepository(memory);
  const before = await memory.get('config', 'config');
  let replaced = 0;
  const forgetful: Store = {
    ...memory,
    replaceConfig: (bytes) => memory.replaceConfig(++replaced === 1 ? bytes.subarray(0, 20) : bytes),
  };
  const upgrade = upgradeRepository({ ...repository, store: forgetful }, noCopy);
  await expect(upgrade).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(await memory.get('config', 'config')).toEqual(before);
});

test('fields of other programs are still there after an upgrade', () => {
  const text = '{"version":1,"id":"ID","chunker_polynomial":"3da3358b4dc173","append_only":true,"is_hot":false}';
  const config = decodeConfig(Buffer.from(text.replace('ID', 'a'.repeat(64))), 'here');
  const next = JSON.parse(encodeConfig({ ...config, version: 2 }).toString());
  expect(next).toEqual({ ...JSON.parse(text), id: 'a'.repeat(64), version: 2 });
});

test('a repository that is cut like another has its polynomial and chunker, and nothing else of it', async () => {
  for (const chunker of ['gear', 'rabin'] as const) {
    const first = await initRepository(openMemoryStore(), password, { kdf: cheapKdf, chunker });
    const second = await initRepository(openMemoryStore(), 'other', { kdf: cheapKdf, cutLike: first.config });
    expect(second.config).toEqual({ ...first.config, id: second.id });
    expect(second.id).not.toBe(first.id);
    expect(second.key.encrypt).not.toEqual(first.key.encrypt);
  }
});

describeWith('restic', 'beside restic', () => {
  test('a repository that restic made is upgraded, and restic goes on with it, compressing what is new', async () => {
    const { repository, env } = await makeResticRepository(1);
    const source = await tempDir();
    writeFileSync(join(source, 'text'), 'before the upgrade '.repeat(5000));
    await restic(['backup', source], { env });
    const upgraded = await upgradeRepository(repository, noCopy);
    expect(JSON.parse(await restic(['cat', 'config'], { env }))).toMatchObject({ version: 2, id: upgraded.id });
    writeFileSync(join(source, 'more'), 'after the upgrade '.repeat(5000));
    await restic(['backup', source], { env });
    await restic(['check', '--read-data'], { env });
    const index = (await restic(['list', 'index'], { env })).trim().split('\n');
    const texts = await Promise.all(index.map((id) => restic(['cat', 'index', id], { env })));
    expect(texts.filter((text) => text.includes('uncompressed_length'))).toHaveLength(1);
  });

  test('restic upgrades a repository of version 1 that Holdfast made', async () => {
    const { folder, env } = await makeOldFolder();
    await restic(['migrate', 'upgrade_repo_v2'], { env });
    expect(JSON.parse(await restic(['cat', 'config'], { env })).version).toBe(2);
    await restic(['check'], { env });

    expect((await openRepository(openFolderStore(folder), password)).version).toBe(2);
  });
});

async function makeOldFolder() {
  const folder = join(await tempDir(), 'repository');
  await oldRepository(openFolderStore(folder));
  return { folder, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password } };
}
