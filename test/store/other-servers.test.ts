/**
 * The promises of a store on servers that are not there in every run: MinIO where HOLDFAST_TEST_MINIO names its program,
 * any other where HOLDFAST_TEST_S3 is its address (http://host:port) and AWS_… hold its keys.
 */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open-store.ts';
import { openS3Store } from '../../src/store/s3-store.ts';
import { listed, someFile, storeContract } from '../contract/store-contract.ts';
import { type MinioServer, startMinioServer } from '../setup/minio-server.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const { HOLDFAST_TEST_MINIO: program = '', HOLDFAST_TEST_S3: address = '' } = process.env;
const own = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_REGION', 'HOLDFAST_OPTIONS'];
const ownEnv = Object.fromEntries(own.flatMap((name) => (process.env[name] ? [[name, process.env[name] ?? '']] : [])));

describe.skipIf(program === '')('on MinIO', () => {
  let server: MinioServer;
  beforeAll(async () => {
    server = await startMinioServer(program);
  }, 60_000);
  afterAll(() => server?.stop());

  onServer(() => server);

  test('uploads are encrypted by the server and lie in the class that was asked for', async () => {
    const options = 's3.sse=AES256 s3.storage-class=REDUCED_REDUNDANCY';
    const { place, client } = newPlace(server, options);
    const store = await openS3Store(place);
    const { name, bytes } = someFile(1000);
    await store.put('config', 'config', Buffer.from('config'));
    await store.put('data', name, bytes, name);
    expect(await store.get('data', name)).toEqual(bytes);
    const head = (path: string) =>
      client.send(new HeadObjectCommand({ Bucket: place.bucket, Key: `${place.prefix}/${path}` }));
    const [pack, config] = [await head(`data/${name.slice(0, 2)}/${name}`), await head('config')];
    expect(pack).toMatchObject({ ServerSideEncryption: 'AES256', StorageClass: 'REDUCED_REDUNDANCY' });
    expect(config.ServerSideEncryption).toBe('AES256');
    expect(config.StorageClass).toBeUndefined();
    await store.close();
  });
});

describe.skipIf(address === '')('on the server of HOLDFAST_TEST_S3', () => {
  onServer(() => ({ endpoint: address, env: ownEnv }));
});

interface Server {
  readonly endpoint: string;
  readonly env: Record<string, string>;
}

function newPlace({ endpoint, env }: Server, options = env.HOLDFAST_OPTIONS ?? '') {
  const bucket = `holdfast-${randomBytes(6).toString('hex')}`;
  const prefix = 'some/folder';
  const url = `s3:${endpoint}/${bucket}/${prefix}`;
  const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '', AWS_REGION: region } = env;
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint, region: region ?? 'us-east-1', credentials, forcePathStyle: true });
  return { place: { endpoint, bucket, prefix, url, env: { ...env, HOLDFAST_OPTIONS: options } }, client };
}

function onServer(server: () => Server): void {
  storeContract({
    name: 'a bucket',
    needsPlace: true,
    open: async () => {
      const { place, client } = newPlace(server());
      return {
        store: await openS3Store(place),
        again: () => openS3Store(place),
        addStray: async (path) => {
          const Key = `${place.prefix}/${path}`;
          await client.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body: 'stray' }));
        },
      };
    },
  });

  test('a bucket whose objects are locked takes a repository, and keeps what is removed', async () => {
    const { place, client } = newPlace(server());
    await client.send(new CreateBucketCommand({ Bucket: place.bucket, ObjectLockEnabledForBucket: true }));
    const store = await openStore(place.url, { env: place.env });
    const { name, bytes } = someFile(1000);
    await store.put('config', 'config', Buffer.from('config'));
    await store.put('locks', name, bytes, name);
    await store.remove('locks', name);
    expect(await listed(store, 'locks')).toEqual([]);
    await store.close();
  });

  test('restic works on the same repository', async () => {
    const { place } = newPlace(server());
    const env = { ...place.env, RESTIC_REPOSITORY: place.url, RESTIC_PASSWORD: 'test' };
    await restic(['init'], { env });
    await restic(['backup', await tempDir()], { env });
    const store = await openStore(place.url, { env: place.env });
    expect(await listed(store, 'snapshots')).toHaveLength(1);
    await store.close();
  });
}
