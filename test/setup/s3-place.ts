/** Places for repositories on the S3 server of the run. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { s3Access } from './needs.ts';
import type { S3Access } from './s3-server.ts';

export interface S3Place {
  /** A bucket that does not exist yet, and a folder in it. */
  readonly url: string;
  readonly endpoint: string;
  readonly bucket: string;
  readonly prefix: string;
  /** AWS_… with the keys of the server. */
  readonly env: Record<string, string>;
  /** Where the server keeps the objects of the place as files. */
  readonly folder: string;
}

/** A new place; `endpoint` is another way to the same server. */
export function newS3Place(endpoint = s3Access().endpoint): S3Place {
  const access = s3Access();
  const bucket = `bucket-${randomBytes(6).toString('hex')}`;
  const prefix = 'some/folder';
  const url = `s3:${endpoint}/${bucket}/${prefix}`;
  return { url, endpoint, bucket, prefix, env: s3Env(access), folder: join(access.dataFolder, bucket, prefix) };
}

export function s3Env(access: S3Access = s3Access()): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_REGION: access.region,
  };
}

/** Writes an object of that place behind the back of the store. */
export async function addObject(place: S3Place, path: string, content: string | Uint8Array): Promise<void> {
  const file = join(place.folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}
