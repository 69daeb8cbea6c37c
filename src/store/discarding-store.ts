/** For plans: reads as the store does, and writes and removes nothing. */
import type { Store } from './store.ts';

export function discardingStore(store: Store): Store {
  return {
    url: store.url,
    uploadsAtOnce: store.uploadsAtOnce,
    listsAtOnce: store.listsAtOnce,
    put: async () => {},
    get: (type, name, range) => store.get(type, name, range),
    stat: (type, name) => store.stat(type, name),
    list: (type) => store.list(type),
    remove: async () => {},
    replaceConfig: async () => {},
    close: () => store.close(),
  };
}
