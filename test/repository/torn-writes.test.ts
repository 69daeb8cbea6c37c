/** Stores that fail in the middle of a write: what did not arrive whole is in no index, and no backup relies on it. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { openRepository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import type { FileType, Store } from '../../src/store/store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { describeWith } from '../setup/needs.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { filesIn, indexedPacks, namesOf, packPath } from './damage.ts';
import { backUp, changeFiles, judge, type Kept, prune } from './prune-scene.ts';
import { makeRepository, password } from './restic-repository.ts';

/** As a disk that is full or a server that breaks: half of the n-th file of a type is there, and the put fails. */
function tearingStore(store: Store, folder: string, type: FileType, tearAt: number): Store {
  let puts = 0;
  return {
    url: store.url,
    uploadsAtOnce: store.uploadsAtOnce,
    listsAtOnce: store.listsAtOnce,
    get: (...args) => store.get(...args),
    stat: (...args) => store.stat(...args),
    list: (...args) => store.list(...args),
    remove: (...args) => store.remove(...args),
    replaceConfig: (...args) => store.replaceConfig(...args),
    close: () => store.close(),
    async put(putType, name, bytes, sha256) {
      if (putType !== type || ++puts !== tearAt) return store.put(putType, name, bytes, sha256);
      const path = type === 'data' ? packPath(folder, name) : join(folder, type, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes.subarray(0, bytes.length >> 1));
      throw new HoldfastError('STORE_FULL', { url: store.url, name });
    },
  };
}

describeWith('restic', 'a write that is torn', () => {
  test.each([1, 2, 3])('in pack %i of a backup is never indexed, and the next backup is whole', async (tearAt) => {
    const made = await makeRepository();
    const source = join(await tempDir(), 'source');
    await changeFiles(source, 0);
    const kept: Kept[] = [await backUp(made.repository, source, 300_000)];
    await changeFiles(source, 1);
    const store = tearingStore(openFolderStore(made.folder), made.folder, 'data', tearAt);
    const torn = await openRepository(store, password);
    const options = { source, host: 'test', paths: ['/source'], tags: [], workers: 1, packSizeBytes: 200_000 };
    await expect(backupFolder(torn, options)).rejects.toMatchObject({ code: 'STORE_FULL' });
    const whole = new Set(
      filesIn(join(made.folder, 'data'))
        .filter(isWhole)
        .map((path) => path.slice(-64)),
    );
    expect(whole.size).toBeLessThan((await namesOf(made.repository, 'data')).length);
    for (const { id } of await indexedPacks(made.repository)) expect(whole).toContain(id);
    await judge(made, kept);
    kept.push(await backUp(made.repository, source, 300_000));
    await prune(made.repository);
    await judge(made, kept);
    expect(filesIn(join(made.folder, 'data')).filter((path) => !isWhole(path))).toEqual([]);
  });

  test('in an index makes no backup that relies on it', async () => {
    const made = await makeRepository();
    const source = join(await tempDir(), 'source');
    await changeFiles(source, 0);
    const torn = await openRepository(tearingStore(openFolderStore(made.folder), made.folder, 'index', 1), password);
    const options = { source, host: 'test', paths: ['/source'], tags: [], workers: 1 };
    await expect(backupFolder(torn, options)).rejects.toMatchObject({ code: 'STORE_FULL' });
    expect(await listSnapshots(made.repository)).toEqual([]);
  });
});

/** A file of a repository is whole where its bytes fit its name. */
function isWhole(path: string): boolean {
  return createHash('sha256').update(readFileSync(path)).digest('hex') === path.slice(-64);
}
