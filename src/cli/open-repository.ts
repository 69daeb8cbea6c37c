/**
 * The repository that the settings name, opened for the time of a command.
 */
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
