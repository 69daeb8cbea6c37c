import dns from 'node:dns';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openS3Store } from '../../src/store/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { describeWith, s3Access, testWith } from '../setup/needs.ts';
import { newS3Place, s3Env } from '../setup/s3-place.ts';
import { type S3Server, startS3Server } from '../setup/s3-server.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { type Certificate, newCertificate, startTlsFront } from '../setup/tls-front.ts';

/** Every kind of request once. */
async function useIt(store: Store): Promise<void> {
  const { name, bytes } = someFile(3_000_000);
  await store.put('config', 'config', Buffer.from('config'));
  await store.put('data', name, bytes, name);
  expect((await store.get('data', name)).equals(bytes)).toBe(true);
  expect(await store.get('data', name, { offset: 10, length: 90 })).toEqual(bytes.subarray(10, 100));
  expect(await listed(store, 'data')).toMatchObject([{ name, sizeBytes: 3_000_000 }]);
  await store.remove('data', name);
  expect(await store.stat('data', name)).toBeUndefined();
}

describeWith('s3', 'a store on S3', () => {
  describeWith('openssl', 'on a server of its own authority', () => {
    let server: S3Server;
    let own: Certificate;
    beforeAll(async () => {
      own = await newCertificate(await tempDir(), ['localhost', 's3.localhost', '*.s3.localhost']);
      server = await startS3Server({ tls: own, virtualDomain: 's3.localhost' });
    });
    afterAll(() => server.stop());

    test.each(['HOLDFAST_CACERT', 'RESTIC_CACERT', 'AWS_CA_BUNDLE'])('trusts the file of %s', async (variable) => {
      const place = newS3Place(server.endpoint);
      const store = await openS3Store({ ...place, env: { ...s3Env(server), [variable]: own.certificateFile } });
      await useIt(store);
      await store.close();
    });

    test('trusts certificates in the variable itself, as from a Secret', async () => {
      const place = newS3Place(server.endpoint);
      const store = await openS3Store({ ...place, env: { ...s3Env(server), HOLDFAST_CACERT: own.certificate } });
      await useIt(store);
      await store.close();
    });

    test('trusts nobody else, whatever the system trusts, and says what to do', async () => {
      const other = await newCertificate(await tempDir(), ['localhost']);
      for (const authority of [{}, { RESTIC_CACERT: other.certificateFile }]) {
        const store = await openS3Store({ ...newS3Place(server.endpoint), env: { ...s3Env(server), ...authority } });
        for (const act of [() => store.get('config', 'config'), () => listed(store, 'data')]) {
          await expect(act()).rejects.toMatchObject({
            code: 'STORE_UNTRUSTED',
            retryable: false,
            hint: expect.stringContaining('--cacert'),
          });
        }
        await store.close();
      }
    });

    test('is told when the certificate is one of another host', async () => {
      const endpoint = server.endpoint.replace('localhost', '127.0.0.1');
      const env = { ...s3Env(server), RESTIC_CACERT: own.certificateFile };
      const store = await openS3Store({ ...newS3Place(endpoint), env });
      const refused = { code: 'STORE_UNTRUSTED', context: { reason: expect.stringMatching(/127\.0\.0\.1/) } };
      await expect(store.get('config', 'config')).rejects.toMatchObject(refused);
      await expect(store.stat('config', 'config')).rejects.toMatchObject(refused);
      await store.close();
    });

    test('finds the bucket in front of the host where it is asked to', async () => {
      const asked = new Set<string>();
      const { lookup } = dns;
      // No resolver knows names below localhost.
      vi.spyOn(dns, 'lookup').mockImplementation(((name: string, options: object, callback: () => void) => {
        asked.add(name);
        return lookup('127.0.0.1', options, callback);
      }) as typeof dns.lookup);
      const endpoint = server.endpoint.replace('localhost', 's3.localhost');
      const place = newS3Place(endpoint);
      const env = { ...s3Env(server), RESTIC_CACERT: own.certificateFile };
      const store = await openS3Store({ ...place, env: { ...env, HOLDFAST_OPTIONS: 's3.bucket-lookup=dns' } });
      await useIt(store);
      expect([...asked]).toEqual([`${place.bucket}.s3.localhost`]);
      asked.clear();
      const samePlace = await openS3Store({ ...place, env });
      expect((await samePlace.get('config', 'config')).toString()).toBe('config');
      expect([...asked]).toEqual(['s3.localhost']);
      vi.restoreAllMocks();
      await store.close();
      await samePlace.close();
    });
  });

  testWith('openssl', 'shows its certificate to a server that asks for one', async () => {
    const mine = await newCertificate(await tempDir(), ['client']);
    const file = join(await tempDir(), 'client.pem');
    await writeFile(file, mine.certificate + mine.key);
    const front = await startTlsFront(s3Access().endpoint, await tempDir(), mine.certificate);
    const env = { ...s3Env(), HOLDFAST_CACERT: front.certificate };
    const store = await openS3Store({ ...newS3Place(front.endpoint), env: { ...env, RESTIC_TLS_CLIENT_CERT: file } });
    await useIt(store);
    await store.close();
    const stranger = await openS3Store({ ...newS3Place(front.endpoint), env });
    await expect(stranger.get('config', 'config')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    await stranger.close();
    await front.stop();
  });

  test('finds its way when the server names another region, and says so when it may not', async () => {
    const place = newS3Place();
    const elsewhere = { ...place, env: { ...place.env, AWS_REGION: 'eu-central-1' } };
    const store = await openS3Store(elsewhere);
    await useIt(store);
    await store.close();
    const env = { ...place.env, HOLDFAST_OPTIONS: 's3.region=eu-central-1' };
    const firm = await openS3Store({ ...place, env });
    await expect(firm.get('config', 'config')).rejects.toMatchObject({
      code: 'STORE_REGION_WRONG',
      retryable: false,
      context: { region: 'us-east-1' },
      hint: expect.stringContaining('us-east-1'),
    });
    await firm.close();
  });
});
