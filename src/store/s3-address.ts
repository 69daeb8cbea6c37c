/** Where a bucket's server is, and which region signs for it. */
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Settings, Variables } from './s3-settings.ts';

const ownRules = /^s3(?:[.-](dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?:\.cn)?$/;
/** Servers of these want the bucket in front of the host. */
const wantDns = /\.(?:aliyuncs\.com|myqcloud\.com|myhuaweicloud\.com|volces\.com)$/;

/** AWS is reached by the SDK's own rules; any other host with the bucket in the path, which every server understands. */
export function addressOf(endpoint: string, { bucketLookup }: S3Settings): S3ClientConfig {
  const { hostname } = new URL(endpoint);
  const aws = ownRules.exec(hostname);
  if (aws) return { useDualstackEndpoint: aws[1] !== undefined, forcePathStyle: bucketLookup === 'path' };
  const isDns = bucketLookup === 'dns' || (bucketLookup === 'auto' && wantDns.test(hostname));
  return { endpoint, forcePathStyle: !isDns };
}

export interface Region {
  /** A provider as the SDK takes it. */
  get(): Promise<string>;
  /** Uses the region that the server told. False where the user insists on another. */
  follow(region: string): boolean;
}

/**
 * What was set, what the host's name says, or what `fallback` finds (the profile of the SDK); else us-east-1, which
 * servers that have no regions expect. A server that knows better is believed, unless the user said `s3.region`.
 */
export function regionOf(
  endpoint: string,
  settings: S3Settings,
  env: Variables,
  fallback: () => Promise<string>,
): Region {
  const { hostname } = new URL(endpoint);
  const inHost = hostname.endsWith('.amazonaws.com') || hostname.endsWith('.amazonaws.com.cn');
  const ofHost = inHost ? /(?:^|[.-])([a-z]{2}(?:-[a-z]+)+-\d+)\./.exec(hostname)?.[1] : undefined;
  const told = settings.region ?? ofHost ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined);
  let current = told === undefined ? undefined : Promise.resolve(told);
  return {
    get() {
      current ??= fallback().catch(() => 'us-east-1');
      return current;
    },
    follow(region) {
      if (settings.region !== undefined) return false;
      current = Promise.resolve(region);
      return true;
    },
  };
}
