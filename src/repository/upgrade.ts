/**
 * From version 1 of the format to version 2, which differs by what may be compressed: all that there is stays as it is,
 * only the config says another version (restic's migration upgrade_repo_v2).
 */
import { HoldfastError } from '../base/errors.ts';
import { open, seal } from './crypto.ts';
import { decodeConfig, encodeConfig, type RepositoryConfig } from './format/config.ts';
import { type Repository, withConfig } from './repository.ts';

export interface UpgradeOptions {
  /** Keeps the sealed config as it was; called before anything is changed. */
  readonly saveCopy: (sealedConfig: Buffer) => Promise<void>;
  /** Throws when the lock of this run was lost. */
  readonly confirmLock?: () => Promise<void>;
}

/**
 * The upgraded repository; the same one where it has version 2 already. The caller holds an exclusive lock, and has
 * checked the repository. The config is replaced at one stroke, so a run that is killed has done all or nothing.
 * Throws what the store and saveCopy throw; where the new config cannot be read back, the old one is there again.
 */
export async function upgradeRepository(repository: Repository, options: UpgradeOptions): Promise<Repository> {
  const { store, key, url } = repository;
  const before = await store.get('config', 'config');
  // As it is now: somebody may have changed it before this run had its lock.
  const config = readConfig(repository, before);
  if (config.version === 2) return withConfig(repository, config);
  await options.saveCopy(before);
  await options.confirmLock?.();
  const next: RepositoryConfig = { ...config, version: 2 };
  const sealed = seal(key, encodeConfig(next));
  await store.replaceConfig(sealed);
  const found = await store.get('config', 'config');
  if (!found.equals(sealed)) {
    await store.replaceConfig(before);
    const reason = 'the new config was not there after it had been written; the old one is';
    throw new HoldfastError('STORE_FAILED', { operation: 'replacing the config', url, reason });
  }
  return withConfig(repository, next);
}

function readConfig({ key, url }: Repository, sealed: Buffer): RepositoryConfig {
  return decodeConfig(open(key, sealed, { kind: 'config', name: 'config' }), url);
}
