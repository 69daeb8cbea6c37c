/**
 * The repository that the settings name, opened, and locked, for the time of a command.
 */
import { hostname } from 'node:os';
import { acquireLock, type Lock } from '../repository/locks.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { openStore } from '../store/open-store.ts';
import type { CommandContext } from './command.ts';
import { readPassword, repositoryUrl } from './config.ts';

export async function withRepository<T>(
  { settings }: CommandContext,
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const url = repositoryUrl(settings);
  const password = await readPassword(settings);
  const store = await openStore(url, { env: settings.env });
  try {
    return await use(await openRepository(store, password));
  } finally {
    await store.close();
  }
}

/**
 * Holds a shared lock: others may read and write meanwhile, but nobody removes what is in use. An exclusive one, for
 * those that remove, holds off everybody else.
 * The signal is aborted by an interruption and by the loss of the lock, with the error as its reason.
 */
export function withLockedRepository<T>(
  context: CommandContext,
  use: (repository: Repository, signal: AbortSignal, lock: Lock) => Promise<T>,
  { exclusive = false } = {},
): Promise<T> {
  return withRepository(context, async (repository) => {
    const lock = await acquireLock(repository, { exclusive, hostname: hostname(), signal: context.signal });
    try {
      return await use(repository, AbortSignal.any([context.signal, lock.signal]), lock);
    } catch (error) {
      throw lock.signal.aborted ? lock.signal.reason : error;
    } finally {
      await lock.release();
    }
  });
}
