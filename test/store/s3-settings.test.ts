import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addressOf, regionOf } from '../../src/store/s3-address.ts';
import { readS3Settings } from '../../src/store/s3-settings.ts';
import { uploadHeaders } from '../../src/store/s3-upload.ts';
import { readTls } from '../../src/store/tls-files.ts';
import { testWith } from '../setup/needs.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { newCertificate } from '../setup/tls-front.ts';

const settingsOf = (options: string) => readS3Settings({ HOLDFAST_OPTIONS: options });

describe('settings of a bucket', () => {
  test('are pairs with white space between them, of which the last counts', () => {
    expect(settingsOf('')).toEqual({ bucketLookup: 'auto' });
    expect(settingsOf(' s3.region=a\n s3.Region=eu-central-1 s3.bucket-lookup=DNS s3.connections=4')).toEqual({
      region: 'eu-central-1',
      bucketLookup: 'dns',
      connections: 4,
    });
    expect(settingsOf('s3.sse=aws:kms s3.sse-kms-key-id=arn:aws:kms:a:1:key/b=c s3.sse-bucket-key=true')).toEqual({
      bucketLookup: 'auto',
      encryption: { algorithm: 'aws:kms', kmsKeyId: 'arn:aws:kms:a:1:key/b=c', bucketKey: true },
    });
    expect(settingsOf('s3.sse-kms-key-id=k').encryption).toEqual({ algorithm: 'aws:kms', kmsKeyId: 'k' });
  });

  test.each([
    ['s3.regoin=x', /no such option.*s3\.region/],
    ['local.layout=default', /no such option/],
    ['s3.region', /no value/],
    ['s3.region=', /no value/],
    ['s3.connections=0', /1 to 1000/],
    ['s3.connections=many', /1 to 1000/],
    ['s3.bucket-lookup=host', /auto, path, dns/],
    ['s3.sse=AES128', /AES256, aws:kms/],
    ['s3.sse=AES256 s3.sse-kms-key-id=k', /aws:kms/],
    ['s3.sse-bucket-key=true', /s3\.sse/],
    ['s3.storage-class=glacier', /GLACIER_IR/],
    ['s3.storage-class=DEEP_ARCHIVE', /read back/],
  ])('%s is refused with the reason', (options, reason) => {
    expect(() => settingsOf(options)).toThrow(reason);
    expect(() => settingsOf(options)).toThrow(expect.objectContaining({ code: 'STORE_OPTION_INVALID' }));
  });

  test('name certificates as restic and the AWS tools do', () => {
    const all = {
      AWS_CA_BUNDLE: '/aws',
      RESTIC_CACERT: '/restic',
      HOLDFAST_CACERT: '/own',
      RESTIC_TLS_CLIENT_CERT: '/c',
    };
    expect(readS3Settings(all)).toMatchObject({ authorities: { value: '/own' }, clientCertificate: { value: '/c' } });
    expect(readS3Settings({ ...all, HOLDFAST_CACERT: '' })).toMatchObject({ authorities: { value: '/restic' } });
    expect(readS3Settings({ AWS_CA_BUNDLE: '/aws' })).toMatchObject({ authorities: { value: '/aws' } });
  });

  test('put packs into a storage class, and encrypt everything', () => {
    const settings = settingsOf(
      's3.storage-class=STANDARD_IA s3.sse=aws:kms s3.sse-kms-key-id=k s3.sse-bucket-key=true',
    );
    const encrypted = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'k', BucketKeyEnabled: true };
    expect(uploadHeaders(settings, 'data')).toEqual({ ...encrypted, StorageClass: 'STANDARD_IA' });
    for (const type of ['locks', 'index', 'snapshots', 'keys', 'config'] as const) {
      expect(uploadHeaders(settings, type)).toEqual(encrypted);
    }
    expect(uploadHeaders(settingsOf('s3.sse=AES256'), 'data')).toEqual({ ServerSideEncryption: 'AES256' });
  });
});

