/** The limits of transfers: right on average, over all threads, and never in the way of a lock. */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { openStore } from '../../src/store/open-store.ts';
import { throttledStore } from '../../src/store/throttled-store.ts';
import { rateLimit, setTransferLimits, takeTurn } from '../../src/store/transfer-limits.ts';
import { someFile, storeContract } from '../contract/store-contract.ts';
import { fakeClock } from '../repository/fake-clock.ts';
import { tempDir } from '../setup/temp-dir.ts';

const fast = () => ({ upload: rateLimit(1e12), download: rateLimit(1e12) });

storeContract({
  name: 'a folder with limits',
  needsPlace: true,
  async open() {
    const root = join(await tempDir(), 'repository');
    return {
      store: throttledStore(openFolderStore(root), fast()),
      again: async () => throttledStore(openFolderStore(root), fast()),
      addStray: async (path) => {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), 'stray');
      },
    };
  },
});

describe('a store with limits', () => {
  test('sends packs no faster than the limit says, in the order in which they came', async () => {
    const clock = fakeClock();
    const store = throttledStore(openMemoryStore(), { upload: rateLimit(1000) }, { clock });
    const done: number[] = [];
    const startMs = clock.nowMs();
    const puts = [500, 2000, 1000, 1].map(async (sizeBytes) => {
      const { name, bytes } = someFile(sizeBytes);
      await store.put('data', name, bytes, name);
      done.push(clock.nowMs() - startMs);
    });
    await clock.advance(10_000);
    await Promise.all(puts);
    expect(done).toEqual([0, 500, 2500, 3500]);
  });

  test('fetches no faster than the limit says, also whole files, whose size shows only then', async () => {
    const clock = fakeClock();
    const memory = openMemoryStore();
    const { name, bytes } = someFile(3000);
    await memory.put('data', name, bytes);
    const store = throttledStore(memory, { download: rateLimit(1000) }, { clock });
    const startMs = clock.nowMs();
    await store.get('data', name);
    const part = store.get('data', name, { offset: 0, length: 1000 }).then(() => clock.nowMs() - startMs);
    const last = store.get('data', name).then(() => clock.nowMs() - startMs);
    await clock.advance(10_000);
    expect(await Promise.all([part, last])).toEqual([3000, 4000]);
  });

  test('does not make a pause good by a burst', async () => {
    const clock = fakeClock();
    const limit = rateLimit(1000);
    takeTurn(limit, 1000, clock.nowMs());
    await clock.advance(60_000);
    expect(takeTurn(limit, 1000, clock.nowMs())).toBe(clock.nowMs());
    expect(takeTurn(limit, 1000, clock.nowMs())).toBe(clock.nowMs() + 1000);
  });

  test('lets locks, snapshots and what was stored already pass while packs wait', async () => {
    const clock = fakeClock();
    const store = throttledStore(openMemoryStore(), { upload: rateLimit(1) }, { clock });
    const pack = someFile(100_000);
    await store.put('data', pack.name, pack.bytes);
    for (const type of ['locks', 'snapshots', 'keys', 'index'] as const) {
      const { name, bytes } = someFile(100);
      await store.put(type, name, bytes);
      expect(await store.get(type, name)).toEqual(bytes);
    }
  });

  test('ends its waits with the reason of an interruption, and when it is closed', async () => {
    const clock = fakeClock();
    const stop = new AbortController();
    const limits = { upload: rateLimit(1) };
    const store = throttledStore(openMemoryStore(), limits, { clock, signal: stop.signal });
    const { name, bytes } = someFile(100);
    await store.put('data', name, bytes);
    const waiting = store.put('data', name, bytes);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    const other = throttledStore(openMemoryStore(), limits, { clock });
    const closed = other.put('data', name, bytes);
    await other.close();
    await expect(closed).rejects.toThrow('the store was closed');
  });
});

describe('the limits of a process', () => {
  afterEach(() => setTransferLimits({}));

  test('bind every store that is opened, and threads take their turns with everybody else', async () => {
    const upload = rateLimit(1000);
    setTransferLimits({ upload });
    const root = join(await tempDir(), 'repository');
    const store = await openStore(root);
    const { name, bytes } = someFile(1_000_000);
    await store.put('keys', name, bytes);
    const limits = new URL('../../src/store/transfer-limits.ts', import.meta.url).href;
    const code = `import { parentPort } from 'node:worker_threads';
      import { takeTurn, transferLimits } from '${limits}';
      parentPort.postMessage(takeTurn(transferLimits().upload, 1_000_000, Date.now()) - Date.now());`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    const [waitMs] = await once(worker, 'message');
    expect(waitMs).toBeGreaterThan(900_000);
    expect(takeTurn(upload, 0, Date.now()) - Date.now()).toBeGreaterThan(1_900_000);
    await worker.terminate();
    await store.close();
  });
});
