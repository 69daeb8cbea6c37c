import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { BlobIndex } from '../../src/repository/blob-index.ts';

function idOf(n: number): Buffer {
  return createHash('sha256').update(String(n)).digest();
}

describe('BlobIndex', () => {
  it('finds what was added, with its location, and nothing else', () => {
    const index = BlobIndex.create(1000);
    const location = { pack: 7, offset: 3_000_000_000, length: 4_000_000_000, uncompressedLength: 4_100_000_000 };
    for (let n = 0; n < 500; n++) index.add('data', idOf(n), { ...location, pack: n });
    for (let n = 0; n < 500; n++) {
      const entry = index.find('data', idOf(n));
      expect(index.location(entry)).toEqual({ ...location, pack: n });
    }
    expect(index.find('data', idOf(500))).toBe(-1);
  });

  it('keeps data and tree blobs of the same id apart', () => {
    const index = BlobIndex.create(10);
    expect(index.claim('data', idOf(1))).toBe(true);
    expect(index.has('tree', idOf(1))).toBe(false);
    expect(index.claim('tree', idOf(1))).toBe(true);
    expect(index.claim('tree', idOf(1))).toBe(false);
  });

  it('keeps the first location of a blob that lies in several packs', () => {
    const index = BlobIndex.create(10);
    const place = { offset: 0, length: 40, uncompressedLength: 0 };
    index.add('tree', idOf(1), { ...place, pack: 1 });
    index.add('tree', idOf(1), { ...place, pack: 2 });
    expect(index.location(index.find('tree', idOf(1)))?.pack).toBe(1);
  });

  it('has no location for a blob that is only claimed', () => {
    const index = BlobIndex.create(10);
    index.claim('data', idOf(1));
    expect(index.location(index.find('data', idOf(1)))).toBeUndefined();
  });

  it('refuses more blobs than it has room for instead of forgetting one', () => {
    const index = BlobIndex.create(3);
    for (let n = 0; n < 3; n++) index.claim('data', idOf(n));
    expect(() => index.claim('data', idOf(3))).toThrow(expect.objectContaining({ code: 'INDEX_FULL' }));
    expect(index.has('data', idOf(2))).toBe(true);
  });

  it('lets exactly one of several threads claim a blob', async () => {
    const blobs = 20_000;
    // Few buckets: every chain is fought over.
    const index = BlobIndex.create(blobs * 8, 1);
    const start = new SharedArrayBuffer(4);
    const workers = Array.from({ length: 4 }, () => {
      const source = `
        const { workerData, parentPort } = require('node:worker_threads');
        const { createHash } = require('node:crypto');
        import(workerData.module).then(({ BlobIndex }) => {
          const index = BlobIndex.attach(workerData.shared);
          const ids = [];
          for (let n = 0; n < workerData.blobs; n++) ids.push(createHash('sha256').update(String(n)).digest());
          parentPort.postMessage('ready');
          Atomics.wait(new Int32Array(workerData.start), 0, 0);
          let won = 0;
          for (const id of ids) if (index.claim('data', id)) won++;
          parentPort.postMessage(won);
        });`;
      const module = new URL('../../src/repository/blob-index.ts', import.meta.url).href;
      return new Worker(source, { eval: true, workerData: { module, shared: index.shared, blobs, start } });
    });
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const results = Promise.all(workers.map((worker) => once(worker, 'message')));
    Atomics.store(new Int32Array(start), 0, 1);
    Atomics.notify(new Int32Array(start), 0);
    const won = (await results).map(([count]) => count as number);
    expect(won.reduce((sum, count) => sum + count, 0)).toBe(blobs);
    for (let n = 0; n < blobs; n++) expect(index.has('data', idOf(n))).toBe(true);
  });
});