describe('a server', () => {
  test.each([
    ['https://s3.example.org:9000', 'auto', { endpoint: 'https://s3.example.org:9000', forcePathStyle: true }],
    ['https://s3.example.org', 'dns', { endpoint: 'https://s3.example.org', forcePathStyle: false }],
    ['https://oss-eu-1.aliyuncs.com', 'auto', { endpoint: 'https://oss-eu-1.aliyuncs.com', forcePathStyle: false }],
    ['https://oss-eu-1.aliyuncs.com', 'path', { endpoint: 'https://oss-eu-1.aliyuncs.com', forcePathStyle: true }],
    ['https://s3.amazonaws.com', 'auto', { useDualstackEndpoint: false, forcePathStyle: false }],
    ['https://s3.eu-central-1.amazonaws.com', 'path', { useDualstackEndpoint: false, forcePathStyle: true }],
    ['https://s3.dualstack.eu-west-1.amazonaws.com', 'auto', { useDualstackEndpoint: true, forcePathStyle: false }],
  ] as const)('%s is addressed (%s) as it wants to be', (endpoint, bucketLookup, address) => {
    expect(addressOf(endpoint, { bucketLookup })).toEqual(address);
  });

  const unset = () => Promise.reject(new Error('no profile'));
  test.each([
    ['https://s3.amazonaws.com', '', {}, 'us-east-1'],
    ['https://s3.eu-central-1.amazonaws.com', '', { AWS_REGION: 'eu-west-1' }, 'eu-central-1'],
    ['https://s3-us-west-2.amazonaws.com', '', {}, 'us-west-2'],
    ['https://s3.cn-north-1.amazonaws.com.cn', '', {}, 'cn-north-1'],
    ['https://b.vpce-1.s3.us-gov-west-1.vpce.amazonaws.com', '', {}, 'us-gov-west-1'],
    ['https://s3.eu-central-1.amazonaws.com', 's3.region=eu-west-3', {}, 'eu-west-3'],
    ['https://s3.eu-central-1.example.org', '', { AWS_REGION: 'r' }, 'r'],
    ['https://s3.example.org', '', { AWS_DEFAULT_REGION: 'd', AWS_REGION: '' }, 'd'],
    ['https://s3.example.org', '', {}, 'us-east-1'],
  ])('%s with "%s" and %o has its region', async (endpoint, options, env, region) => {
    expect(await regionOf(endpoint, settingsOf(options), env, unset).get()).toBe(region);
  });

  test('that knows another region is believed, unless the user insists', async () => {
    const free = regionOf('https://s3.example.org', settingsOf(''), { AWS_REGION: 'a' }, unset);
    expect(free.follow('b')).toBe(true);
    expect(await free.get()).toBe('b');
    const firm = regionOf('https://s3.example.org', settingsOf('s3.region=a'), {}, unset);
    expect(firm.follow('b')).toBe(false);
    expect(await firm.get()).toBe('a');
  });

  test('that is in no variable has the region of the profile', async () => {
    const region = regionOf('https://s3.amazonaws.com', settingsOf(''), {}, async () => 'eu-south-1');
    expect(await region.get()).toBe('eu-south-1');
  });
});

describe('certificates', () => {
  testWith('openssl', 'are read from a file or the variable itself, alone or with a key', async () => {
    const { certificate, key } = await newCertificate(await tempDir(), ['localhost']);
    const file = join(await tempDir(), 'both.pem');
    await writeFile(file, key + certificate);
    const from = 'RESTIC_CACERT';
    expect(await readTls()).toEqual({});
    expect(await readTls({ value: certificate, from })).toHaveProperty('secureContext');
    expect(await readTls({ value: file, from }, { value: file, from })).toHaveProperty('secureContext');
    await expect(readTls(undefined, { value: certificate, from })).rejects.toMatchObject({
      code: 'STORE_OPTION_INVALID',
    });
    const broken = certificate.replace(/\n.{20}/, '\n####################');
    await expect(readTls({ value: broken, from })).rejects.toMatchObject({ code: 'STORE_OPTION_INVALID' });
    const other = { value: (await newCertificate(await tempDir(), ['localhost'])).key + certificate, from };
    await expect(readTls(undefined, other)).rejects.toMatchObject({ code: 'STORE_OPTION_INVALID' });
  });

  test('that are not there or none are told with the variable that named them, and never with a key', async () => {
    const from = 'RESTIC_CACERT';
    await expect(readTls({ value: '/not/there', from })).rejects.toMatchObject({
      code: 'SOURCE_UNREADABLE',
      message: expect.stringMatching(/\/not\/there.*RESTIC_CACERT/),
    });
    const text = { value: '-----BEGIN PRIVATE KEY-----secret', from };
    const error = await readTls(undefined, text).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'STORE_OPTION_INVALID' });
    expect(JSON.stringify(error)).not.toContain('secret');
  });
});
