import { createHash } from 'node:crypto';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seal } from '../../src/repository/crypto.ts';
import { encodeSnapshot } from '../../src/repository/format/snapshot.ts';
import { decodeTree, encodeTree } from '../../src/repository/format/tree.ts';
import { createKey, listKeys } from '../../src/repository/keys.ts';
import { initRepository, loadFile, openRepository, saveFile } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { cheapKdf, makeRepository, makeResticRepository, makeSource, password } from './restic-repository.ts';

const init = { kdf: cheapKdf };

test('a new repository opens with its password, and with no other', async () => {
  const store = openMemoryStore();
  const made = await initRepository(store, password, init);
  const opened = await openRepository(store, password);
  expect(opened.config).toEqual(made.config);
  expect(opened.key).toEqual(made.key);
  expect(opened.config.holdfast_chunker).toBe('gear-v1');
  await expect(openRepository(store, 'wrong')).rejects.toMatchObject({ code: 'PASSWORD_WRONG', exitCode: 12 });
});

test('a repository is never made over another, not even over the rest of one', async () => {
  const store = openMemoryStore();
  const made = await initRepository(store, password, init);
  const exists = { code: 'REPOSITORY_EXISTS' };
  await expect(initRepository(store, password, init)).rejects.toMatchObject(exists);
  await store.remove('config', 'config');
  await expect(initRepository(store, password, init)).rejects.toMatchObject(exists);
  await store.remove('keys', made.keyId);
  await saveFile(made, 'snapshots', Buffer.from('{}'));
  await expect(initRepository(store, password, init)).rejects.toMatchObject(exists);
});

test('an empty place is no repository', async () => {
  await expect(openRepository(openMemoryStore(), password)).rejects.toMatchObject({ code: 'REPOSITORY_NOT_FOUND' });
});

test('every key opens the same repository, and a damaged key does not stand in the way of a sound one', async () => {
  const store = openMemoryStore();
  const made = await initRepository(store, password, init);
  const second = await createKey(store, 'zweites', made.key, init);
  expect((await openRepository(store, 'zweites')).keyId).toBe(second);
  expect(await listKeys(store)).toHaveLength(2);
  const bytes = await store.get('keys', made.keyId);
  await store.remove('keys', made.keyId);
  await store.put('keys', made.keyId, Buffer.from(bytes.toString().replace('scrypt', 'bcrypt')));
  expect((await openRepository(store, 'zweites')).id).toBe(made.id);
  await expect(openRepository(store, password)).rejects.toMatchObject({ code: 'KEY_DAMAGED' });
});

test('a key that asks for absurd memory is refused', async () => {
  const store = openMemoryStore();
  const made = await initRepository(store, password, init);
  const text = (await store.get('keys', made.keyId)).toString().replace('"N":128', '"N":1073741824');
  await store.remove('keys', made.keyId);
  const id = createHash('sha256').update(text).digest('hex');
  await store.put('keys', id, Buffer.from(text));
  await expect(openRepository(store, password)).rejects.toMatchObject({ code: 'KEY_DAMAGED' });
});

test.each([
  ['version', { version: 3 }, 'REPOSITORY_UNSUPPORTED'],
  ['chunker', { holdfast_chunker: 'gear-v2' }, 'REPOSITORY_UNSUPPORTED'],
  ['reducible polynomial', { chunker_polynomial: '3da3358b4dc172' }, 'CONFIG_DAMAGED'],
  ['short id', { id: 'abc' }, 'CONFIG_DAMAGED'],
])('a config with an unknown or wrong %s is refused', async (_, change, code) => {
  const store = openMemoryStore();
  const made = await initRepository(store, password, init);
  await store.remove('config', 'config');
  await store.put('config', 'config', seal(made.key, Buffer.from(JSON.stringify({ ...made.config, ...change }))));
  await expect(openRepository(store, password)).rejects.toMatchObject({ code });
});

