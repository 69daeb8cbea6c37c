/** The steps on files that a folder store is made of. */
import type { Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { mapLimited } from '../base/concurrency.ts';
import { isFileName } from './file-path.ts';
import { errnoOf } from './folder-errors.ts';
import type { StoredFile } from './store.ts';

/** File systems without hard links answer with one of these. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Gives a whole file its final name, which it then has beside the temporary one. False when that name is taken. */
export async function linkOnce(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = errnoOf(error) ?? '';
    // A network file system repeats a request whose answer was lost, and then finds what it made itself.
    if (code === 'EEXIST') return await isSameFile(temporary, path);
    if (!noLinks.has(code)) throw error;
    // Here two writers may both see a free name for a moment; a file's name is its hash, so they write the same.
    if (await statIfThere(path)) return false;
    await rename(temporary, path);
    return true;
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([statIfThere(one), statIfThere(other)]);
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
  }
}

/** Fewer bytes than `length` only where the file ends. */
export async function readUpTo(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  // Not from the pool: whoever gets it may hand its memory to a worker.
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled === length ? bytes : bytes.subarray(0, filled);
}

export async function statIfThere(path: string): Promise<Stats | undefined> {
  return unlessMissing(stat(path), undefined);
}

/** Whether it was there. */
export async function removeIfThere(path: string): Promise<boolean> {
  return unlessMissing(
    unlink(path).then(() => true),
    false,
  );
}

/** Whether it was made now. The parent must exist. */
export async function mkdirIfMissing(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the entries of a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    // Some network file systems cannot, and are durable without.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
  } finally {
    await folder.close();
  }
}

/** The repository's files directly in a folder; none where the folder is missing. */
export async function filesIn(folder: string): Promise<StoredFile[]> {
  const names = (await namesIn(folder)).filter(isFileName);
  const files = await mapLimited(names, 16, async (name) => {
    const stats = await statIfThere(join(folder, name));
    return stats?.isFile() ? { name, sizeBytes: stats.size, modifiedMs: stats.mtimeMs } : undefined;
  });
  return files.filter((file) => file !== undefined);
}

const leftoverPattern = /^(?:config|[0-9a-f]{64})-tmp-[0-9a-z]+$/i;

/** Unfinished files of writers, restic's too, directly in a folder. */
export async function leftoversIn(folder: string): Promise<{ path: string; sizeBytes: number; modifiedMs: number }[]> {
  const names = (await namesIn(folder)).filter((name) => leftoverPattern.test(name));
  const found = await mapLimited(names, 16, async (name) => {
    const path = join(folder, name);
    const stats = await statIfThere(path);
    return stats?.isFile() ? { path, sizeBytes: stats.size, modifiedMs: stats.mtimeMs } : undefined;
  });
  return found.filter((file) => file !== undefined);
}

export async function namesIn(folder: string): Promise<string[]> {
  return unlessMissing(readdir(folder), []);
}

async function unlessMissing<T, U>(operation: Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await operation;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return otherwise;
    throw error;
  }
}
