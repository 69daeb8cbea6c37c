import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { initRepository } from '../../src/repository/repository.ts';
import { findSnapshot } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree } from '../fixtures/make-tree.ts';
import { backedUp, type ResticBackup, restored } from '../fixtures/restic-backup.ts';
import { describeWith, testWith } from '../setup/needs.ts';
import { newS3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';

describeWith('restic', 'a restore of what restic backed up', () => {
  let everything: ResticBackup;
  beforeAll(async () => {
    everything = await backedUp((source) => makeTree(source, { rawLinkTargets: false }));
  });

  test.each([1, 2, 3])('is equal to the original in everything, with %i threads', async (workers) => {
    const { target, summary } = await restored(everything, { workers, durable: workers === 2 });
    expect(compareTrees(everything.source, target)).toEqual([]);
    expect(summary).toMatchObject({ errors: [], warnings: [], skipped: 0 });
    const count = (type: string) =>
      Number(execFileSync('sh', ['-c', `find . -mindepth 1 -type ${type} | tr -dc '\\n' | wc -c`], { cwd: target }));
    // One name has a line break in it.
    expect(summary.files).toBe(count('f') - 1);
    expect(summary.folders).toBe(count('d'));
  });

  test('leaves holes where the content is zeros', async () => {
    const { target } = await restored(everything, { subfolder: '/contents' });
    for (const name of ['sparse', 'hole-only', 'hole-at-end', 'written-zeros']) {
      const { size, blocks } = lstatSync(join(target, name));
      expect(blocks * 512, name).toBeLessThan(size / 10 + 300_000);
    }
  });

  test('has the content and the attributes of a subfolder in the target itself', async () => {
    for (const subfolder of ['attributes/folder', '/modes/folder-0711/', 'modes/folder-2755']) {
      if (!existsSync(join(everything.source, subfolder))) continue;
      const { target } = await restored(everything, { subfolder });
      expect(compareTrees(join(everything.source, subfolder), target, { root: true })).toEqual([]);
    }
  });

  test.each(['/nowhere', '/names/plain', '/links/to-folder'])('refuses the subfolder %s', async (subfolder) => {
    const target = join(await tempDir(), 'target');
    await expect(restored(everything, { subfolder, target })).rejects.toMatchObject({ code: 'FOLDER_NOT_IN_BACKUP' });
    expect(existsSync(target)).toBe(false);
  });

  test('refuses a target that has content, and leaves it as it is', async () => {
    const target = await tempDir();
    writeFileSync(join(target, 'mine'), 'keep');
    await expect(restored(everything, { target })).rejects.toMatchObject({ code: 'RESTORE_TARGET_UNUSABLE' });
    expect(readdirSync(target)).toEqual(['mine']);
  });

  test('takes a target that is a file as unusable', async () => {
    const target = join(await tempDir(), 'file');
    writeFileSync(target, '');
    await expect(restored(everything, { target })).rejects.toMatchObject({ code: 'RESTORE_TARGET_UNUSABLE' });
  });

  test('takes a new volume, which has only lost+found, as empty', async () => {
    const target = await tempDir();
    mkdirSync(join(target, 'lost+found'));
    const { summary } = await restored(everything, { target, subfolder: 'names' });
    expect(summary.errors).toEqual([]);
  });

  test('run again over a broken first try ends equal to the original', async () => {
    const { target } = await restored(everything);
    truncateSync(join(target, 'contents', 'large'), 1000);
    writeFileSync(join(target, 'names', 'plain'), 'changed');
    rmSync(join(target, 'links', 'second'));
    rmSync(join(target, 'many'), { recursive: true });
    execFileSync('chmod', ['0500', join(target, 'deep')]);
    execFileSync('setfattr', ['-n', 'user.old', '-v', 'x', join(target, 'deep')]);
    const { summary } = await restored(everything, { target, overwrite: 'always' });
    expect(compareTrees(everything.source, target)).toEqual([]);
    expect(summary.errors).toEqual([]);
  });

  test('replaces names, never what other names of them or links lead to', async () => {
    const outside = await tempDir();
    const target = await tempDir();
    mkdirSync(join(outside, 'contents'));
    writeFileSync(join(outside, 'linked'), 'outside');
    writeFileSync(join(outside, 'contents', 'text'), 'outside');
    mkdirSync(join(target, 'names'));
    linkSync(join(outside, 'linked'), join(target, 'names', 'plain'));
    symlinkSync(join(outside, 'linked'), join(target, 'names', 'with space'));
    symlinkSync(join(outside, 'contents'), join(target, 'contents'));
    const { summary } = await restored(everything, { target, overwrite: 'always' });
    expect(summary.errors).toEqual([]);
    expect(compareTrees(everything.source, target)).toEqual([]);
    expect(readFileSync(join(outside, 'linked'), 'utf8')).toBe('outside');
    expect(readdirSync(join(outside, 'contents'))).toEqual(['text']);
    expect(readFileSync(join(outside, 'contents', 'text'), 'utf8')).toBe('outside');
  });

  test('tells a folder that is in the way of a file, and restores the rest', async () => {
    const target = await tempDir();
    mkdirSync(join(target, 'names', 'plain', 'child'), { recursive: true });
    const { summary } = await restored(everything, { target, overwrite: 'always', subfolder: '/' });
    expect(summary.errors.map(({ path }) => path)).toEqual([join(target, 'names', 'plain')]);
    expect(compareTrees(everything.source, target)).toHaveLength(2);
  });

  test('ends early when it is interrupted', async () => {
    const stop = new AbortController();
    const promise = restored(everything, { signal: stop.signal, onProgress: () => stop.abort('SIGTERM') });
    await expect(promise).rejects.toMatchObject({ code: 'INTERRUPTED', context: { signal: 'SIGTERM' } });
  });

  testWith('root', 'into a folder with setgid and a default ACL is equal all the same', async () => {
    const target = await tempDir();
    execFileSync('chown', ['7:77', target]);
    execFileSync('chmod', ['2775', target]);
    execFileSync('setfacl', ['-d', '-m', 'u:1234:rwx', target]);
    const { summary } = await restored(everything, { target });
    expect(summary.errors).toEqual([]);
    expect(compareTrees(everything.source, target)).toEqual([]);
  });

  testWith('root', 'gives an unprivileged user the files, and says what it cannot set', async () => {
    const folder = await tempDir();
    execFileSync('chmod', ['0777', folder]);
    execFileSync('chmod', ['0755', dirname(everything.url)]);
    execFileSync('chmod', ['-R', 'a+rX', everything.url]);
    const target = join(folder, 'target');
    const { summary } = await asUser(1234, () => restored(everything, { target, subfolder: '/modes' }));
    expect(summary.errors).toEqual([]);
    expect(summary.warnings.map(({ message }) => message)).toContainEqual(expect.stringContaining('owner'));
    const mode = (name: string) => lstatSync(join(target, name)).mode & 0o7777;
    expect([mode('file-4755'), mode('file-0400'), mode('folder-0777')]).toEqual([0o755, 0o400, 0o777]);
  });

  testWith('root', 'into a full file system ends with the reason', async () => {
    const target = await tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', target]);
    try {
      const failure = restored(everything, { target });
      await expect(failure).rejects.toMatchObject({ code: 'RESTORE_TARGET_UNUSABLE' });
      await expect(failure).rejects.toThrow('ENOSPC');
    } finally {
      execFileSync('umount', ['-l', target]);
    }
  });
});

test('a restore of our own backup is equal to the original, whoever cut its files', async () => {
  const folder = await tempDir();
  const source = join(folder, 'source');
  makeTree(source, { smallFiles: 300 });
  for (const chunker of ['gear', 'rabin'] as const) {
    const repository = await initRepository(await openStore(join(folder, chunker)), 'secret', { chunker });
    const place = {
      dirs: ['shop', 'data'],
      name: 'volume',
      files: [{ name: 'manifest.json', content: Buffer.from('{}') }],
    };
    await backupFolder(repository, { source, host: 'host', paths: ['/shop/data'], tags: [], place });
    const snapshot = await findSnapshot(repository, 'latest');
    const target = join(folder, `target-${chunker}`);
    const summary = await restoreFolder(repository, { snapshot, subfolder: '/shop/data/volume', target });
    expect(summary.errors).toEqual([]);
    expect(compareTrees(source, target, { root: true })).toEqual([]);
  }
});

describeWith('s3', 'a restore from S3', () => {
  testWith('restic', 'is equal to the original', async () => {
    const place = newS3Place();
    const fill = (source: string) => makeTree(source, { rawLinkTargets: false, smallFiles: 200 });
    const fixture = await backedUp(fill, place.url, place.env);
    const { target, summary } = await restored(fixture);
    expect(summary.errors).toEqual([]);
    expect(compareTrees(fixture.source, target)).toEqual([]);
  });
});

/** The threads that are started meanwhile act as this user, too. */
async function asUser<T>(uid: number, act: () => Promise<T>): Promise<T> {
  process.setegid?.(uid);
  process.seteuid?.(uid);
  try {
    return await act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
