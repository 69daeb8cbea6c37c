/**
 * A bit flipped anywhere in a repository is found by `check --read-data`; and a restore of what it hits says so, or has
 * found the right bytes elsewhere. Every byte of a small repository with HOLDFAST_TEST_FULL=1, otherwise some of each
 * kind of file.
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import { openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { isFull, seed } from '../setup/properties.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { filesIn } from './damage.ts';
import { makeRepository, password } from './restic-repository.ts';

/** Of each file, unless all bytes are tried. */
const flipsInFile = 4;

let folder: string;
let source: string;

beforeAll(async () => {
  const made = await makeRepository();
  folder = made.folder;
  source = join(await tempDir(), 'source');
  mkdirSync(join(source, 'deep'), { recursive: true });
  writeFileSync(join(source, 'deep', 'text'), 'some text\n'.repeat(20));
  writeFileSync(join(source, 'noise'), noise('noise', 300));
  symlinkSync('deep/text', join(source, 'link'));
  await backupFolder(made.repository, { source, host: 'h', paths: ['/x'], tags: [], workers: 1 });
});

/** undefined where it cannot be opened at all: whoever wants to read it is told that. */
function reopen(): Promise<Repository | undefined> {
  return openRepository(openFolderStore(folder), password).catch(() => undefined);
}

async function isFound(repository: Repository): Promise<boolean> {
  return (await checkRepository(repository, { readData: true, workers: 0 })).errorCount > 0;
}

/** Whether a restore gave wrong files or fewer without a word. */
async function isSilentlyWrong(repository: Repository): Promise<boolean> {
  const target = join(await tempDir(), 'target');
  try {
    const [snapshot] = await listSnapshots(repository);
    const { errors } = await restoreFolder(repository, { snapshot: snapshot!, target, workers: 1 });
    return errors.length === 0 && compareTrees(source, target).length > 0;
  } catch {
    return false;
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

/** The first one is in the middle of the file, where the content is; the others are anywhere. */
function positionsIn(path: string, sizeBytes: number): number[] {
  if (isFull) return Array.from({ length: sizeBytes }, (_, at) => at);
  const drawn = (at: number): number =>
    createHash('sha256').update(`${seed} ${path} ${at}`).digest().readUInt32LE() % sizeBytes;
  return Array.from({ length: flipsInFile }, (_, at) => (at === 0 ? sizeBytes >> 1 : drawn(at)));
}

test.each(['config', 'keys', 'snapshots', 'index', 'data'])(
  'a flipped bit anywhere in %s is found, and no restore is silently wrong',
  { timeout: 7_200_000 },
  async (type) => {
    const paths = type === 'config' ? [join(folder, 'config')] : filesIn(join(folder, type));
    expect(paths.length).toBeGreaterThan(0);
    expect(await isFound((await reopen())!)).toBe(false);
    for (const path of paths) {
      const bytes = readFileSync(path);
      chmodSync(path, 0o600);
      for (const at of positionsIn(relative(folder, path), bytes.length)) {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << (at % 8);
        writeFileSync(path, flipped);
        const where = `seed ${seed}: byte ${at} of ${relative(folder, path)}`;
        const repository = await reopen();
        if (type === 'config' || type === 'keys') expect(repository, where).toBeUndefined();
        if (repository) {
          expect(await isFound(repository), where).toBe(true);
          expect(await isSilentlyWrong(repository), where).toBe(false);
        }
      }
      writeFileSync(path, bytes);
    }
    expect(await isSilentlyWrong((await reopen())!)).toBe(false);
  },
);
