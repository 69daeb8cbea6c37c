/** What a backup can be told: how much to compress, whether to verify, and what counts as a change. */
import { copyFileSync, mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { type BackupOptions, backupFolder } from '../../src/volume/backup.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

let source: string;
let path: string;
let repository: Repository;

beforeEach(async () => {
  const place = await tempDir();
  source = join(place, 'source');
  path = join(place, 'repository');
  mkdirSync(source);
  repository = await initRepository(openFolderStore(path), 'secret', { kdf: cheapKdf });
});

/** By a clock that is ahead, so that no file counts as just written. */
function backUp(options: Partial<BackupOptions> = {}) {
  const clock = { ...systemClock, nowMs: () => Date.now() + 10_000 };
  return backupFolder(repository, { source, host: 'h', paths: [source], tags: [], workers: 1, clock, ...options });
}

describeWith('restic', 'compression', () => {
  const text = Buffer.from(Array.from({ length: 200_000 }, (_, n) => `line ${(n * 7919) % 65_537}\n`).join(''));

  it.each(['off', 'auto', 'max'] as const)('%s is what restic can read', async (compression) => {
    writeFileSync(join(source, 'text'), text);
    const summary = await backUp({ compression, verify: compression === 'max' });
    const index = await loadIndex(repository, 'read');
    const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: 'secret' };
    expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    expect(index.find('tree', summary.treeId)?.uncompressedLength).toBeGreaterThan(0);
    if (compression === 'off') expect(summary.bytesStored).toBeGreaterThan(text.length);
    else expect(summary.bytesStored).toBeLessThan(text.length / 2);
  });

  it('max stores less than auto', async () => {
    writeFileSync(join(source, 'text'), text);
    const auto = await backUp();
    repository = await initRepository(openFolderStore(join(await tempDir(), 'other')), 'secret', { kdf: cheapKdf });
    expect((await backUp({ compression: 'max' })).bytesStored).toBeLessThan(auto.bytesStored);
  });
});

describe('a file that was copied to its place anew, with its times', () => {
  /** Another inode and another ctime; size, content and mtime stay. */
  async function replaced(): Promise<void> {
    const file = join(source, 'file');
    writeFileSync(file, 'content');
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    await backUp();
    copyFileSync(file, `${file}.copy`);
    utimesSync(`${file}.copy`, 1_700_000_000, 1_700_000_000);
    renameSync(`${file}.copy`, file);
    // What is not read again cannot be told from its content.
    writeFileSync(file, 'CONTENT');
    utimesSync(file, 1_700_000_000, 1_700_000_000);
  }

  it('is read again', async () => {
    await replaced();
    expect(await backUp()).toMatchObject({ filesChanged: 1, bytesProcessed: 7 });
  });

  it('is read again with --ignore-ctime, because its inode is another one', async () => {
    await replaced();
    expect(await backUp({ ignoreCtime: true })).toMatchObject({ filesChanged: 1 });
  });

  it('is not read with --ignore-inode, which ignores the ctime too', async () => {
    await replaced();
    expect(await backUp({ ignoreInode: true })).toMatchObject({ filesUnmodified: 1, filesChanged: 0 });
  });

  it('is not read with --ignore-ctime where only that differs', async () => {
    const file = join(source, 'file');
    writeFileSync(file, 'content');
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    await backUp();
    writeFileSync(file, 'CONTENT');
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    expect(await backUp({ ignoreCtime: true })).toMatchObject({ filesUnmodified: 1, filesChanged: 0 });
  });
});
