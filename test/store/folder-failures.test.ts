import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { againWhenShaken } from '../../src/store/folder-errors.ts';
import { linkOnce } from '../../src/store/folder-files.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { listed, sha256Of, someFile } from '../contract/store-contract.ts';
import { mountTmpfs } from '../setup/mount.ts';
import { describeWith, testWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

async function newRepository() {
  const root = await tempDir();
  const store = openFolderStore(root);
  await store.put('config', 'config', Buffer.from('config'));
  return { root, store };
}

/** Names of all files below a folder. */
async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test.each([3, 40, 90, 160])(
  'after a writer was killed in the middle (%d ms into a pack), every listed pack is whole',
  async (ms) => {
    const { root, store } = await newRepository();
    const writer = spawn(process.execPath, [join(import.meta.dirname, 'endless-writer.ts'), root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const names: string[] = [];
    for await (const line of createInterface({ input: writer.stdout })) {
      names.push(line);
      if (names.length === 3) break;
    }
    const exited = once(writer, 'exit');
    // Somewhere in the third pack: where exactly does not matter to what must hold.
    await new Promise((resolve) => setTimeout(resolve, ms));
    writer.kill('SIGKILL');
    await exited;
    const packs = await listed(store, 'data');
    expect(packs.map((pack) => pack.name)).toEqual(expect.arrayContaining(names.slice(0, 2)));
    for (const pack of packs) expect(sha256Of(await store.get('data', pack.name))).toBe(pack.name);
  },
);

test('what a killed writer left beside the files does not keep them from being written', async () => {
  const { root, store } = await newRepository();
  const { name, bytes } = someFile(1000);
  const leftover = join(root, 'data', name.slice(0, 2), `${name}-tmp-0011223344556677`);
  await writeFile(leftover, bytes.subarray(0, 400));
  expect(await listed(store, 'data')).toEqual([]);
  await store.put('data', name, bytes);
  expect(await store.get('data', name)).toEqual(bytes);
  expect(await listed(store, 'data')).toHaveLength(1);
});

test('what killed writers left is counted and removed by age, that of restic too, and nothing else', async () => {
  const { root, store } = await newRepository();
  const { name, bytes } = someFile(1000);
  await store.put('data', name, bytes);
  const pack = join('data', name.slice(0, 2), name);
  const old = [
    `${pack}-tmp-0011223344556677`,
    `snapshots/${name}-tmp-123456789`,
    'config-tmp-00ff',
    `keys/${name}-tmp-aB1`,
  ];
  const others = [`${pack}.bak`, 'index/.nfs0000000000000001', 'locks/notes-tmp-1', `index/${name}-tmp-99`];
  for (const path of [...old, ...others]) await writeFile(join(root, path), '0123456789');
  const anHourAgo = Date.now() / 1000 - 3600;
  for (const path of [...old, ...others.slice(0, 3), pack]) await utimes(join(root, path), anHourAgo, anHourAgo);
  const before = (await filesBelow(root)).length;
  expect(await store.sweepLeftovers?.({ olderThanMs: 60_000, remove: false })).toEqual({ files: 4, bytes: 40 });
  expect(await filesBelow(root)).toHaveLength(before);
  expect(await store.sweepLeftovers?.({ olderThanMs: 60_000, remove: true })).toEqual({ files: 4, bytes: 40 });
  expect(await filesBelow(root)).toHaveLength(before - 4);
  for (const path of [...others, pack, 'config']) expect(await stat(join(root, path))).toBeDefined();
  expect(await store.sweepLeftovers?.({ olderThanMs: 60_000, remove: true })).toEqual({ files: 0, bytes: 0 });
});

describe('on a network file system', () => {
  test('a link that was made although its answer was lost is known as one', async () => {
    const folder = await tempDir();
    const [temporary, path] = [join(folder, 'temporary'), join(folder, 'final')];
    await writeFile(temporary, 'mine');
    expect(await linkOnce(temporary, path)).toBe(true);
    expect(await linkOnce(temporary, path)).toBe(true);
    const other = join(folder, 'other');
    await writeFile(other, 'mine');
    expect(await linkOnce(other, path)).toBe(false);
  });

  test('a step that a restart of the server broke off is made again from its start, and not for ever', async () => {
    const pausesMs: number[] = [];
    const clock = { nowMs: () => 0, sleep: async (pauseMs: number) => void pausesMs.push(pauseMs) };
    const failure = (code: string) => Object.assign(new Error(code), { code, syscall: 'open' });
    let left = 3;
    const step = async () => {
      left -= 1;
      if (left > 0) throw failure('ESTALE');
      return 'done';
    };
    expect(await againWhenShaken(step, clock)).toBe('done');
    expect(pausesMs).toHaveLength(2);
    await expect(againWhenShaken(() => Promise.reject(failure('ESTALE')), clock)).rejects.toThrow('ESTALE');
    const waitedMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
    expect(waitedMs).toBeLessThan(90_000);
    pausesMs.splice(0);
    await expect(againWhenShaken(() => Promise.reject(failure('ENOSPC')), clock)).rejects.toThrow('ENOSPC');
    expect(pausesMs).toEqual([]);
  });
});

test('nothing but the file is left after it was written', async () => {
  const { root, store } = await newRepository();
  const { name, bytes } = someFile(1000);
  await Promise.all([store.put('data', name, bytes), store.put('data', name, bytes), store.put('data', name, bytes)]);
  expect((await filesBelow(root)).sort()).toEqual([name, 'config'].sort());
});

describe('the folder of a new repository', () => {
  test('has all folders that restic makes, for its owner alone, and files that nobody writes to', async () => {
    const { root, store } = await newRepository();
    const { name, bytes } = someFile(10);
    await store.put('data', name, bytes);
    expect((await readdir(root)).sort()).toEqual(['config', 'data', 'index', 'keys', 'locks', 'snapshots']);
    expect(await readdir(join(root, 'data'))).toHaveLength(256);
    expect((await stat(join(root, 'data', 'ff'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'data', name.slice(0, 2), name))).mode & 0o777).toBe(0o400);
  });

  test('is shared with the group where the config is', async () => {
    const { root, store } = await newRepository();
    await chmod(join(root, 'config'), 0o440);
    const { name, bytes } = someFile(10);
    await openFolderStore(root).put('keys', name, bytes);
    await store.put('index', name, bytes);
    expect((await stat(join(root, 'keys', name))).mode & 0o777).toBe(0o440);
  });
});

test('a folder that vanished, as that of an unmounted disk does, is not made again by a pack', async () => {
  const root = join(await tempDir(), 'mounted');
  const { name, bytes } = someFile(10);
  await expect(openFolderStore(root).put('data', name, bytes)).rejects.toMatchObject({ code: 'STORE_MISSING' });
  await expect(stat(root)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a file where a folder should be is told as it is', async () => {
  const root = await tempDir();
  await writeFile(join(root, 'data'), 'not a folder');
  const { name, bytes } = someFile(10);
  await expect(openFolderStore(root).put('data', name, bytes)).rejects.toMatchObject({
    code: 'STORE_FAILED',
    context: { reason: expect.stringContaining('ENOTDIR') },
  });
});

testWith('mount', 'a full disk is told as such, leaves nothing half, and later writes succeed', async () => {
  const disk = await mountTmpfs(await tempDir(), 6_000_000);
  try {
    const store = openFolderStore(disk.path);
    await store.put('config', 'config', Buffer.from('config'));
    const [small, large] = [someFile(1_000_000), someFile(9_000_000)];
    await store.put('data', small.name, small.bytes);
    await expect(store.put('data', large.name, large.bytes)).rejects.toMatchObject({
      code: 'STORE_FULL',
      context: { name: `pack ${large.name}` },
    });
    expect((await filesBelow(disk.path)).sort()).toEqual(['config', small.name].sort());
    expect(await store.get('data', small.name)).toEqual(small.bytes);
    const filler = join(disk.path, 'filler');
    await writeFile(filler, Buffer.alloc(8_000_000)).catch(() => undefined);
    for (const type of ['keys', 'snapshots', 'index', 'locks'] as const) {
      const { name, bytes } = someFile(20_000);
      await expect(store.put(type, name, bytes)).rejects.toMatchObject({ code: 'STORE_FULL' });
      expect(await listed(store, type)).toEqual([]);
    }
    await expect(store.replaceConfig(Buffer.alloc(20_000))).rejects.toMatchObject({ code: 'STORE_FULL' });
    expect((await store.get('config', 'config')).toString()).toBe('config');
    expect((await filesBelow(disk.path)).sort()).toEqual(['config', 'filler', small.name].sort());
    await rm(filler);
    const fitting = someFile(3_000_000);
    await store.put('data', fitting.name, fitting.bytes);
    expect((await listed(store, 'data')).map((file) => file.name)).toEqual([small.name, fitting.name].sort());
  } finally {
    await disk.unmount();
  }
});

describeWith('restic', 'beside restic, a folder store', () => {
  test('sees the files that restic wrote, and leftovers of ours are nothing to restic', async () => {
    const root = join(await tempDir(), 'repository');
    const source = await tempDir();
    await writeFile(join(source, 'file'), someFile(3_000_000).bytes);
    const env = { RESTIC_REPOSITORY: root, RESTIC_PASSWORD: 'test' };
    await restic(['init'], { env });
    await restic(['backup', source], { env });
    const store = openFolderStore(root);
    for (const [type, resticType] of [
      ['data', 'packs'],
      ['index', 'index'],
      ['snapshots', 'snapshots'],
      ['keys', 'keys'],
    ] as const) {
      const files = await listed(store, type);
      expect(files.length).toBeGreaterThan(0);
      expect(files.map((file) => file.name)).toEqual(
        (await restic(['list', resticType], { env })).trim().split('\n').sort(),
      );
      for (const file of files) {
        expect(sha256Of(await store.get(type, file.name))).toBe(file.name);
        const folder = join(root, type, type === 'data' ? file.name.slice(0, 2) : '');
        await writeFile(join(folder, `${file.name}-tmp-0011223344556677`), 'half of a fi');
      }
    }
    expect(await store.get('config', 'config')).toEqual(await readFile(join(root, 'config')));
    expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    expect(JSON.parse(await restic(['snapshots', '--json'], { env }))).toHaveLength(1);
    await mkdir(join(source, 'more'));
    await restic(['backup', source], { env });
  });
});
