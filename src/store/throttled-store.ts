/** Slows a store down to a rate: each transfer waits until those before it are paid for. */
import { type Clock, systemClock } from '../base/clock.ts';
import type { FileType, Range, Store } from './store.ts';
import { type RateLimit, type TransferLimits, takeTurn } from './transfer-limits.ts';

export interface ThrottleOptions {
  readonly clock?: Clock;
  /** Ends the waiting, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Small, and waited for by others: a lock that is refreshed too late is lost. They are charged, but do not wait. */
const urgent: ReadonlySet<FileType> = new Set(['config', 'keys', 'locks', 'snapshots']);

/** The same store; packs are sent and fetched, and index files fetched, no faster on average than the limits say. */
export function throttledStore(store: Store, limits: TransferLimits, options: ThrottleOptions = {}): Store {
  const { clock = systemClock, signal } = options;
  const closing = new AbortController();
  const ends = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;

  async function pay(limit: RateLimit | undefined, bytes: number, waits: boolean): Promise<void> {
    if (!limit) return;
    const startMs = takeTurn(limit, bytes, clock.nowMs());
    const pauseMs = startMs - clock.nowMs();
    if (waits && pauseMs > 0) await clock.sleep(pauseMs, ends);
  }

  async function get(type: FileType, name: string, range?: Range): Promise<Buffer> {
    // A whole file tells its size only when it is there: whoever comes next pays for it.
    await pay(limits.download, range?.length ?? 0, !urgent.has(type));
    const bytes = await store.get(type, name, range);
    if (!range) await pay(limits.download, bytes.length, false);
    return bytes;
  }

  return {
    url: store.url,
    uploadsAtOnce: store.uploadsAtOnce,
    listsAtOnce: store.listsAtOnce,
    async put(type, name, bytes, sha256) {
      // After an interruption the index of what was stored is still written: it must not wait for packs that are not.
      await pay(limits.upload, bytes.length, type === 'data');
      await store.put(type, name, bytes, sha256);
    },
    get,
    stat: (type, name) => store.stat(type, name),
    list: (type) => store.list(type),
    remove: (type, name) => store.remove(type, name),
    replaceConfig: (bytes) => store.replaceConfig(bytes),
    ...(store.sweepLeftovers ? { sweepLeftovers: store.sweepLeftovers.bind(store) } : {}),
    async close() {
      closing.abort(new Error('the store was closed'));
      await store.close();
    },
  };
}
