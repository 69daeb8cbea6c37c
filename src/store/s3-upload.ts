/** One upload: the hash that is known already, in the signature and for the server to verify, and what the user set. */
import type { PutObjectCommand, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { HoldfastError } from '../base/errors.ts';
import type { S3Connection } from './s3-client.ts';
import { notS3 } from './s3-errors.ts';
import type { S3Settings } from './s3-settings.ts';
import type { FileType } from './store.ts';

export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly bytes: Uint8Array;
  /** In hex. */
  readonly sha256: string;
  /** Refuses to write over what is there. */
  readonly onlyNew: boolean;
}

/** Throws what the SDK throws, and STORE_FAILED for an answer that is not about these bytes. */
export async function uploadObject(
  { sdk, client }: S3Connection,
  upload: Upload,
  settings: UploadSettings,
): Promise<void> {
  const { bucket, key, bytes, sha256, onlyNew } = upload;
  const command = new sdk.PutObjectCommand({
    Bucket: bucket,
    Key: key,
    // The same memory, not a copy; the SDK hands a Buffer to the socket as it is.
    Body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    ...(onlyNew ? { IfNoneMatch: '*' } : {}),
    ...settings.headers,
  });
  const base64 = Buffer.from(sha256, 'hex').toString('base64');
  addKnownHash(command, sha256, base64);
  const answer = await client.send(command);
  const failed = (reason: string) =>
    new HoldfastError('STORE_FAILED', { url: settings.url, operation: `writing ${key}`, reason });
  if (answer.ETag === undefined) throw failed(notS3);
  if (answer.ChecksumSHA256 !== undefined && answer.ChecksumSHA256 !== base64) {
    throw failed('the server confirms other bytes than those that were sent');
  }
}

export interface UploadSettings {
  readonly url: string;
  readonly headers: Partial<PutObjectCommandInput>;
}

/** Storage class and encryption as headers. */
export function uploadHeaders(
  { storageClass, encryption }: S3Settings,
  type: FileType,
): Partial<PutObjectCommandInput> {
  return {
    ...(storageClass === undefined || type !== 'data'
      ? {}
      : { StorageClass: storageClass as NonNullable<PutObjectCommandInput['StorageClass']> }),
    ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.algorithm }),
    ...(encryption?.kmsKeyId === undefined ? {} : { SSEKMSKeyId: encryption.kmsKeyId }),
    ...(encryption?.bucketKey === undefined ? {} : { BucketKeyEnabled: encryption.bucketKey }),
  };
}

/** Has the signature and the server use that hash, and the SDK compute none. */
function addKnownHash(command: PutObjectCommand, sha256: string, base64: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(request.headers as object, {
          'x-amz-content-sha256': sha256,
          'x-amz-checksum-sha256': base64,
        });
      }
      return next(args);
    },
    { step: 'build', priority: 'high' },
  );
}
