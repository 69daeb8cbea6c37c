/** The policies of docs/stores.md, on a real server: what they allow is enough, and what they forbid is told. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutObjectLockConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { openStore } from '../../src/store/open-store.ts';
import type { FileType, Store } from '../../src/store/store.ts';
import { listed, someFile } from '../contract/store-contract.ts';
import { describeWith, s3Access } from '../setup/needs.ts';
import { newS3Place, type S3Place } from '../setup/s3-place.ts';
import { addUser } from '../setup/s3-server.ts';

const types = ['keys', 'snapshots', 'index', 'locks', 'data'] as const;

/** A JSON block of the document, by the word after its fence. */
function policyOf(name: string, { bucket, prefix }: S3Place, user: string): string {
  const text = readFileSync(join(import.meta.dirname, '../../docs/stores.md'), 'utf8');
  const block = new RegExp(`\`\`\`json ${name}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1] ?? '';
  const policy: { Statement: object[] } = JSON.parse(block.replaceAll('BUCKET', bucket).replaceAll('PREFIX', prefix));
  // A policy of a bucket says whom it is for; that of a user of AWS does not.
  return JSON.stringify({
    ...policy,
    Statement: policy.Statement.map((one) => ({ ...one, Principal: { AWS: [user] } })),
  });
}

function owner(): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = s3Access();
  return new S3Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true });
}

/** A repository's files, and a user with the policy. */
async function storeWith(policy: string): Promise<{ store: Store; name: string }> {
  const place = newS3Place();
  const whole = await openStore(place.url, { env: place.env });
  await whole.put('config', 'config', Buffer.from('config'));
  const { name, bytes } = someFile(1000);
  for (const type of types) await whole.put(type, name, bytes);
  await whole.close();
  const user = `user-${name.slice(0, 12)}`;
  await addUser(s3Access(), user, name, 'user');
  const command = { Bucket: place.bucket, Policy: policyOf(policy, place, user) };
  await owner().send(new PutBucketPolicyCommand(command));
  const env = { ...place.env, AWS_ACCESS_KEY_ID: user, AWS_SECRET_ACCESS_KEY: name };
  return { store: await openStore(place.url, { env }), name };
}

async function readAndAdd(store: Store, name: string): Promise<void> {
  for (const type of types) {
    const added = someFile(2000);
    expect(await listed(store, type)).toMatchObject([{ name, sizeBytes: 1000 }]);
    expect(await store.get(type, name)).toHaveLength(1000);
    expect(await store.stat(type, added.name)).toBeUndefined();
    await store.put(type, added.name, added.bytes);
    expect(await store.get(type, added.name, { offset: 1, length: 9 })).toEqual(added.bytes.subarray(1, 10));
  }
}

describeWith('s3', 'with the rights that the document names', () => {
  test('the least privileges are enough for all that a store does', async () => {
    const { store, name } = await storeWith('least-privilege');
    await readAndAdd(store, name);
    for (const type of types) {
      await store.remove(type, name);
      expect(await listed(store, type)).toHaveLength(1);
    }
    await store.replaceConfig(Buffer.from('next'));
    await store.close();
  });

  test('who may only add can back up and take locks away, but removes nothing else and is told why', async () => {
    const { store, name } = await storeWith('append-only');
    await readAndAdd(store, name);
    await store.remove('locks', name);
    expect(await listed(store, 'locks')).toHaveLength(1);
    const kept: [FileType, string][] = [['config', 'config'], ...types.map((type): [FileType, string] => [type, name])];
    for (const [type, file] of kept.filter(([type]) => type !== 'locks')) {
      await expect(store.remove(type, file)).rejects.toMatchObject({
        code: 'STORE_DENIED',
        message: expect.stringContaining('s3:DeleteObject'),
      });
      expect(await store.stat(type, file)).toBeDefined();
    }
    await store.close();
  });

  test('a bucket that locks its objects takes all files, and keeps a version of what is removed', async () => {
    const place = newS3Place();
    const client = owner();
    await client.send(new CreateBucketCommand({ Bucket: place.bucket, ObjectLockEnabledForBucket: true }));
    const rule = { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } } as const;
    const lock = { ObjectLockEnabled: 'Enabled', Rule: rule } as const;
    await client.send(new PutObjectLockConfigurationCommand({ Bucket: place.bucket, ObjectLockConfiguration: lock }));
    const store = await openStore(place.url, { env: place.env });
    await store.put('config', 'config', Buffer.from('config'));
    const { name, bytes } = someFile(1000);
    for (const type of types) await store.put(type, name, bytes, name);
    for (const type of types) {
      await store.remove(type, name);
      expect(await listed(store, type)).toEqual([]);
    }
    const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: place.bucket }));
    expect(Versions.filter(({ Key }) => Key?.endsWith(name))).toHaveLength(types.length);
    await store.close();
  });
});
