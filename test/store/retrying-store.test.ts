import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { retryingStore } from '../../src/store/retrying-store.ts';
import type { Store } from '../../src/store/store.ts';
import { listed, someFile, storeContract } from '../contract/store-contract.ts';
import { tempDir } from '../setup/temp-dir.ts';

storeContract({
  name: 'a folder, tried again',
  needsPlace: true,
  async open() {
    const root = join(await tempDir(), 'repository');
    return {
      store: retryingStore(openFolderStore(root)),
      again: async () => retryingStore(openFolderStore(root)),
      addStray: async (path) => {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), 'stray');
      },
    };
  },
});

/** A clock whose pauses take no time, and are written down. */
function quickClock() {
  const pausesMs: number[] = [];
  let nowMs = 0;
  const sleep = async (durationMs: number) => {
    pausesMs.push(durationMs);
    nowMs += durationMs;
  };
  return { pausesMs, nowMs: () => nowMs, sleep };
}

const unreachable = () => new HoldfastError('STORE_UNREACHABLE', { url: 'memory', reason: 'reset' });

/** The store, with the first `failures` calls of each operation failing: before they did their work, or after. */
function failing(store: Store, failures: number, when: 'before' | 'after'): Store & { calls: number } {
  const left = new Map<string, number>();
  const faulty = {
    calls: 0,
    uploadsAtOnce: 1,
    listsAtOnce: true,
    url: store.url,
    put: step('put', store.put),
    get: step('get', store.get),
    stat: step('stat', store.stat),
    remove: step('remove', store.remove),
    replaceConfig: step('replaceConfig', store.replaceConfig),
    async *list(type: Parameters<Store['list']>[0]) {
      const remaining = left.get('list') ?? failures;
      left.set('list', remaining - 1);
      for await (const file of store.list(type)) {
        yield file;
        if (remaining > 0) throw unreachable();
      }
    },
    close: () => store.close(),
  };
  return faulty;

  function step<A extends unknown[], R>(name: string, fn: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
    return async (...args) => {
      faulty.calls += 1;
      const remaining = left.get(name) ?? failures;
      left.set(name, remaining - 1);
      if (remaining > 0 && when === 'before') throw unreachable();
      const result = await fn.apply(store, args);
      if (remaining > 0) throw unreachable();
      return result;
    };
  }
}

describe.each(['before', 'after'] as const)('where the first two calls of each kind fail %s their work', (when) => {
  test('all goes well in the end, and nothing is listed twice', async () => {
    const clock = quickClock();
    const store = retryingStore(failing(openMemoryStore(), 2, when), { clock });
    const { name, bytes } = someFile(100);
    await store.put('config', 'config', Buffer.from('config'));
    await store.put('keys', name, bytes);
    expect(await store.get('keys', name)).toEqual(bytes);
    expect(await store.stat('keys', name)).toMatchObject({ sizeBytes: 100 });
    expect(await listed(store, 'keys')).toHaveLength(1);
    await store.remove('keys', name);
    expect(await listed(store, 'keys')).toEqual([]);
    expect(clock.pausesMs.length).toBeGreaterThanOrEqual(8);
  });
});

test('a config of somebody else is still refused when the first attempt fails', async () => {
  const memory = openMemoryStore();
  await memory.put('config', 'config', Buffer.from('theirs'));
  const store = retryingStore(failing(memory, 1, 'before'), { clock: quickClock() });
  const second = store.put('config', 'config', Buffer.from('mine'));
  await expect(second).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
});

test('a store that never answered is given up after seconds, one that did after ten minutes', async () => {
  const clock = quickClock();
  const dead = failing(openMemoryStore(), Number.POSITIVE_INFINITY, 'before');
  await expect(retryingStore(dead, { clock }).stat('config', 'config')).rejects.toMatchObject({
    code: 'STORE_UNREACHABLE',
  });
  const firstMs = clock.pausesMs.splice(0).reduce((sum, pauseMs) => sum + pauseMs, 0);
  expect(firstMs).toBeGreaterThan(4000);
  // Pauses of less than 5 s, and one more of at most 8 s.
  expect(firstMs).toBeLessThan(13_000);

  const memory = openMemoryStore();
  let isDown = false;
  const store = retryingStore(
    { ...memory, get: () => (isDown ? Promise.reject(unreachable()) : memory.get('config', 'config')) },
    { clock },
  );
  await store.put('config', 'config', Buffer.from('config'));
  isDown = true;
  await expect(store.get('config', 'config')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  const laterMs = clock.pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
  expect(laterMs).toBeGreaterThan(570_000);
  expect(laterMs).toBeLessThan(640_000);
});

test('what cannot pass is not tried again', async () => {
  const store = retryingStore(openMemoryStore(), {
    clock: quickClock(),
    onRetry: () => expect.fail('was tried again'),
  });
  await expect(store.get('keys', 'a'.repeat(64))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(async () => store.get('keys', 'no name')).rejects.toThrow(TypeError);
});

test('closing ends the pauses', async () => {
  const dead = failing(openMemoryStore(), Number.POSITIVE_INFINITY, 'before');
  const store = retryingStore(dead, { onRetry: () => setImmediate(() => void store.close()) });
  await expect(store.get('config', 'config')).rejects.toThrow('closed');
  expect(dead.calls).toBe(1);
});
