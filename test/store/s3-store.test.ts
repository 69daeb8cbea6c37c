import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { openStore } from '../../src/store/open-store.ts';
import { openS3Store } from '../../src/store/s3-store.ts';
import { listed, sha256Of, someFile, storeContract } from '../contract/store-contract.ts';
import { describeWith, testWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { addObject, newS3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';

describeWith('s3', 'on a real server', () => {
  storeContract({
    name: 'a bucket',
    needsPlace: true,
    open: async () => {
      const place = newS3Place();
      return {
        store: await openS3Store(place),
        again: () => openS3Store(place),
        addStray: (path) => addObject(place, path, 'stray'),
      };
    },
  });

  test('a worker thread opens the same place by its address, and uploads memory that it shares', async () => {
    const place = newS3Place();
    const store = await openStore(place.url, { env: place.env });
    await store.put('config', 'config', Buffer.from('config'));
    const shared = new Uint8Array(new SharedArrayBuffer(3_000_000));
    const { name, bytes } = someFile(2_000_000);
    shared.set(bytes, 500_000);
    const view = shared.subarray(500_000, 2_500_000);
    const worker = new Worker(new URL('uploading-worker.ts', import.meta.url), {
      workerData: { url: place.url, env: place.env, name, view },
    });
    const [exitCode] = await once(worker, 'exit');
    expect(exitCode).toBe(0);
    expect((await store.get('data', name)).equals(bytes)).toBe(true);
    await store.close();
  });

  testWith('restic', 'beside restic, the same files are seen in a bucket', async () => {
    const place = newS3Place();
    const env = { ...place.env, RESTIC_REPOSITORY: place.url, RESTIC_PASSWORD: 'test' };
    const source = await tempDir();
    await writeFile(join(source, 'file'), someFile(3_000_000).bytes);
    await restic(['init'], { env });
    await restic(['backup', source], { env });
    const store = await openStore(place.url, { env: place.env });
    const types = [
      ['data', 'packs'],
      ['index', 'index'],
      ['snapshots', 'snapshots'],
      ['keys', 'keys'],
    ] as const;
    for (const [type, resticType] of types) {
      const files = await listed(store, type);
      const names = (await restic(['list', resticType], { env })).trim().split('\n').sort();
      expect(files.map((file) => file.name)).toEqual(names);
      for (const file of files) expect(sha256Of(await store.get(type, file.name))).toBe(file.name);
    }
    const second = store.put('config', 'config', Buffer.from('ours'));
    await expect(second).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
    await store.close();
  });
});
