/** The objects below a prefix, page by page, each page looked at with distrust: half a list makes files look lost. */
import type { _Object } from '@aws-sdk/client-s3';
import { HoldfastError } from '../base/errors.ts';
import type { S3Connection } from './s3-client.ts';
import { failureOf, notS3 } from './s3-errors.ts';

export interface ListedPlace {
  readonly url: string;
  readonly bucket: string;
  /** With the slash at its end. */
  readonly folder: string;
}

export interface ListedPage {
  readonly objects: readonly _Object[];
  /** Undefined after the last page. */
  readonly nextToken: string | undefined;
}

/** Empty where there is no bucket yet. Throws what the SDK throws, and STORE_FAILED for an answer that is no listing. */
export async function listPage(
  { sdk, client }: S3Connection,
  { url, bucket, folder }: ListedPlace,
  token: string | undefined,
  seenTokens: Set<string>,
): Promise<ListedPage> {
  const failed = (reason: string) => new HoldfastError('STORE_FAILED', { url, operation: `listing ${folder}`, reason });
  const position = token === undefined ? {} : { ContinuationToken: token };
  const command = new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: folder, ...position });
  const page = await client.send(command).catch((error: unknown) => {
    // A bucket that goes while it is listed is not an end of the list.
    if (failureOf(error).name === 'NoSuchBucket' && token === undefined) return undefined;
    throw error;
  });
  if (!page) return { objects: [], nextToken: undefined };
  // A web page with status 200 reads as an empty list, and so does one that was cut off.
  if (page.Name === undefined) throw failed(notS3);
  if (page.Prefix !== undefined && page.Prefix !== folder) {
    throw failed(`the server sent the list of "${page.Prefix}" instead`);
  }
  const objects = page.Contents ?? [];
  if (!page.IsTruncated) return { objects, nextToken: undefined };
  const nextToken = page.NextContinuationToken;
  if (nextToken === undefined) throw failed('the server does not say how to go on');
  if (seenTokens.has(nextToken)) throw failed('the server sends the same part of the list again and again');
  seenTokens.add(nextToken);
  return { objects, nextToken };
}
