import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { retryingStore } from '../../src/store/retrying-store.ts';
import { openS3Store } from '../../src/store/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { type FaultFront, startFaultFront } from '../setup/fault-front.ts';
import { describeWith, s3Access } from '../setup/needs.ts';
import { addObject, newS3Place, type S3Place } from '../setup/s3-place.ts';

const slowDown = {
  kind: 'answer',
  head: '503 Slow Down\r\nContent-Type: application/xml',
  body: '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
} as const;
const webPage = {
  kind: 'answer',
  head: '200 OK\r\nContent-Type: text/html',
  body: '<html>Please log in</html>',
} as const;
let nowMs = 0;
const clock = {
  nowMs: () => nowMs,
  sleep: async (durationMs: number) => {
    nowMs += durationMs;
  },
};

describeWith('s3', 'a store on S3', () => {
  let front: FaultFront;
  let place: S3Place;
  let plain: Store;
  let patient: Store;

  beforeAll(async () => {
    front = await startFaultFront(s3Access().endpoint);
  });
  afterAll(() => front.stop());
  beforeEach(async () => {
    front.heal();
    place = newS3Place(front.endpoint);
    plain = await openS3Store({ ...place, stalledMs: 700 });
    patient = retryingStore(plain, { clock });
    await plain.put('config', 'config', Buffer.from('config'));
    return () => plain.close();
  });

  describe('when connections break', () => {
    test.each([1000, 2_000_000])(
      'reads a file whole although the connection was cut after %d bytes',
      async (afterBytes) => {
        const { name, bytes } = someFile(4_000_000);
        await plain.put('data', name, bytes, name);
        front.fail({ kind: 'cut', from: 'server', afterBytes });
        expect((await patient.get('data', name)).equals(bytes)).toBe(true);
        front.fail({ kind: 'cut', from: 'server', afterBytes }, 3);
        const part = await patient.get('data', name, { offset: 100, length: 3_000_000 });
        expect(part.equals(bytes.subarray(100, 3_000_100))).toBe(true);
      },
    );

    test('without retries a cut read is an error, never a shorter file', async () => {
      const { name, bytes } = someFile(4_000_000);
      await plain.put('data', name, bytes, name);
      front.fail({ kind: 'cut', from: 'server', afterBytes: 2_000_000 }, 2);
      await expect(plain.get('data', name)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE', retryable: true });
    });

    test('a read in which nothing moves any more is given up', async () => {
      const { name, bytes } = someFile(4_000_000);
      await plain.put('data', name, bytes, name);
      front.fail({ kind: 'stall', afterBytes: 100_000 }, 2);
      await expect(plain.get('data', name)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
      expect((await patient.get('data', name)).equals(bytes)).toBe(true);
    });

    test('an upload that was cut in the middle leaves nothing, and is made again', async () => {
      const { name, bytes } = someFile(4_000_000);
      front.fail({ kind: 'cut', from: 'client', afterBytes: 2_000_000 }, 3);
      await expect(plain.put('data', name, bytes, name)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
      expect(await plain.stat('data', name)).toBeUndefined();
      front.fail({ kind: 'cut', from: 'client', afterBytes: 2_000_000 }, 5);
      await patient.put('data', name, bytes, name);
      expect((await plain.get('data', name)).equals(bytes)).toBe(true);
      expect(await listed(plain, 'data')).toHaveLength(1);
    });

    test.each([
      [1, 10_000],
      [4, 10_000],
      [1, 4_000_000],
    ])('an upload whose answer was lost %d times counts as written (%d bytes), a config too', async (times, size) => {
      const { name, bytes } = someFile(size);
      const before = front.faults;
      front.fail({ kind: 'lose-answer' }, times);
      await patient.put('data', name, bytes, name);
      expect((await plain.get('data', name)).equals(bytes)).toBe(true);
      await plain.remove('config', 'config');
      front.fail({ kind: 'lose-answer' }, times);
      await patient.put('config', 'config', Buffer.from('mine'));
      expect((await plain.get('config', 'config')).toString()).toBe('mine');
      expect(front.faults - before).toBe(2 * times);
    });

    test('a server that cannot be reached is named', async () => {
      const store = await openS3Store({ ...place, endpoint: 'http://127.0.0.1:1', url: 's3:http://127.0.0.1:1/b' });
      await expect(store.get('config', 'config')).rejects.toMatchObject({
        code: 'STORE_UNREACHABLE',
        context: { url: 's3:http://127.0.0.1:1/b', reason: expect.stringContaining('ECONNREFUSED') },
      });
      await store.close();
    });
  });

  describe('when the server asks for patience', () => {
    test('everything is done in the end', async () => {
      const { name, bytes } = someFile(100_000);
      const before = front.faults;
      front.fail(slowDown, 4);
      await patient.put('data', name, bytes, name);
      front.fail(slowDown, 4);
      expect((await patient.get('data', name)).equals(bytes)).toBe(true);
      front.fail(slowDown, 4);
      expect(await listed(patient, 'data')).toHaveLength(1);
      front.fail(slowDown, 4);
      await patient.remove('data', name);
      expect(front.faults - before).toBe(16);
      expect(await plain.stat('data', name)).toBeUndefined();
    });

    test('the reason is told when it never ends', async () => {
      front.fail(slowDown, 3);
      await expect(plain.get('config', 'config')).rejects.toMatchObject({
        code: 'STORE_BUSY',
        retryable: true,
        context: { reason: expect.stringMatching(/SlowDown.*503/) },
      });
    });
  });

  describe('when a login page answers instead', () => {
    test.each<[string, (store: Store, name: string) => Promise<unknown>]>([
      ['a list', (store) => listed(store, 'data')],
      ['an upload', (store, name) => store.put('data', name, Buffer.from('x'))],
      ['a look for a file', (store, name) => store.stat('data', name)],
      ['a read of a part', (store, name) => store.get('data', name, { offset: 0, length: 5 })],
    ])('%s is not believed', async (_, act) => {
      front.fail(webPage, 3);
      await expect(act(plain, 'a'.repeat(64))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    });
  });

  describe('what the server answers', () => {
    const error = (status: string, code: string) => ({
      kind: 'answer' as const,
      head: `${status}\r\nContent-Type: application/xml`,
      body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>It said ${code}.</Message></Error>`,
    });
    test.each([
      ['507 Insufficient Storage', 'XMinioStorageFull', 'STORE_FULL'],
      ['400 Bad Request', 'QuotaExceeded', 'STORE_FULL'],
      ['301 Moved Permanently', 'PermanentRedirect', 'REPOSITORY_URL_INVALID'],
      ['400 Bad Request', 'AuthorizationHeaderMalformed', 'REPOSITORY_URL_INVALID'],
      ['403 Forbidden', 'AccessDenied', 'STORE_DENIED'],
      ['403 Forbidden', 'ExpiredToken', 'CREDENTIALS_REJECTED'],
      ['403 Forbidden', 'RequestTimeTooSkewed', 'CLOCK_WRONG'],
      ['403 Forbidden', 'InvalidObjectState', 'STORE_FROZEN'],
      ['401 Unauthorized', 'Unauthorized', 'STORE_DENIED'],
      ['404 Not Found', 'NoSuchBucket', 'STORE_MISSING'],
      ['500 Internal Server Error', 'InternalError', 'STORE_BUSY'],
      ['409 Conflict', 'ConditionalRequestConflict', 'STORE_FAILED'],
      ['429 Too Many Requests', 'TooManyRequests', 'STORE_BUSY'],
      ['400 Bad Request', 'RequestTimeout', 'STORE_BUSY'],
    ])('%s %s to an upload is %s', async (status, name, code) => {
      front.fail(error(status, name), 2);
      const { name: file, bytes } = someFile(1000);
      await expect(plain.put('data', file, bytes)).rejects.toMatchObject({ code });
      front.heal();
      expect(await plain.stat('data', file)).toBeUndefined();
    });

    test('no answer but a page of a proxy is told with its status', async () => {
      front.fail({ kind: 'answer', head: '502 Bad Gateway\r\nContent-Type: text/html', body: '<html>Oh' }, 2);
      await expect(plain.get('config', 'config')).rejects.toMatchObject({
        code: 'STORE_BUSY',
        context: { reason: expect.stringContaining('502') },
      });
    });

    test('that it knows no If-None-Match: nothing is overwritten nevertheless', async () => {
      const there = someFile(1000);
      await plain.put('data', there.name, there.bytes);
      front.fail(error('501 Not Implemented', 'NotImplemented'));
      const { name, bytes } = someFile(2000);
      await plain.put('data', name, bytes, name);
      expect(await plain.get('data', name)).toEqual(bytes);
      await plain.put('data', there.name, Buffer.alloc(1000));
      expect(await plain.get('data', there.name)).toEqual(there.bytes);
      const config = plain.put('config', 'config', Buffer.from('mine'));
      await expect(config).rejects.toMatchObject({ code: 'REPOSITORY_EXISTS' });
    });
  });

  test('half a list, with no word how to go on, is not taken for all of it', async () => {
    const body =
      '<?xml version="1.0"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated></ListBucketResult>';
    front.fail({ kind: 'answer', head: '200 OK\r\nContent-Type: application/xml', body });
    await expect(listed(plain, 'data')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  test('a store that is closed breaks off what it does', async () => {
    const { name, bytes } = someFile(1_000_000);
    await plain.put('data', name, bytes, name);
    const before = front.faults;
    front.fail({ kind: 'stall', afterBytes: 100_000 }, 10);
    const reading = plain.get('data', name);
    const brokenOff = expect(reading).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    await vi.waitUntil(() => front.faults > before);
    await plain.close();
    await brokenOff;
    expect(front.faults).toBe(before + 1);
  });

  describe('when something is wrong for good', () => {
    test('wrong keys are refused by name of the problem', async () => {
      const wrongSecret = await openS3Store({ ...place, env: { ...place.env, AWS_SECRET_ACCESS_KEY: 'wrong' } });
      const wrongUser = await openS3Store({ ...place, env: { ...place.env, AWS_ACCESS_KEY_ID: 'nobody' } });
      const denied = (reason: RegExp, code = 'CREDENTIALS_REJECTED') =>
        expect.objectContaining({
          code,
          retryable: false,
          context: expect.objectContaining({ reason: expect.stringMatching(reason) }),
        });
      await expect(wrongSecret.get('config', 'config')).rejects.toEqual(denied(/SignatureDoesNotMatch/));
      await expect(wrongSecret.put('keys', 'a'.repeat(64), Buffer.from('x'))).rejects.toEqual(denied(/Signature/));
      await expect(wrongSecret.stat('config', 'config')).rejects.toEqual(denied(/403/, 'STORE_DENIED'));
      await expect(wrongUser.get('config', 'config')).rejects.toEqual(denied(/InvalidAccessKeyId/));
      await expect(listed(wrongUser, 'data')).rejects.toEqual(denied(/InvalidAccessKeyId/));
      await wrongSecret.close();
      await wrongUser.close();
    });

    test('keys with a line break, as from a file, are refused before they are used', async () => {
      const env = { ...place.env, AWS_SECRET_ACCESS_KEY: `${place.env.AWS_SECRET_ACCESS_KEY}\n` };
      await expect(openS3Store({ ...place, env })).rejects.toMatchObject({ code: 'CREDENTIALS_REJECTED' });
    });

    test('bytes that are not those of their hash are refused by the server', async () => {
      const { name } = someFile(1000);
      await expect(plain.put('data', name, someFile(1000).bytes, name)).rejects.toMatchObject({ code: 'STORE_FAILED' });
      expect(await plain.stat('data', name)).toBeUndefined();
    });

    test('a bucket that is removed later is not made again by a pack', async () => {
      await rm(`${s3Access().dataFolder}/${place.bucket}`, { recursive: true });
      const { name, bytes } = someFile(1000);
      await expect(plain.put('data', name, bytes)).rejects.toMatchObject({ code: 'STORE_MISSING', retryable: false });
      expect(await plain.stat('config', 'config')).toBeUndefined();
    });

    test('an object that was cut short by somebody else is damage when a range of it is read', async () => {
      const { name, bytes } = someFile(1000);
      await addObject(place, `data/${name.slice(0, 2)}/${name}`, bytes.subarray(0, 600));
      await expect(plain.get('data', name, { offset: 500, length: 500 })).rejects.toMatchObject({
        code: 'PACK_DAMAGED',
      });
    });
  });
});
