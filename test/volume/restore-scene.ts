/** A repository of our own with one backup of a small folder, and restores of it. */
import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { findSnapshot } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import type { RestoreOptions, RestoreSummary } from '../../src/volume/restore-options.ts';
import { type PreviewedEntry, previewRestore } from '../../src/volume/restore-preview.ts';
import { tempDir } from '../setup/temp-dir.ts';

export const password = 'secret';

export interface Scene {
  readonly source: string;
  /** Where restores go; not there yet. */
  readonly target: string;
  readonly url: string;
  readonly repository: Repository;
  backUp(): Promise<void>;
  restore(options?: Partial<RestoreOptions>): Promise<RestoreSummary>;
  /** `action path` of everything that does not stay. */
  plan(options?: Partial<RestoreOptions>): Promise<string[]>;
  /** So that whoever fetches content fails. */
  loseContent(): void;
}

/** `fill` makes the folder and what is in it. */
export async function newScene(fill: (source: string) => void): Promise<Scene> {
  const folder = await tempDir();
  const [source, target, url] = [join(folder, 'source'), join(folder, 'target'), join(folder, 'repository')];
  fill(source);
  const kdf = { N: 1024, r: 8, p: 1 };
  const repository = await initRepository(await openStore(url), password, { kdf });
  const latest = () => findSnapshot(repository, 'latest');
  const scene: Scene = {
    source,
    target,
    url,
    repository,
    backUp: async () => {
      await backupFolder(repository, { source, host: 'host', paths: [source], tags: [], workers: 1 });
    },
    restore: async (options = {}) =>
      restoreFolder(repository, { snapshot: await latest(), target, workers: 1, ...options }),
    plan: async (options = {}) => {
      const entries: PreviewedEntry[] = [];
      const onEntry = (entry: PreviewedEntry) => entries.push(entry);
      const onError = (path: Buffer, message: string) => {
        throw new Error(`${path}: ${message}`);
      };
      await previewRestore(repository, { snapshot: await latest(), target, ...options, onEntry, onError });
      return entries.filter(({ action }) => action !== 'keep').map(({ action, path }) => `${action} ${path}`);
    },
    loseContent: () => {
      for (const path of dataPacks(url)) rmSync(path);
    },
  };
  await scene.backUp();
  return scene;
}

/** All packs but those of trees, which are small here. */
export function dataPacks(url: string): string[] {
  const names = readdirSync(join(url, 'data'), { recursive: true, encoding: 'utf8' });
  const packs = names
    .map((name) => join(url, 'data', name))
    .filter((path) => existsSync(path) && lstatSync(path).isFile());
  const smallest = packs.sort((a, b) => lstatSync(a).size - lstatSync(b).size)[0];
  return packs.filter((path) => path !== smallest);
}
