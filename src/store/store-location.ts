/** Reads repository addresses, in restic's syntax. */
import { HoldfastError } from '../base/errors.ts';

export interface FolderLocation {
  readonly kind: 'folder';
  /** As given: relative to the working folder, or absolute. */
  readonly path: string;
}

export interface S3Location {
  readonly kind: 's3';
  /** Scheme, host and port: 'https://s3.example.org:9000'. */
  readonly endpoint: string;
  readonly bucket: string;
  /** Folder in the bucket without slashes at its ends, '' for the bucket itself. */
  readonly prefix: string;
}

export type StoreLocation = FolderLocation | S3Location;

/**
 * Takes apart `/path`, `local:path`, `s3:https://host/bucket/prefix`, `s3:host/bucket/prefix` (https) and
 * `s3://host/bucket` (the same). Anything else is REPOSITORY_URL_INVALID, credentials in an address too:
 * addresses are written to logs.
 */
export function parseLocation(url: string): StoreLocation {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    if (url.trim() === '') throw invalid(url, 'it is empty');
    return { kind: 'folder', path: url };
  }
  const rest = url.slice(scheme.length + 1);
  if (scheme === 'local') {
    if (rest === '') throw invalid(url, 'it names no folder');
    return { kind: 'folder', path: rest };
  }
  if (scheme === 's3') return parseS3(url, rest);
  const hint = `it starts with "${scheme}:", and only folders and s3: are supported (a folder of that name is local:…)`;
  throw invalid(url, hint);
}

function parseS3(url: string, rest: string): S3Location {
  const address = /^https?:\/\//i.test(rest) ? rest : `https://${rest.replace(/^\/\//, '')}`;
  if (!URL.canParse(address)) throw invalid(url, 'it has no host');
  const parsed = new URL(address);
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalid(url, 'credentials do not belong into an address; use AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY');
  }
  if (parsed.search !== '' || parsed.hash !== '') throw invalid(url, '"?" and "#" cannot be part of it');
  // The URL parser has resolved them already, which would lead to another bucket than the one that was named.
  if (/\/(?:\.|%2e){1,2}(?:\/|$)/i.test(address)) throw invalid(url, '"." and ".." cannot be part of it');
  const [bucket, ...folders] = pathOf(url, parsed)
    .split('/')
    .filter((part) => part !== '');
  if (bucket === undefined) throw invalid(url, 'it names no bucket');
  return { kind: 's3', endpoint: parsed.origin, bucket, prefix: folders.join('/') };
}

function pathOf(url: string, parsed: URL): string {
  try {
    return decodeURIComponent(parsed.pathname);
  } catch {
    throw invalid(url, 'a "%" in it is not followed by two hexadecimal digits');
  }
}

function invalid(url: string, reason: string): HoldfastError {
  return new HoldfastError('REPOSITORY_URL_INVALID', { url: withoutCredentials(url), reason });
}

/** The address as it may be shown: what stands before an @ of the host is replaced. */
export function withoutCredentials(url: string): string {
  return url.replace(/^((?:[a-z0-9+.-]+:)*(?:\/\/)?)[^/@]*(?:@[^/@]*)*@/i, '$1***@');
}
