/** What must stay true: restic gets back exactly what was there; what is unchanged is not stored again; no error is silent. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { acquireLock } from '../../src/repository/locks.ts';
import { initRepository, openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { type BackupOptions, backupFolder } from '../../src/volume/backup.ts';
import { changedStore } from '../fixtures/changed-store.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree, noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const password = 'geheim';

async function freshRepository(chunker: 'gear' | 'rabin' = 'gear'): Promise<{ path: string; repository: Repository }> {
  const path = join(await tempDir(), 'repository');
  const repository = await initRepository(openFolderStore(path), password, { chunker });
  return { path, repository };
}

function optionsFor(source: string, more: Partial<BackupOptions> = {}): BackupOptions {
  return { source, host: 'test-host', paths: [source], tags: [], workers: 2, ...more };
}

/** Sets times far enough back that an unchanged file is taken for unchanged. */
function settle(path: string): void {
  const past = Date.now() / 1000 - 3600;
  utimesSync(path, past, past);
}

describeWith('restic', 'a folder backed up by Holdfast', () => {
  let source: string;

  beforeAll(async () => {
    source = join(await tempDir(), 'source');
    makeTree(source);
    // Larger than a segment of the chunker, with a name that is not UTF-8, so that it passes through all hands.
    writeFileSync(Buffer.concat([Buffer.from(`${source}/big-`), Buffer.from([0xff, 0xfe])]), noise('big', 70 << 20));
  });

  for (const chunker of ['gear', 'rabin'] as const) {
    it(`is read, checked and restored by restic (${chunker} chunks)`, async () => {
      const { path, repository } = await freshRepository(chunker);
      const summary = await backupFolder(repository, optionsFor(source));
      expect(summary.errors).toEqual([]);
      const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
      const target = join(await tempDir(), 'restored');
      await restic(['restore', summary.backupId, '--target', target], { env });
      // This restic keeps only the readable form of link targets that are not UTF-8.
      const differences = compareTrees(source, target).filter((line) => !line.startsWith('links/raw-target'));
      expect(differences).toEqual([]);
    });
  }

  it('stores nothing new when nothing changed, also when restic goes on in its repository', async () => {
    const { path, repository } = await freshRepository('rabin');
    const first = await backupFolder(repository, optionsFor(source));
    const second = await backupFolder(repository, optionsFor(source));
    expect(second.treeId).toBe(first.treeId);
    expect(second.bytesAdded).toBe(0);
    expect(second.parentId).toBe(first.backupId);
    const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
    const output = await restic(['backup', '--json', '--host', 'test-host', '.'], { env, cwd: source });
    const summary = JSON.parse(output.trim().split('\n').at(-1)!) as { data_blobs: number };
    expect(summary.data_blobs).toBe(0);
  });

  it('takes a backup that restic made as its parent', async () => {
    const { path, repository } = await freshRepository('rabin');
    const folder = join(await tempDir(), 'small');
    mkdirSync(join(folder, 'sub'), { recursive: true });
    writeFileSync(join(folder, 'sub', 'a'), noise('a', 900_000));
    writeFileSync(join(folder, 'b'), noise('b', 10));
    const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
    await restic(['backup', '--host', 'test-host', '.'], { env, cwd: folder });
    const summary = await backupFolder(repository, optionsFor(folder));
    expect(summary.parentId).toMatch(/^[0-9a-f]{64}$/);
    expect(summary.filesNew).toBe(0);
    const dataAdded = summary.bytesAdded;
    expect(dataAdded).toBeLessThan(5_000);
  });
});

