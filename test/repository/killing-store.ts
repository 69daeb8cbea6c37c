/** A store whose process dies: from the n-th change on, nothing is carried out any more. */
import type { Store } from '../../src/store/store.ts';

export class Killed extends Error {
  override readonly name = 'Killed';
}

export interface KillingStore {
  readonly store: Store;
  /** Changes asked for so far, the one that killed included. */
  changes(): number;
  readonly isDead: () => boolean;
}

/**
 * Passes everything on until the `killAt`-th put or remove, counted from 1. That one is not carried out, and neither is
 * anything after it: all calls throw, as if the process were gone. `killAt` 0 never kills.
 */
export function killingStore(store: Store, killAt: number): KillingStore {
  let changes = 0;
  let dead = false;
  const live = (): void => {
    if (dead) throw new Killed('the process is dead');
  };
  const change = (): void => {
    live();
    changes += 1;
    if (changes !== killAt) return;
    dead = true;
    throw new Killed(`killed at change ${changes}`);
  };
  return {
    changes: () => changes,
    isDead: () => dead,
    store: {
      url: store.url,
      uploadsAtOnce: store.uploadsAtOnce,
      listsAtOnce: store.listsAtOnce,
      async put(type, name, bytes, sha256) {
        change();
        await store.put(type, name, bytes, sha256);
      },
      async get(type, name, range) {
        live();
        return store.get(type, name, range);
      },
      async stat(type, name) {
        live();
        return store.stat(type, name);
      },
      async *list(type) {
        live();
        for await (const file of store.list(type)) {
          live();
          yield file;
        }
      },
      async remove(type, name) {
        change();
        await store.remove(type, name);
      },
      async replaceConfig(bytes) {
        change();
        await store.replaceConfig(bytes);
      },
      close: () => store.close(),
    },
  };
}
