import { expect, test } from 'vitest';
import { openStore } from '../../src/store/open-store.ts';
import { parseLocation, withoutCredentials } from '../../src/store/store-location.ts';

test.each([
  ['/srv/backup', '/srv/backup'],
  ['backup', 'backup'],
  ['./s3:like', './s3:like'],
  ['/srv/with space', '/srv/with space'],
  ['local:/srv/backup', '/srv/backup'],
  ['local:s3:odd', 's3:odd'],
])('%s is the folder %s', (url, path) => {
  expect(parseLocation(url)).toEqual({ kind: 'folder', path });
});

test.each([
  ['s3:https://host/bucket/some/prefix', 'https://host', 'bucket', 'some/prefix'],
  ['s3:http://127.0.0.1:9000/bucket', 'http://127.0.0.1:9000', 'bucket', ''],
  ['s3:http://[::1]:9000/bucket/', 'http://[::1]:9000', 'bucket', ''],
  ['s3:s3.amazonaws.com/bucket', 'https://s3.amazonaws.com', 'bucket', ''],
  ['s3:s3.eu-west-1.amazonaws.com/bucket//a///b/', 'https://s3.eu-west-1.amazonaws.com', 'bucket', 'a/b'],
  ['s3://host:9000/bucket/prefix', 'https://host:9000', 'bucket', 'prefix'],
  ['S3:HTTPS://Host/Bucket', 'https://host', 'Bucket', ''],
  ['s3:https://host/bucket/with%20space', 'https://host', 'bucket', 'with space'],
])('%s is on S3', (url, endpoint, bucket, prefix) => {
  expect(parseLocation(url)).toEqual({ kind: 's3', endpoint, bucket, prefix });
});

test.each([
  ['', 'empty'],
  ['  ', 'empty'],
  ['local:', 'no folder'],
  ['s3:', 'no host'],
  ['s3:https://host', 'no bucket'],
  ['s3:https://host/', 'no bucket'],
  ['s3:https://host/bucket/../other', '"\\.\\."'],
  ['s3:https://host/bucket/%2e%2e/other', '"\\.\\."'],
  ['s3:https://host/bucket?x=1', '"\\?"'],
  ['s3:https://host/bucket/%zz', '%'],
  ['s3:https://host:port/bucket', 'no host'],
  ['sftp:user@host:/srv', '"sftp:"'],
  ['rest:https://host/', '"rest:"'],
  ['b2:bucket', '"b2:"'],
])('%j is refused, and the message says why', (url, reason) => {
  expect(() => parseLocation(url)).toThrow(
    expect.objectContaining({ code: 'REPOSITORY_URL_INVALID', message: expect.stringMatching(reason) }),
  );
});

test.each([
  's3:https://key:geheim@host/bucket',
  's3:key:geheim@host/bucket',
  'rest:https://user:geheim@host/',
  's3://geheim@h/b',
])('credentials in an address are refused and not repeated: %#', (url) => {
  let message = '';
  try {
    parseLocation(url);
  } catch (error) {
    message = JSON.stringify(error);
  }
  expect(message).toContain('REPOSITORY_URL_INVALID');
  expect(message).not.toContain('geheim');
});

test('an address without credentials is shown as it is', () => {
  for (const url of ['/srv/a@b', 's3:https://host/bucket/a@b', 'local:/x']) expect(withoutCredentials(url)).toBe(url);
});

test('opening a store asks nothing of the place, so it works for places that are not there', async () => {
  const url = 's3:http://127.0.0.1:1/bucket/prefix';
  const store = await openStore(url, { env: { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' } });
  expect(store.url).toBe(url);
  await store.close();
  expect((await openStore('/not/there')).url).toBe('/not/there');
});
