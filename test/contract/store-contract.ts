/** What every store and every wrapper of one must do: the promises of src/store/store.ts. */
import { createHash, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { mapLimited } from '../../src/base/concurrency.ts';
import type { FileType, Store, StoredFile } from '../../src/store/store.ts';

export interface StoreContract {
  readonly name: string;
  /** Makes a store on a place that does not exist yet, as a folder or a bucket. */
  open(): Promise<StoreUnderTest>;
  /** False for a store that is a place in itself. */
  readonly needsPlace: boolean;
}

export interface StoreUnderTest {
  readonly store: Store;
  /** Another handle on the same place. */
  again(): Promise<Store>;
  /** Puts something at a path below the root, behind the back of the store. Only where a store needs a place. */
  addStray(path: string): Promise<void>;
}

export function storeContract({ name, open, needsPlace }: StoreContract): void {
  describe(`${name} as a store`, () => {
    let under: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      under = await open();
      store = under.store;
      return () => store.close();
    });
    describe('before there is anything', () => {
      emptyStore(() => store);
      if (needsPlace) missingPlace(() => store);
    });
    describe('with a repository', () => {
      beforeEach(() => store.put('config', 'config', Buffer.from('the config')));
      reading(
        () => store,
        () => under.again(),
      );
      writing(
        () => store,
        () => under.again(),
      );
      listing(() => store);
      if (needsPlace) strays(() => under);
    });
  });
}

