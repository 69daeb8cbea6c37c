/**
 * A repository in an S3 bucket, in restic's layout. Every upload carries its SHA-256, which the server verifies, and
 * `If-None-Match: *`, so that nothing is ever overwritten.
 */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import { alreadyThere, filePath, isFileName, kindOf } from './file-path.ts';
import { checkRange, tooShort } from './range.ts';
import { connectS3, type S3Connection, type S3Options } from './s3-client.ts';
import { failureOf, isMissing, notS3, s3Error } from './s3-errors.ts';
import { listPage } from './s3-listing.ts';
import { bytesOf } from './s3-read-handler.ts';
import { readS3Settings, type S3Settings } from './s3-settings.ts';
import { uploadHeaders, uploadObject } from './s3-upload.ts';
import type { FileType, Range, Store, StoredFile } from './store.ts';
import type { S3Location } from './store-location.ts';

/**
 * Nothing is asked of the server yet. `url` is the address as it is shown. Throws STORE_OPTION_INVALID for settings that
 * cannot be used.
 */
export async function openS3Store(place: S3Place & S3Options): Promise<Store> {
  const settings = readS3Settings(place.env ?? {});
  return new S3Store(place, await connectS3(place, settings, place), settings);
}

/** Where the repository is, see S3Location. */
export interface S3Place extends Omit<S3Location, 'kind'> {
  readonly url: string;
}

class S3Store implements Store {
  readonly url: string;
  readonly uploadsAtOnce = 5;
  /** The large ones promise it, many others do not say. */
  readonly listsAtOnce = false;
  readonly #place: S3Place;
  readonly #connection: S3Connection;
  readonly #settings: S3Settings;
  /** Until the server says that it does not know `If-None-Match` on uploads. */
  #hasConditionalPut = true;

  constructor(place: S3Place, connection: S3Connection, settings: S3Settings) {
    this.url = place.url;
    this.#place = place;
    this.#connection = connection;
    this.#settings = settings;
  }