test('documents come back as they were saved, and changed ones are damaged', async () => {
  const { repository, folder } = await makeRepository();
  const json = Buffer.from(`{"x":"${'y'.repeat(10_000)}"}`);
  const id = await saveFile(repository, 'index', json);
  expect(await loadFile(repository, 'index', id)).toEqual(json);
  const path = join(folder, 'index', id);
  const bytes = await readFile(path);
  expect(bytes.length).toBeLessThan(200);
  bytes[30]! ^= 1;
  await writeFile(path, bytes);
  await expect(loadFile(repository, 'index', id)).rejects.toMatchObject({ code: 'INDEX_DAMAGED' });
});

describeWith('restic', 'together with restic', () => {
  test('restic opens a repository that we made, backs up into it and finds no fault', async () => {
    const { repository, env } = await makeRepository();
    const config = JSON.parse(await restic(['cat', 'config'], { env }));
    expect(config).toMatchObject({
      version: 2,
      id: repository.id,
      chunker_polynomial: repository.config.chunker_polynomial,
    });
    const source = await makeSource();
    await restic(['backup', source, '--tag', 'x<y>', '--host', 'h&m'], { env });
    expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    const [snapshot] = await listSnapshots(repository);
    expect(snapshot).toMatchObject({ hostname: 'h&m', tags: ['x<y>'], paths: [source] });
  });

  test.each([1, 2] as const)(
    'a repository of version %i that restic made opens, and what we save restic reads',
    async (version) => {
      const { repository, env } = await makeResticRepository(version);
      expect(repository.version).toBe(version);
      expect(repository.config.holdfast_chunker).toBeUndefined();
      await restic(['backup', await makeSource()], { env });
      const { id: _, ...snapshot } = (await listSnapshots(repository))[0]!;
      const copy = await saveFile(repository, 'snapshots', encodeSnapshot({ ...snapshot, tags: ['copy'] }));
      const listed: { id: string; tags?: string[] }[] = JSON.parse(await restic(['snapshots', '--json'], { env }));
      expect(listed.find(({ id }) => id === copy)?.tags).toEqual(['copy']);
      const marked = (await loadFile(repository, 'snapshots', copy))[0];
      expect(marked).toBe(0x7b);
    },
  );

  test('a key that we add opens the repository for restic too', async () => {
    const { repository, env } = await makeResticRepository();
    await createKey(repository.store, 'zweites', repository.key, init);
    const other = await resticResult(['cat', 'config'], { env: { ...env, RESTIC_PASSWORD: 'zweites' } });
    expect(other.exitCode).toBe(0);
  });

  test('trees that restic wrote are written by us in the same bytes', async () => {
    const { repository, env } = await makeRepository();
    const source = await makeSource();
    await symlink('a<b>\u0001', join(source, 'link'));
    for (const name of ['a<b>&c', 'quote"back\\slash', 'tab\tnl\n', 'nbsp\u00a0x', '\u2028😀', '$x\u0001']) {
      await writeFile(join(source, name), name);
    }
    await writeFile(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0x62, 0xff, 0xfe])]), 'x');
    await restic(['backup', '.'], { env, cwd: source });
    const [snapshot] = await listSnapshots(repository);
    const text = await restic(['cat', 'blob', snapshot!.tree], { env });
    const nodes = decodeTree(Buffer.from(text));
    expect(nodes).toHaveLength((await readdir(source)).length);
    expect(encodeTree(nodes).toString()).toBe(text);
  });

  test('restic refuses what we refuse: no repository, wrong password', async () => {
    const { folder, env } = await makeRepository();
    expect((await resticResult(['cat', 'config'], { env: { ...env, RESTIC_PASSWORD: 'wrong' } })).exitCode).not.toBe(0);
    await expect(openRepository(openFolderStore(folder), 'wrong')).rejects.toMatchObject({ code: 'PASSWORD_WRONG' });
  });
});
