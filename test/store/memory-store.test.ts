import { expect, test } from 'vitest';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { listed, someFile, storeContract } from '../contract/store-contract.ts';

storeContract({
  name: 'memory',
  needsPlace: false,
  async open() {
    const store = openMemoryStore();
    return { store, again: async () => store, addStray: () => Promise.reject(new TypeError('memory has no strays')) };
  },
});

test('two memory stores have nothing in common', async () => {
  const { name, bytes } = someFile(5);
  await openMemoryStore().put('keys', name, bytes);
  expect(await listed(openMemoryStore(), 'keys')).toEqual([]);
});