  put(type: FileType, name: string, bytes: Uint8Array, sha256?: string): Promise<void> {
    const key = this.#key(type, name);
    return this.#named('writing', type, name, async () => {
      const hash = sha256 ?? sha256Of(bytes);
      try {
        await this.#putOnce(type, name, key, bytes, hash);
      } catch (error) {
        const isNew = type === 'config' || type === 'keys';
        if (!isNew || failureOf(error).name !== 'NoSuchBucket') throw error;
        await this.#createBucket();
        await this.#putOnce(type, name, key, bytes, hash);
      }
    });
  }

  get(type: FileType, name: string, range?: Range): Promise<Buffer> {
    const key = this.#key(type, name);
    if (range) checkRange(range);
    return this.#named('reading', type, name, async () => {
      if (range?.length === 0) return await this.#getNothing(type, name, range);
      const { sdk, client } = this.#connection;
      const header = range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
      try {
        const answer = await client.send(new sdk.GetObjectCommand({ ...this.#target(key), ...header }));
        if ((answer.ETag === undefined && !answer.LastModified) || !answer.Body)
          throw this.#failed('reading', name, notS3);
        const bytes = await bytesOf(answer.Body);
        if (!range || isThatPart(answer.ContentRange, bytes.length, range)) return bytes;
        if (answer.ContentRange?.startsWith(`bytes ${range.offset}-`)) throw tooShort(range, type, name);
        throw this.#failed('reading', name, 'the server sent something else where a part of the file was asked for');
      } catch (error) {
        if (range && failureOf(error).status === 416) throw tooShort(range, type, name);
        if (isMissing(error)) throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf(type), name }, { cause: error });
        throw error;
      }
    });
  }

  stat(type: FileType, name: string): Promise<StoredFile | undefined> {
    const key = this.#key(type, name);
    return this.#named('looking for', type, name, async () => {
      const { sdk, client } = this.#connection;
      try {
        const answer = await client.send(new sdk.HeadObjectCommand(this.#target(key)));
        if (answer.ETag === undefined || answer.ContentLength === undefined || !answer.LastModified) {
          throw this.#failed('looking for', name, notS3);
        }
        return { name, sizeBytes: answer.ContentLength, modifiedMs: answer.LastModified.getTime() };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    });
  }

  async *list(type: FileType): AsyncIterable<StoredFile> {
    if (type === 'config') {
      const config = await this.stat('config', 'config');
      if (config) yield config;
      return;
    }
    const place = { url: this.url, bucket: this.#place.bucket, folder: this.#inPrefix(`${type}/`) };
    const seenTokens = new Set<string>();
    let token: string | undefined;
    do {
      const page = await this.#named('listing', type, '', () => listPage(this.#connection, place, token, seenTokens));
      for (const { Key: key = '', Size: sizeBytes, LastModified: modified } of page.objects) {
        const name = key.slice(key.lastIndexOf('/') + 1);
        if (!isFileName(name) || key !== this.#key(type, name)) continue;
        if (sizeBytes === undefined || !modified) throw this.#failed('listing', type, notS3);
        yield { name, sizeBytes, modifiedMs: modified.getTime() };
      }
      token = page.nextToken;
    } while (token !== undefined);
  }

  remove(type: FileType, name: string): Promise<void> {
    const key = this.#key(type, name);
    return this.#named('removing', type, name, async () => {
      const { sdk, client } = this.#connection;
      try {
        const { $metadata } = await client.send(new sdk.DeleteObjectCommand(this.#target(key)));
        // Anything else might be a login page; only then it is worth a second request.
        if ($metadata.httpStatusCode === 204 || !(await this.stat(type, name))) return;
      } catch (error) {
        if (isMissing(error)) return;
        throw error;
      }
      throw this.#failed('removing', name, 'the server said yes, but it is still there');
    });
  }

  replaceConfig(bytes: Uint8Array): Promise<void> {
    return this.#named('replacing', 'config', 'config', async () => {
      if (!(await this.stat('config', 'config'))) {
        throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf('config'), name: 'config' });
      }
      await this.#upload('config', this.#key('config', 'config'), bytes, sha256Of(bytes), false);
    });
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async #putOnce(type: FileType, name: string, key: string, bytes: Uint8Array, hash: string): Promise<void> {
    if (!this.#hasConditionalPut) {
      const there = await this.stat(type, name);
      if (there && alreadyThere(this.url, type, name, bytes.length, there.sizeBytes)) return;
    }
    try {
      await this.#upload(type, key, bytes, hash, this.#hasConditionalPut);
    } catch (error) {
      const { name: problem, status, attempts } = failureOf(error);
      if (status === 412) {
        await this.#settleConflict(type, name, bytes, attempts);
      } else if (this.#hasConditionalPut && (status === 501 || problem === 'NotImplemented')) {
        this.#hasConditionalPut = false;
        await this.#putOnce(type, name, key, bytes, hash);
      } else {
        throw error;
      }
    }
  }

  #upload(type: FileType, key: string, bytes: Uint8Array, sha256: string, onlyNew: boolean): Promise<void> {
    const upload = { bucket: this.#place.bucket, key, bytes, sha256, onlyNew };
    return uploadObject(this.#connection, upload, { url: this.url, headers: uploadHeaders(this.#settings, type) });
  }

  /** The name was taken: by the same file, by our own first attempt whose answer was lost, or by somebody else's config. */
  async #settleConflict(type: FileType, name: string, bytes: Uint8Array, attempts: number): Promise<void> {
    if (type === 'config' && attempts > 1 && (await this.get(type, name)).equals(bytes)) return;
    const there = await this.stat(type, name);
    // Gone again: the next attempt may find the name free.
    if (!there) throw this.#failed('writing', name, 'it was made and removed by somebody else meanwhile');
    alreadyThere(this.url, type, name, bytes.length, there.sizeBytes);
  }

  async #createBucket(): Promise<void> {
    const { sdk, client } = this.#connection;
    try {
      await client.send(new sdk.CreateBucketCommand({ Bucket: this.#place.bucket }));
    } catch (error) {
      if (!['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes(failureOf(error).name)) throw error;
    }
  }

  /** An empty range cannot be put into a header; the file must still be there and reach that far. */
  async #getNothing(type: FileType, name: string, range: Range): Promise<Buffer> {
    const there = await this.stat(type, name);
    if (!there) throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf(type), name });
    if (range.offset > there.sizeBytes) throw tooShort(range, type, name, there.sizeBytes);
    return Buffer.alloc(0);
  }

  #target(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: key };
  }

  #key(type: FileType, name: string): string {
    return this.#inPrefix(filePath(type, name));
  }

  #inPrefix(path: string): string {
    return this.#place.prefix === '' ? path : `${this.#place.prefix}/${path}`;
  }

  #failed(verb: string, name: string, reason: string): HoldfastError {
    return new HoldfastError('STORE_FAILED', { url: this.url, operation: `${verb} ${name}`, reason });
  }

  async #named<T>(verb: string, type: FileType, name: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      const what = `${kindOf(type)} ${name}`.trim();
      const permission = permissionFor(verb);
      throw s3Error(error, { url: this.url, operation: `${verb} ${what}`, name: what, permission });
    }
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Two answers that were mixed up have other ranges. */
function isThatPart(contentRange: string | undefined, sizeBytes: number, { offset, length }: Range): boolean {
  return sizeBytes === length && contentRange?.startsWith(`bytes ${offset}-${offset + length - 1}/`) === true;
}

/** What AWS calls the right to do it, or the rights: without that to list, what is missing reads as forbidden. */
function permissionFor(verb: string): string {
  const names: Record<string, string> = {
    reading: 's3:GetObject and s3:ListBucket',
    'looking for': 's3:GetObject and s3:ListBucket',
    listing: 's3:ListBucket',
    removing: 's3:DeleteObject',
  };
  return names[verb] ?? 's3:PutObject (and, with a key of KMS, kms:GenerateDataKey)';
}
