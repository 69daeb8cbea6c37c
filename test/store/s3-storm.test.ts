/** What must stay true on a bad day: each operation ends right, or with an error that says what is wrong. Nothing is half done. */
import { createServer, request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { retryingStore } from '../../src/store/retrying-store.ts';
import { openS3Store } from '../../src/store/s3-store.ts';
import type { Store } from '../../src/store/store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { type Fault, type FaultFront, startFaultFront } from '../setup/fault-front.ts';
import { describeWith, s3Access } from '../setup/needs.ts';
import { newS3Place, type S3Place } from '../setup/s3-place.ts';

const xml = 'Content-Type: application/xml';
const errorBody = (code: string, more = '') =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>It said ${code}.</Message>${more}</Error>`;
const answerOf = (head: string, body: string) => ({ kind: 'answer', head: `${head}\r\n${xml}`, body }) as const;
const listOf = (more: string) =>
  answerOf('200 OK', `<?xml version="1.0"?><ListBucketResult><KeyCount>0</KeyCount>${more}</ListBucketResult>`);

/** Dropped at every phase of a request and its answer, and answers that are none. */
const faults: readonly (readonly [string, Fault])[] = [
  ['closed when the request begins', { kind: 'cut', from: 'client', afterBytes: 0 }],
  ['closed in the head of the request', { kind: 'cut', from: 'client', afterBytes: 150 }],
  ['closed in the body of the request', { kind: 'cut', from: 'client', afterBytes: 90_000 }],
  ['closed before the answer', { kind: 'cut', from: 'server', afterBytes: 0 }],
  ['closed in the head of the answer', { kind: 'cut', from: 'server', afterBytes: 60 }],
  ['closed in the body of the answer', { kind: 'cut', from: 'server', afterBytes: 90_000 }],
  ['left without an answer that was made', { kind: 'lose-answer' }],
  ['silent', { kind: 'stall', afterBytes: 0 }],
  ['silent in the middle of the request', { kind: 'stall', from: 'client', afterBytes: 100 }],
  ['answered twice', { kind: 'repeat' }],
  ['answered with half a word', { kind: 'answer', head: '503', body: '' }],
  ['answered by another protocol', { kind: 'answer', head: '200 OK\r\nX: y', body: 'SSH-2.0-OpenSSH' }],
  ['answered by half a document', answerOf('200 OK', '<?xml version="1.0"?><ListBucketResult><Name>b</Name><Cont')],
  ['answered with an empty 500', { kind: 'answer', head: '500 Oh', body: '' }],
  ['answered with half an error', answerOf('503 Slow Down', '<?xml version="1.0"?><Error><Code>Slow')],
  ['asked to slow down', answerOf('503 Slow Down\r\nRetry-After: 2', errorBody('SlowDown'))],
];

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

describeWith('s3', 'a store on S3', () => {
  let front: FaultFront;
  let place: S3Place;
  let plain: Store;
  let patient: Store;
  let clock: ReturnType<typeof quickClock>;

  beforeAll(async () => {
    front = await startFaultFront(s3Access().endpoint);
  });
  afterAll(() => front.stop());
  beforeEach(async () => {
    front.heal();
    clock = quickClock();
    place = newS3Place(front.endpoint);
    plain = await openS3Store(place);
    patient = retryingStore(await openS3Store({ ...place, stalledMs: 150 }), { clock });
    await plain.put('config', 'config', Buffer.from('config'));
    return async () => {
      await plain.close();
      await patient.close();
    };
  });

  describe.each(faults)('%s', (_, fault) => {
    test('does everything right in the end', async () => {
      const { name, bytes } = someFile(200_000);
      front.fail(fault, 2);
      await patient.put('data', name, bytes, name);
      front.fail(fault, 2);
      expect((await patient.get('data', name)).equals(bytes)).toBe(true);
      front.fail(fault, 2);
      const part = await patient.get('data', name, { offset: 50_000, length: 140_000 });
      expect(part.equals(bytes.subarray(50_000, 190_000))).toBe(true);
      front.fail(fault, 2);
      expect(await patient.stat('data', name)).toMatchObject({ sizeBytes: 200_000 });
      front.fail(fault, 2);
      expect(await listed(patient, 'data')).toMatchObject([{ name, sizeBytes: 200_000 }]);
      front.fail(fault, 2);
      await patient.replaceConfig(Buffer.from('next'));
      front.fail(fault, 2);
      await patient.remove('data', name);
      front.heal();
      expect(await listed(plain, 'data')).toEqual([]);
      expect((await plain.get('config', 'config')).toString()).toBe('next');
    });
  });

  describe('that asks for a pause', () => {
    test('is not asked again before', async () => {
      front.fail(answerOf('503 Slow Down\r\nRetry-After: 40', errorBody('SlowDown')));
      expect((await patient.get('config', 'config')).toString()).toBe('config');
      expect(clock.pausesMs).toEqual([40_000]);
    });

    test('of an hour is given up at once, and so is one that stays overloaded, after ten minutes', async () => {
      front.fail(answerOf('503 Slow Down\r\nRetry-After: 3600', errorBody('SlowDown')), 1000);
      await expect(patient.get('config', 'config')).rejects.toMatchObject({ code: 'STORE_BUSY' });
      expect(clock.pausesMs).toEqual([]);
      front.fail(answerOf('429 Too Many Requests', errorBody('TooManyRequests')), 1000);
      await expect(listed(patient, 'data')).rejects.toMatchObject({ code: 'STORE_BUSY' });
      const waitedMs = clock.pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
      expect(waitedMs).toBeGreaterThan(550_000);
      expect(waitedMs).toBeLessThan(720_000);
    });
  });

  test('a read that trickles on for too long is given up', async () => {
    const { name, bytes } = someFile(500_000);
    await plain.put('data', name, bytes, name);
    const hasty = await openS3Store({ ...place, stalledMs: 250, requestMs: 600 });
    front.fail({ kind: 'trickle', bytesPerSecond: 10_000 });
    await expect(hasty.get('data', name)).rejects.toMatchObject({
      code: 'STORE_UNREACHABLE',
      context: { reason: expect.stringContaining('too long') },
    });
    expect((await hasty.get('data', name)).equals(bytes)).toBe(true);
    await hasty.close();
  });

  describe('a list', () => {
    test.each<[string, string, RegExp]>([
      ['of another folder', '<Name>b</Name><Prefix>other/</Prefix>', /list of "other\/"/],
      ['without the name of its bucket', '<IsTruncated>false</IsTruncated>', /not one of an S3 server/],
    ])('%s is not believed', async (_, more, reason) => {
      front.fail(listOf(more), 3);
      await expect(listed(plain, 'data')).rejects.toMatchObject({ message: expect.stringMatching(reason) });
    });

    test('that never ends is given up', async () => {
      const page = '<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>';
      front.fail(listOf(page), 1000);
      await expect(listed(plain, 'data')).rejects.toMatchObject({
        message: expect.stringContaining('again and again'),
      });
    });

    test('whose bucket vanishes between two pages has not ended', async () => {
      const pages = [
        listOf('<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>'),
        answerOf('404 Not Found', errorBody('NoSuchBucket')),
      ];
      front.storm(() => pages.shift());
      await expect(listed(plain, 'data')).rejects.toMatchObject({ code: 'STORE_MISSING' });
    });
  });

  describe('that sends us elsewhere', () => {
    const moved = (status: string, headers = '') =>
      answerOf(`${status}${headers}`, errorBody('PermanentRedirect', '<Endpoint>b.s3.example</Endpoint>'));

    test('is followed once to the region that it names, and told by name where that leads nowhere', async () => {
      const redirect = moved('301 Moved Permanently', '\r\nx-amz-bucket-region: us-east-1');
      front.fail(redirect);
      expect((await plain.get('config', 'config')).toString()).toBe('config');
      for (const act of [() => plain.get('config', 'config'), () => plain.stat('config', 'config')]) {
        front.fail(redirect, 5);
        await expect(act()).rejects.toMatchObject({ code: 'STORE_REGION_WRONG', context: { region: 'us-east-1' } });
      }
    });

    test('without a region is told with the address that it points to', async () => {
      front.fail(moved('307 Temporary Redirect', '\r\nLocation: https://other.example/b/config?signature=x'), 5);
      const error = await plain.get('config', 'config').catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'REPOSITORY_URL_INVALID',
        message: expect.stringContaining('other.example'),
      });
      expect(String(error)).not.toContain('signature');
    });
  });

  test('that forbids something says which right is missing', async () => {
    const name = 'a'.repeat(64);
    const acts: readonly [string, () => Promise<unknown>][] = [
      ['s3:PutObject', () => plain.put('data', name, Buffer.from('x'))],
      ['s3:GetObject', () => plain.get('data', name)],
      ['s3:ListBucket', () => listed(plain, 'data')],
      ['s3:DeleteObject', () => plain.remove('data', name)],
    ];
    for (const [right, act] of acts) {
      front.fail(answerOf('403 Forbidden', errorBody('AccessDenied')));
      const denied = { code: 'STORE_DENIED', context: { reason: expect.stringContaining(right) } };
      await expect(act()).rejects.toMatchObject(denied);
    }
  });

  test('is reached through a proxy where the environment names one', async () => {
    const seen: string[] = [];
    const proxy = createServer((incoming, outgoing) => {
      seen.push(`${incoming.method} ${incoming.url}`);
      const { method = 'GET', headers } = incoming;
      const onward = request(incoming.url ?? '', { method, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      });
      incoming.pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
    const store = await openS3Store({ ...place, env: { ...place.env, http_proxy: url } });
    const { name, bytes } = someFile(100_000);
    await store.put('data', name, bytes, name);
    expect((await store.get('data', name)).equals(bytes)).toBe(true);
    expect(await store.get('data', name, { offset: 1, length: 9 })).toEqual(bytes.subarray(1, 10));
    expect(await listed(store, 'data')).toHaveLength(1);
    expect(seen.filter((line) => line.includes(front.endpoint))).toHaveLength(4);
    const direct = await openS3Store({ ...place, env: { ...place.env, http_proxy: url, no_proxy: '127.0.0.1' } });
    expect((await direct.get('data', name)).equals(bytes)).toBe(true);
    expect(seen).toHaveLength(4);
    await store.close();
    await direct.close();
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
});
