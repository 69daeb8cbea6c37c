/**
 * The repository that the settings name, opened, and locked, for the time of a command.
 */
import { hostname } from 'node:os';
import { formatDuration } from '../base/units.ts';
import { acquireLock, type Lock, type LockWait } from '../repository/locks.ts';
import { openRepository, type Repository } from '../repository/repository.ts';
import { openStore } from '../store/open-store.ts';
import { tellRetries } from '../store/retrying-store.ts';
import { rateLimit, setTransferLimits } from '../store/transfer-limits.ts';
import type { CommandContext } from './command.ts';
import { readPassword, repositoryUrl, type Settings } from './config.ts';
import type { Output } from './output.ts';

export async function withRepository<T>(
  { settings, signal, output }: CommandContext,
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const url = repositoryUrl(settings);
  const password = await readPassword(settings);
  limitTransfers(settings);
  const onRetry = tellRetries((reason, pauseMs) => {
    output.note(`${reason} Trying again in ${formatDuration(pauseMs)}.`);
  });
  const store = await openStore(url, { env: settings.env, signal, onRetry });
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
    const lock = await acquireLock(repository, {
      exclusive,
      hostname: hostname(),
      waitMs: context.settings.retryLockMs,
      onWait: (wait) => sayWhoIsWaitedFor(wait, context.output),
      signal: context.signal,
    });
    try {
      return await use(repository, AbortSignal.any([context.signal, lock.signal]), lock);
    } catch (error) {
      throw lock.signal.aborted ? lock.signal.reason : error;
    } finally {
      await lock.release();
    }
  });
}

/** One limit for all stores and threads of a command. */
function limitTransfers({ uploadBytesPerSecond, downloadBytesPerSecond }: Settings): void {
  setTransferLimits({
    upload: uploadBytesPerSecond === undefined ? undefined : rateLimit(uploadBytesPerSecond),
    download: downloadBytesPerSecond === undefined ? undefined : rateLimit(downloadBytesPerSecond),
  });
}

function sayWhoIsWaitedFor({ locked, heldMs, leftMs }: LockWait, output: Output): void {
  const { holder = '', since = '', kind = '' } = locked.context;
  if (output.json) output.problem('', { type: 'waiting-for-lock', holder, since, kind, heldMs, leftMs });
  const left = formatDuration(leftMs);
  output.note(
    `waiting for ${holder}, which holds a lock (${kind}) for ${formatDuration(heldMs)}; giving up in ${left}`,
  );
}
