import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openS3Store } from '../../src/store/s3-store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { startFaultFront } from '../setup/fault-front.ts';
import { describeWith, s3Access, testWith } from '../setup/needs.ts';
import { newS3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { startTlsFront } from '../setup/tls-front.ts';

describeWith('s3', 'the connections of a store on S3', () => {
  testWith('openssl', 'are encrypted where the address says https, and only to servers that are trusted', async () => {
    const front = await startTlsFront(s3Access().endpoint, await tempDir());
    const place = newS3Place(front.endpoint);
    const { name, bytes } = someFile(5_000_000);

    const distrusting = await openS3Store(place);
    const refused = {
      code: 'STORE_UNTRUSTED',
      context: { reason: expect.stringMatching(/self-signed|SELF_SIGNED/i) },
    };
    await expect(distrusting.get('config', 'config')).rejects.toMatchObject(refused);
    await expect(distrusting.put('config', 'config', bytes)).rejects.toMatchObject(refused);
    await distrusting.close();

    const trusted = getCACertificates('default');
    setDefaultCACertificates([...trusted, front.certificate]);
    const store = await openS3Store(place);
    try {
      await store.put('config', 'config', Buffer.from('config'));
      await store.put('data', name, bytes, name);
      expect((await store.get('data', name)).equals(bytes)).toBe(true);
      const part = await store.get('data', name, { offset: 1000, length: 4_000_000 });
      expect(part.equals(bytes.subarray(1000, 4_001_000))).toBe(true);
      await expect(store.get('data', 'a'.repeat(64))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
      expect(await listed(store, 'data')).toHaveLength(1);
    } finally {
      setDefaultCACertificates(trusted);
      await store.close();
      await front.stop();
    }
  });

  test('that were closed while idle are replaced without an error', async () => {
    const front = await startFaultFront(s3Access().endpoint);
    const store = await openS3Store(newS3Place(front.endpoint));
    const { name, bytes } = someFile(100_000);
    await store.put('config', 'config', Buffer.from('config'));
    await store.put('data', name, bytes);
    const readAll = () => Promise.all(Array.from({ length: 8 }, () => store.get('data', name)));
    await readAll();
    front.closeAll();
    for (const read of await readAll()) expect(read.equals(bytes)).toBe(true);
    await store.close();
    await front.stop();
  });

  test('are not more than allowed, for reads and for uploads', async () => {
    const front = await startFaultFront(s3Access().endpoint);
    const store = await openS3Store({ ...newS3Place(front.endpoint), connections: 3 });
    await store.put('config', 'config', Buffer.from('config'));
    const files = Array.from({ length: 20 }, () => someFile(100_000));
    await Promise.all(files.map(({ name, bytes }) => store.put('data', name, bytes, name)));
    const read = await Promise.all(files.map(({ name }) => store.get('data', name)));
    expect(read.every((bytes, position) => bytes.equals(files[position]?.bytes ?? Buffer.alloc(0)))).toBe(true);
    expect(front.connections).toBeLessThanOrEqual(6);
    await store.close();
    await front.stop();
  });

  test('do not keep a process alive that has nothing more to do', async () => {
    const place = newS3Place();
    const store = await openS3Store(place);
    await store.put('config', 'config', Buffer.from('the config'));
    await store.close();
    const program = join(import.meta.dirname, 'read-once.ts');
    const options = { env: { ...process.env, ...place.env }, timeout: 20_000 };
    const { stdout } = await promisify(execFile)(process.execPath, [program, place.url], options);
    expect(stdout).toBe('the config');
  });
});
