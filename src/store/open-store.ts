/** Opens the store that an address names. */
import { type RetryingOptions, retryingStore } from './retrying-store.ts';
import type { Store } from './store.ts';
import { parseLocation } from './store-location.ts';
import { transferLimits } from './transfer-limits.ts';

export interface OpenStoreOptions extends RetryingOptions {
  /** The variables with credentials and region; without them the AWS SDK looks where it always does. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Ends what waits for the limits of transfers. */
  readonly signal?: AbortSignal;
}

/**
 * Nothing is read or written yet, so it costs little in any thread and succeeds for places that do not exist.
 * What goes through it is bound by the transfer limits of the process.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  const store = await openUnlimited(url, options);
  const limits = transferLimits();
  if (!limits.upload && !limits.download) return store;
  const { throttledStore } = await import('./throttled-store.ts');
  return throttledStore(store, limits, options);
}

async function openUnlimited(url: string, options: OpenStoreOptions): Promise<Store> {
  const location = parseLocation(url);
  if (location.kind === 'folder') {
    const { openFolderStore } = await import('./folder-store.ts');
    return openFolderStore(location.path, url);
  }
  const { openS3Store } = await import('./s3-store.ts');
  return retryingStore(await openS3Store({ ...location, url, env: options.env ?? {} }), options);
}
