/** Where keys come from when no variable holds them, and that a long run goes on when they expire. */
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openS3Store } from '../../src/store/s3-store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { type FaultFront, startFaultFront } from '../setup/fault-front.ts';
import { describeWith, s3Access } from '../setup/needs.ts';
import { newS3Place, type S3Place } from '../setup/s3-place.ts';
import { addUser, removeUser } from '../setup/s3-server.ts';
import { tempDir } from '../setup/temp-dir.ts';

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const expired = {
  kind: 'answer',
  head: '403 Forbidden\r\nContent-Type: application/xml',
  body: '<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>',
} as const;

describeWith('s3', 'a store on S3 without keys in variables', () => {
  let place: S3Place;
  beforeEach(async () => {
    place = { ...newS3Place(), env: {} };
    // The SDK itself reads these; whatever this machine has is not asked.
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_REGION', '');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/not/there');
    vi.stubEnv('AWS_CONFIG_FILE', '/not/there');
  });
  afterEach(() => vi.unstubAllEnvs());

  test('finds them in a profile, with its region', async () => {
    const folder = await tempDir();
    const { accessKeyId, secretAccessKey } = s3Access();
    const keys = `aws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`;
    await writeFile(join(folder, 'credentials'), `[backup]\n${keys}`);
    await writeFile(join(folder, 'config'), '[profile backup]\nregion=us-east-1\n');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
    vi.stubEnv('AWS_PROFILE', 'backup');
    await roundTrip(place);
  });

  test('finds none and says so', async () => {
    const store = await openS3Store(place);
    await expect(store.get('config', 'config')).rejects.toMatchObject({
      code: 'CREDENTIALS_NOT_FOUND',
      retryable: false,
    });
    await store.close();
  });

  test('signs every request, reads too, with keys that were renewed meanwhile', async () => {
    const [first, second] = [await newUser(), await newUser()];
    let current = first;
    const role = await serve(() => ({ ...containerKeys(current), Expiration: inSeconds(60) }));
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', role.url);
    const store = await openS3Store(place);
    const { name, bytes } = someFile(1000);
    await store.put('config', 'config', Buffer.from('config'));
    await store.put('data', name, bytes, name);
    current = second;
    await removeUser(s3Access(), first.accessKeyId);
    expect(await store.get('data', name)).toEqual(bytes);
    expect(await listed(store, 'data')).toHaveLength(1);
    await store.remove('data', name);
    expect(role.requests.length).toBeGreaterThan(1);
    await store.close();
    await role.stop();
  });

  test('asks for a role with the token of its pod, over connections like its own', async () => {
    const folder = await tempDir();
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, 'first-token');
    const user = await newUser();
    const service = await serve(() => roleAnswer(user));
    vi.stubEnv('AWS_ENDPOINT_URL_STS', service.url);
    vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/backup');
    vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', tokenFile);
    const store = await openS3Store(place);
    await store.put('config', 'config', Buffer.from('config'));
    await writeFile(tokenFile, 'second-token');
    expect((await store.get('config', 'config')).toString()).toBe('config');
    const tokens = service.requests.map((body) => new URLSearchParams(body).get('WebIdentityToken'));
    expect(tokens[0]).toBe('first-token');
    expect(tokens.at(-1)).toBe('second-token');
    await store.close();
    await service.stop();
  });

  test('renews them when the server calls them expired before their time, but only once', async () => {
    const front = await startFaultFront(s3Access().endpoint);
    const role = await serve(() => ({ ...containerKeys(s3Access()), Expiration: inSeconds(3600) }));
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', role.url);
    const store = await openS3Store({ ...newS3Place(front.endpoint), env: {} });
    await store.put('config', 'config', Buffer.from('config'));
    const asked = role.requests.length;
    front.fail(expired);
    expect((await store.get('config', 'config')).toString()).toBe('config');
    expect(role.requests.length).toBe(asked + 1);
    await expectRejectedWhenAlwaysExpired(front, () => store.get('config', 'config'));
    await store.close();
    await role.stop();
    await front.stop();
  });
});

/** No endless circle: expired keys that stay expired are told. */
async function expectRejectedWhenAlwaysExpired(front: FaultFront, act: () => Promise<unknown>): Promise<void> {
  front.fail(expired, 100);
  await expect(act()).rejects.toMatchObject({ code: 'CREDENTIALS_REJECTED', retryable: false });
}

async function roundTrip(place: S3Place): Promise<void> {
  const store = await openS3Store(place);
  await store.put('config', 'config', Buffer.from('config'));
  expect((await store.get('config', 'config')).toString()).toBe('config');
  expect(await listed(store, 'config')).toHaveLength(1);
  await store.close();
}

async function newUser(): Promise<Keys> {
  const { name } = someFile(20);
  const keys = { accessKeyId: `user-${name.slice(0, 12)}`, secretAccessKey: name };
  await addUser(s3Access(), keys.accessKeyId, keys.secretAccessKey);
  return keys;
}

/** As the agents of containers tell keys. */
function containerKeys({ accessKeyId, secretAccessKey }: Keys): Record<string, string> {
  return { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: '' };
}

/** As STS tells keys; they have to be renewed at once. */
function roleAnswer({ accessKeyId, secretAccessKey }: Keys): string {
  const keys = `<AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey>`;
  const credentials = `<Credentials>${keys}<SessionToken></SessionToken><Expiration>${inSeconds(60)}</Expiration></Credentials>`;
  const result = `<AssumeRoleWithWebIdentityResult>${credentials}</AssumeRoleWithWebIdentityResult>`;
  return `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleWithWebIdentityResponse>`;
}

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** A service on a loopback port that answers everything the same way, and the bodies of the requests so far. */
async function serve(answer: () => object | string) {
  const requests: string[] = [];
  const server: Server = createServer((request: IncomingMessage, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      requests.push(Buffer.concat(parts).toString());
      const content = answer();
      response.end(typeof content === 'string' ? content : JSON.stringify(content));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/keys`, requests, stop };
}