function emptyStore(store: () => Store): void {
  test.each<FileType>(['config', 'keys', 'snapshots', 'index', 'locks', 'data'])('%s has no files', async (type) => {
    expect(await listed(store(), type)).toEqual([]);
  });

  test('a file is not there, and removing it is no error', async () => {
    const { name } = someFile(10);
    expect(await store().stat('data', name)).toBeUndefined();
    await expect(store().get('data', name)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(store().get('data', name, { offset: 0, length: 0 })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(store().get('config', 'config')).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await store().remove('data', name);
  });

  test('there is no config to replace', async () => {
    await expect(store().replaceConfig(Buffer.from('x'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(await store().stat('config', 'config')).toBeUndefined();
  });
}

function missingPlace(store: () => Store): void {
  test('a pack is not written where no repository ever was', async () => {
    const { name, bytes } = someFile(10);
    await expect(store().put('data', name, bytes)).rejects.toMatchObject({ code: 'STORE_MISSING', retryable: false });
    expect(await listed(store(), 'data')).toEqual([]);
  });

  test('the first key makes the place', async () => {
    const { name, bytes } = someFile(10);
    await store().put('keys', name, bytes);
    expect(await store().get('keys', name)).toEqual(bytes);
  });
}

function reading(store: () => Store, again: () => Promise<Store>): void {
  test.each([0, 1, 4096, 5_000_001])(
    'a file of %d bytes is read as it was written, by any handle',
    async (sizeBytes) => {
      const { name, bytes } = someFile(sizeBytes);
      await store().put('data', name, bytes, name);
      expect((await store().get('data', name)).equals(bytes)).toBe(true);
      const other = await again();
      expect((await other.get('data', name)).equals(bytes)).toBe(true);
      await other.close();
    },
  );

  test('a range is read exactly', async () => {
    const { name, bytes } = someFile(100_000);
    await store().put('data', name, bytes);
    for (const [offset, length] of [
      [0, 1],
      [99_999, 1],
      [1000, 70_000],
      [0, 100_000],
      [5, 0],
      [100_000, 0],
    ] as const) {
      const part = await store().get('data', name, { offset, length });
      expect(part.equals(bytes.subarray(offset, offset + length))).toBe(true);
    }
  });

  test('a range that the file does not cover is damage, never a shorter answer', async () => {
    const { name, bytes } = someFile(1000);
    await store().put('data', name, bytes);
    for (const [offset, length] of [
      [0, 1001],
      [999, 2],
      [1000, 1],
      [5000, 10],
      [5000, 0],
    ] as const) {
      await expect(store().get('data', name, { offset, length })).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    }
  });

  test('a name that no repository file can have is refused as a bug', async () => {
    for (const name of ['', 'config', '../config', 'A'.repeat(64), `${'a'.repeat(63)}/`]) {
      await expect(async () => store().get('data', name)).rejects.toThrow(TypeError);
      await expect(async () => store().put('keys', name, Buffer.alloc(1))).rejects.toThrow(TypeError);
      await expect(async () => store().remove('index', name)).rejects.toThrow(TypeError);
    }
    await expect(async () => store().get('config', 'a'.repeat(64))).rejects.toThrow(TypeError);
  });

  test('what get returned belongs to the caller', async () => {
    const { name, bytes } = someFile(100);
    await store().put('keys', name, bytes);
    (await store().get('keys', name)).fill(0);
    expect(await store().get('keys', name)).toEqual(bytes);
  });
}

function writing(store: () => Store, again: () => Promise<Store>): void {
  test('a second config is refused, and the first one stays', async () => {
    const second = store().put('config', 'config', Buffer.from('other text'));
    await expect(second).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
    expect((await store().get('config', 'config')).toString()).toBe('the config');
  });

  test('the same config again is refused too: it cannot be told from that of somebody else', async () => {
    const second = store().put('config', 'config', Buffer.from('the config'));
    await expect(second).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
  });

  test('a file that is there with the same size counts as written and is not touched', async () => {
    const { name, bytes } = someFile(500);
    await store().put('snapshots', name, bytes);
    await store().put('snapshots', name, Buffer.alloc(500));
    expect(await store().get('snapshots', name)).toEqual(bytes);
  });

  test('a file that is there with another size is damage, and is not touched', async () => {
    const { name, bytes } = someFile(500);
    await store().put('snapshots', name, bytes);
    await expect(store().put('snapshots', name, Buffer.alloc(400))).rejects.toMatchObject({ code: 'SNAPSHOT_DAMAGED' });
    expect(await store().get('snapshots', name)).toEqual(bytes);
  });

  test('writers of the same file at the same time all succeed, and it is whole', async () => {
    const { name, bytes } = someFile(300_000);
    const handles = await Promise.all([again(), again(), again(), again()]);
    await Promise.all(handles.map((handle) => handle.put('data', name, bytes, name)));
    expect((await store().get('data', name)).equals(bytes)).toBe(true);
    expect(await listed(store(), 'data')).toHaveLength(1);
    await Promise.all(handles.map((handle) => handle.close()));
  });

  test('a config is replaced as a whole, and only by request', async () => {
    const next = Buffer.from('the next config, which is longer');
    await store().replaceConfig(next);
    const other = await again();
    expect(await other.get('config', 'config')).toEqual(next);
    expect(await listed(other, 'config')).toMatchObject([{ name: 'config', sizeBytes: next.length }]);
    await other.close();
  });

  test('of two writers of a config one wins, and the other is told', async () => {
    await store().remove('config', 'config');
    const other = await again();
    const contents = [Buffer.from('one'), Buffer.from('two')];
    const results = await Promise.allSettled([
      store().put('config', 'config', contents[0] ?? Buffer.alloc(0)),
      other.put('config', 'config', contents[1] ?? Buffer.alloc(0)),
    ]);
    const winner = results.findIndex((result) => result.status === 'fulfilled');
    expect(results[1 - winner]).toMatchObject({ status: 'rejected', reason: { code: 'REPOSITORY_EXISTS' } });
    expect(await store().get('config', 'config')).toEqual(contents[winner]);
    await other.close();
  });

  test('memory shared between threads is written, exactly the part that was given, and can be used again after', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3_000_000));
    shared.set(randomBytes(3_000_000));
    const view = shared.subarray(500_001, 2_500_002);
    const before = Buffer.from(view);
    const name = sha256Of(before);
    await store().put('data', name, view, name);
    shared.fill(0);
    expect((await store().get('data', name)).equals(before)).toBe(true);
  });

  test('a removed file is gone, and can be written again', async () => {
    const { name, bytes } = someFile(500);
    await store().put('locks', name, bytes);
    await store().remove('locks', name);
    expect(await store().stat('locks', name)).toBeUndefined();
    expect(await listed(store(), 'locks')).toEqual([]);
    await store().put('locks', name, Buffer.alloc(3));
    expect(await store().get('locks', name)).toEqual(Buffer.alloc(3));
  });
}

function listing(opened: () => Store): void {
  test('stat and list tell the size and the time of writing', async () => {
    const store = opened();
    const { name, bytes } = someFile(777);
    const fromMs = Date.now();
    await store.put('index', name, bytes);
    const file = await store.stat('index', name);
    expect(file).toMatchObject({ name, sizeBytes: 777 });
    // Object stores tell whole seconds.
    expect(file?.modifiedMs).toBeGreaterThan(fromMs - 2000);
    expect(file?.modifiedMs).toBeLessThan(Date.now() + 2000);
    const [same] = await listed(store, 'index');
    expect(same).toMatchObject({ name, sizeBytes: 777 });
    // Some servers tell the fraction of a second in a list only.
    expect(Math.abs((same?.modifiedMs ?? 0) - (file?.modifiedMs ?? 0))).toBeLessThan(1000);
    expect(await listed(store, 'config')).toMatchObject([{ name: 'config', sizeBytes: 10 }]);
  });

  test('a list has the files of its type, each once, also when they are more than one page', async () => {
    const store = opened();
    const names = Array.from({ length: 1203 }, (_, position) => sha256Of(Buffer.from(`${position}`)));
    await mapLimited(names, 16, (name) => store.put('data', name, Buffer.from('x')));
    await store.put('index', sha256Of(Buffer.from('index')), Buffer.from('y'));
    expect((await listed(store, 'data')).map((file) => file.name)).toEqual(names.sort());
    expect(await listed(store, 'index')).toHaveLength(1);
  });
}

function strays(under: () => StoreUnderTest): void {
  test('what is no file of a repository is left out of a list', async () => {
    const { store, addStray } = under();
    const { name, bytes } = someFile(10);
    await store.put('data', name, bytes);
    await addStray(`data/${name.slice(0, 2)}/${name}-tmp-123`);
    await addStray(`data/${name.slice(0, 2)}/.hidden`);
    await addStray(`data/readme.txt`);
    // What a network file system makes of a file that is removed while it is open.
    await addStray(`snapshots/.nfs00000000000a1b2c00000001`);
    await addStray(`data/${name.slice(0, 2)}/.nfs00000000000a1b2c00000002`);
    await addStray(`data/00/${'f'.repeat(64)}`);
    await addStray(`snapshots/${name.toUpperCase().replace(/^./, 'A')}`);
    await addStray(`snapshots/folder/${name}`);
    expect((await listed(store, 'data')).map((file) => file.name)).toEqual([name]);
    expect(await listed(store, 'snapshots')).toEqual([]);
  });
}

/** Random bytes and the name that they have in a repository. */
export function someFile(sizeBytes: number): { name: string; bytes: Buffer } {
  const bytes = randomBytes(sizeBytes);
  return { name: sha256Of(bytes), bytes };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** All files of the type, by name. */
export async function listed(store: Store, type: FileType): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for await (const file of store.list(type)) files.push(file);
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}
