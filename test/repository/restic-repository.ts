/** Repositories in temporary folders, made by us or by restic, for tests of the repository. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changePassword } from '../../src/repository/key-management.ts';
import { initRepository, openRepository, type Repository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import type { Store } from '../../src/store/store.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

export const password = 'geheim';
/** The cheapest cost that readers take: tests open repositories often. */
export const cheapKdf = { N: 128, r: 1, p: 1 } as const;

export interface TestRepository {
  readonly folder: string;
  readonly repository: Repository;
  /** For restic: where the repository is and its password. */
  readonly env: Readonly<Record<string, string>>;
}

/** A new repository of ours; restic's chunker unless asked otherwise, as restic writes into it too. */
export async function makeRepository(chunker: 'gear' | 'rabin' = 'rabin'): Promise<TestRepository> {
  const folder = join(await tempDir(), 'repository');
  const repository = await initRepository(openFolderStore(folder), password, { kdf: cheapKdf, chunker });
  return { folder, repository, env: envOf(folder) };
}

/** A new repository of restic's, with a key that costs little. */
export async function makeResticRepository(version: 1 | 2 = 2): Promise<TestRepository> {
  const folder = join(await tempDir(), 'repository');
  await restic(['init', '--repository-version', String(version)], { env: envOf(folder) });
  return { folder, repository: await cheapen(openFolderStore(folder), password), env: envOf(folder) };
}

/** restic makes keys that cost half a second of computing, which each of its commands would pay again. */
export async function cheapen(store: Store, itsPassword: string): Promise<Repository> {
  await changePassword(await openRepository(store, itsPassword), itsPassword, { kdf: cheapKdf });
  return openRepository(store, itsPassword);
}

/** A folder with a few small files and folders, different for each seed. */
export async function makeSource(seed = 1): Promise<string> {
  const folder = await tempDir();
  await mkdir(join(folder, 'deep', 'er'), { recursive: true });
  await writeFile(join(folder, 'a.txt'), `first ${seed}\n`.repeat(100 * seed));
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'deep', 'b.bin'), Buffer.alloc(300_000, seed));
  await writeFile(join(folder, 'deep', 'er', 'c.txt'), `second ${seed}`);
  return folder;
}

function envOf(folder: string): Readonly<Record<string, string>> {
  return { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password };
}