describe('backing up a folder', () => {
  let folder: string;
  let repository: Repository;

  beforeAll(async () => {
    folder = join(await tempDir(), 'folder');
    mkdirSync(join(folder, 'kept'), { recursive: true });
    for (let n = 0; n < 100; n++) writeFileSync(join(folder, 'kept', `file-${n}`), noise(`kept ${n}`, 3000));
    writeFileSync(join(folder, 'large'), noise('large', 20 << 20));
    ({ repository } = await freshRepository());
  });

  it('counts new, changed and unmodified files', async () => {
    const long = { timeMs: Date.now() + 10_000 };
    const first = await backupFolder(repository, optionsFor(folder, long));
    expect(first).toMatchObject({ filesNew: 101, filesChanged: 0, filesUnmodified: 0, dirsNew: 2 });
    appendFileSync(join(folder, 'large'), 'more');
    writeFileSync(join(folder, 'kept', 'file-5'), 'other');
    writeFileSync(join(folder, 'kept', 'file-5b'), 'new');
    rmSync(join(folder, 'kept', 'file-9'));
    const second = await backupFolder(repository, optionsFor(folder, { timeMs: long.timeMs + 10_000 }));
    expect(second).toMatchObject({ filesNew: 1, filesChanged: 2, filesUnmodified: 98, dirsChanged: 2 });
    expect(second.bytesAdded).toBeLessThan(10 << 20);
  });

  it('reads a file again whose times are as young as the parent, since it may have changed in the same tick', async () => {
    const young = join(await tempDir(), 'young');
    mkdirSync(young);
    writeFileSync(join(young, 'file'), 'first');
    const cut = statSync(join(young, 'file')).mtimeMs;
    const { repository: own } = await freshRepository();
    await backupFolder(own, optionsFor(young, { timeMs: cut }));
    const reader = await backupFolder(own, optionsFor(young, { timeMs: cut + 5000 }));
    expect(reader.bytesProcessed).toBe(5);
    expect(reader).toMatchObject({ filesNew: 0, filesUnmodified: 1 });
  });

  it('stores again what the index has lost, even for files that look unchanged', async () => {
    const { path, repository: own } = await freshRepository();
    const place = join(await tempDir(), 'place');
    mkdirSync(place);
    writeFileSync(join(place, 'file'), noise('healing', 1000));
    settle(join(place, 'file'));
    await backupFolder(own, optionsFor(place, { timeMs: Date.now() + 10_000 }));
    rmSync(join(path, 'index'), { recursive: true });
    mkdirSync(join(path, 'index'));
    rmSync(join(path, 'data'), { recursive: true });
    const again = await backupFolder(own, optionsFor(place, { timeMs: Date.now() + 20_000 }));
    expect(again.bytesAdded).toBeGreaterThanOrEqual(1000);
  });

  it('puts the content below named folders, beside files of its own', async () => {
    const { path, repository: own } = await freshRepository();
    const place = {
      dirs: ['shop', 'db'],
      name: 'volume',
      files: [{ name: 'manifest.json', content: Buffer.from('{}') }],
    };
    const options = optionsFor(folder, { place, paths: ['/shop/db'], tagComplete: true });
    const first = await backupFolder(own, options);
    const second = await backupFolder(own, { ...options, timeMs: Date.now() + 5000 });
    expect(second.filesNew).toBe(0);
    const [snapshot] = await listSnapshots(own);
    expect(snapshot?.tags).toContain('state=complete');
    const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
    const listed = await restic(['ls', first.backupId], { env });
    expect(listed).toContain('\n/shop/db/manifest.json\n');
    expect(listed).toContain('\n/shop/db/volume/kept/file-5\n');
  });

  it('reports what it cannot read, stores the rest and says that it is incomplete', async () => {
    const { path, repository: own } = await freshRepository();
    const broken = join(await tempDir(), 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'good'), 'good');
    writeFileSync(join(broken, 'unreadable'), 'x', { mode: 0o000 });
    const summary = await asAnybody([dirname(path), dirname(broken)], () =>
      backupFolder(own, optionsFor(broken, { parentId: null })),
    );
    expect(summary.errors).toEqual([{ path: join(broken, 'unreadable'), message: expect.stringContaining('EACCES') }]);
    expect(summary.filesNew).toBe(1);
    const newest = (await listSnapshots(own)).find((snapshot) => snapshot.id === summary.backupId);
    expect(newest?.tags).toContain('state=incomplete');
  });

  it('leaves no snapshot when it is interrupted, and loses nothing of what was stored', async () => {
    const { repository: own } = await freshRepository();
    const abort = new AbortController();
    const running = backupFolder(
      own,
      optionsFor(folder, { signal: abort.signal, onProgress: () => abort.abort('SIGINT') }),
    );
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    expect(await listSnapshots(own)).toEqual([]);
    const summary = await backupFolder(own, optionsFor(folder));
    expect(summary.errors).toEqual([]);
  });

  it('saves no snapshot when its lock was removed meanwhile, since a prune may have taken its packs', async () => {
    const { path, repository: own } = await freshRepository();
    const lock = await acquireLock(own, { exclusive: false, hostname: 'test-host' });
    rmSync(join(path, 'locks'), { recursive: true });
    const running = backupFolder(own, optionsFor(folder, { confirmLock: () => lock.confirm() }));
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST', exitCode: 11 });
    expect(lock.signal.aborted).toBe(true);
    expect(await listSnapshots(own)).toEqual([]);
    await lock.release();
  });

  it('fails as a whole when a pack cannot be stored', async () => {
    const path = join(await tempDir(), 'repository');
    const store = openFolderStore(path);
    await initRepository(store, password);
    const full = changedStore(store, {
      put: (type, ...rest) => (type === 'data' ? Promise.reject(new Error('no space left')) : store.put(type, ...rest)),
    });
    const own = await openRepository(full, password);
    await expect(backupFolder(own, optionsFor(folder))).rejects.toThrow('no space left');
    expect(await listSnapshots(own)).toEqual([]);
  });

  it('refuses a source that is not there', async () => {
    await expect(backupFolder(repository, optionsFor('/does/not/exist'))).rejects.toMatchObject({
      code: 'SOURCE_UNREADABLE',
    });
  });
});

/** Root may read everything: then this is somebody else for a while, to whom the folders belong. */
async function asAnybody<T>(folders: readonly string[], act: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return act();
  for (const folder of folders) execFileSync('chown', ['-R', '1234:1234', folder]);
  process.seteuid?.(1234);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
  }
}
