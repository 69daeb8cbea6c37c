/** Harm done to repositories in folders, and what it is aimed at. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { IndexedBlob, IndexedPack } from '../../src/repository/format/index-file.ts';
import { decodeIndexFile } from '../../src/repository/format/index-file.ts';
import { loadFile, type Repository } from '../../src/repository/repository.ts';
import type { FileType } from '../../src/store/store.ts';

export async function namesOf(repository: Repository, type: FileType): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of repository.store.list(type)) names.push(name);
  return names.sort();
}

/** All packs of the index. */
export async function indexedPacks(repository: Repository): Promise<IndexedPack[]> {
  const packs: IndexedPack[] = [];
  for (const name of await namesOf(repository, 'index')) {
    packs.push(...decodeIndexFile(await loadFile(repository, 'index', name), name).packs);
  }
  return packs;
}

export async function packWith(repository: Repository, type: 'data' | 'tree'): Promise<IndexedPack> {
  return (await indexedPacks(repository)).find(({ blobs }) => blobs[0]!.type === type)!;
}

/** Where a blob is, and what else is in its pack. */
export async function findBlob(repository: Repository, id: string): Promise<{ pack: IndexedPack; blob: IndexedBlob }> {
  for (const pack of await indexedPacks(repository)) {
    const blob = pack.blobs.find((candidate) => candidate.id === id);
    if (blob) return { pack, blob };
  }
  throw new Error(`no blob ${id}`);
}

export function packPath(folder: string, id: string): string {
  return join(folder, 'data', id.slice(0, 2), id);
}

/** Flips a bit; `at` below 0 counts from the end. */
export async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x10;
  await chmod(path, 0o600);
  await writeFile(path, bytes);
}

export function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Every file below a folder with the digest of its bytes: two of them are equal when nothing was touched. */
export function contentOf(folder: string): Record<string, string> {
  return Object.fromEntries(
    filesIn(folder).map((path) => [
      relative(folder, path),
      createHash('sha256').update(readFileSync(path)).digest('hex'),
    ]),
  );
}
