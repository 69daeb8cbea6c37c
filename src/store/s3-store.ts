/**
 * A repository in an S3 bucket, in restic's layout. Every upload carries its SHA-256, which the server verifies, and
 * `If-None-Match: *`, so that nothing is ever overwritten.
 */
import { createHash } from 'node:crypto';
import type { PutObjectCommand } from '@aws-sdk/client-s3';
import { HoldfastError } from '../base/errors.ts';
import { alreadyThere, filePath, isFileName, kindOf } from './file-path.ts';
import { checkRange, tooShort } from './range.ts';
import { connectS3, type S3Connection, type S3Options } from './s3-client.ts';
import { failureOf, isMissing, s3Error } from './s3-errors.ts';
import { WholeBody } from './s3-read-handler.ts';
import type { FileType, Range, Store, StoredFile } from './store.ts';
import type { S3Location } from './store-location.ts';

const notS3 = 'the answer is not one of an S3 server; is there a proxy or a login page in between?';

/** Nothing is asked of the server yet. `url` is the address as it is shown. */
export async function openS3Store(place: S3Place & S3Options): Promise<Store> {
  return new S3Store(place, await connectS3(place, place));
}

/** Where the repository is, see S3Location. */
export interface S3Place extends Omit<S3Location, 'kind'> {
  readonly url: string;
}

class S3Store implements Store {
  readonly url: string;
  readonly uploadsAtOnce = 5;
  readonly #place: S3Place;
  readonly #connection: S3Connection;
  /** Until the server says that it does not know `If-None-Match` on uploads. */
  #hasConditionalPut = true;

  constructor(place: S3Place, connection: S3Connection) {
    this.url = place.url;
    this.#place = place;
    this.#connection = connection;
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
        if (!(answer.Body instanceof WholeBody)) throw this.#failed('reading', name, notS3);
        const { bytes } = answer.Body;
        if (!range || (answer.ContentRange !== undefined && bytes.length === range.length)) return bytes;
        if (answer.ContentRange !== undefined) throw tooShort(range, type, name);
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
    const folder = this.#inPrefix(`${type}/`);
    for (let token: string | undefined, isLast = false; !isLast; ) {
      const page = await this.#named('listing', type, '', () => this.#listPage(folder, token));
      for (const { Key: key = '', Size: sizeBytes, LastModified: modified } of page?.Contents ?? []) {
        const name = key.slice(key.lastIndexOf('/') + 1);
        if (!isFileName(name) || key !== this.#key(type, name)) continue;
        if (sizeBytes === undefined || !modified) throw this.#failed('listing', type, notS3);
        yield { name, sizeBytes, modifiedMs: modified.getTime() };
      }
      token = page?.NextContinuationToken;
      isLast = !page?.IsTruncated;
      // Half a list would make files look lost.
      if (!isLast && token === undefined) throw this.#failed('listing', type, 'the server does not say how to go on');
    }
  }

  remove(type: FileType, name: string): Promise<void> {
    const key = this.#key(type, name);
    return this.#named('removing', type, name, async () => {
      const { sdk, client } = this.#connection;
      try {
        await client.send(new sdk.DeleteObjectCommand(this.#target(key)));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    });
  }

  replaceConfig(bytes: Uint8Array): Promise<void> {
    return this.#named('replacing', 'config', 'config', async () => {
      if (!(await this.stat('config', 'config'))) {
        throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf('config'), name: 'config' });
      }
      await this.#upload('config', this.#key('config', 'config'), bytes, sha256Of(bytes), {});
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
      await this.#upload(name, key, bytes, hash, this.#hasConditionalPut ? { IfNoneMatch: '*' } : {});
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

  async #upload(
    name: string,
    key: string,
    bytes: Uint8Array,
    hash: string,
    only: { IfNoneMatch?: '*' },
  ): Promise<void> {
    const { sdk, client } = this.#connection;
    // The same memory, not a copy; the SDK hands a Buffer to the socket as it is.
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const command = new sdk.PutObjectCommand({ ...this.#target(key), Body: body, ...only });
    addKnownHash(command, hash);
    const answer = await client.send(command);
    if (answer.ETag === undefined) throw this.#failed('writing', name, notS3);
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

  /** Undefined where there is no bucket. */
  async #listPage(folder: string, token: string | undefined) {
    const { sdk, client } = this.#connection;
    const position = token === undefined ? {} : { ContinuationToken: token };
    try {
      const page = await client.send(
        new sdk.ListObjectsV2Command({ Bucket: this.#place.bucket, Prefix: folder, ...position }),
      );
      // A web page with status 200 reads as an empty list.
      if (page.KeyCount === undefined && page.Name === undefined) throw this.#failed('listing', folder, notS3);
      return page;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
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
      throw s3Error(error, { url: this.url, operation: `${verb} ${what}`, name: what });
    }
  }
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Has the signature and the server use a hash that is known already, and the SDK compute none. */
function addKnownHash(command: PutObjectCommand, sha256: string): void {
  const base64 = Buffer.from(sha256, 'hex').toString('base64');
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
