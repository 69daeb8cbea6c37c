/**
 * What a user may set about a bucket: restic's names where restic has them (`s3.region`, `RESTIC_CACERT`). All of it comes
 * as variables, so that threads and movers get it the same way as the credentials.
 */
import { HoldfastError } from '../base/errors.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

export interface S3Settings {
  readonly region?: string;
  /** Where the bucket stands: in the path, or in front of the host ('dns'). 'auto' knows the servers that want the latter. */
  readonly bucketLookup: 'auto' | 'path' | 'dns';
  /** Requests at the same time. */
  readonly connections?: number;
  /** Of packs; everything else is small, is replaced often, and is billed for more than it has in the cheaper classes. */
  readonly storageClass?: string;
  readonly encryption?: ServerEncryption;
  /** Certificates that sign the server's, instead of those of the system. */
  readonly authorities?: PemSource;
  /** Certificate and key with which the client shows who it is. */
  readonly clientCertificate?: PemSource;
}

/** Encryption by the server, on top of the repository's own. */
export interface ServerEncryption {
  readonly algorithm: 'AES256' | 'aws:kms' | 'aws:kms:dsse';
  readonly kmsKeyId?: string;
  readonly bucketKey?: boolean;
}

/** Either the text itself or the path of its file; `from` is the flag or variable that named it. */
export interface PemSource {
  readonly value: string;
  readonly from: string;
}

/** Each by the name that a user knows: a flag comes as the variable beside it. */
const authorityVariables = {
  HOLDFAST_CACERT: '--cacert or HOLDFAST_CACERT',
  RESTIC_CACERT: 'RESTIC_CACERT',
  AWS_CA_BUNDLE: 'AWS_CA_BUNDLE',
};
const clientVariables = {
  HOLDFAST_TLS_CLIENT_CERT: '--tls-client-cert or HOLDFAST_TLS_CLIENT_CERT',
  RESTIC_TLS_CLIENT_CERT: 'RESTIC_TLS_CLIENT_CERT',
};
const algorithms = ['AES256', 'aws:kms', 'aws:kms:dsse'] as const;
const lookups = ['auto', 'path', 'dns'] as const;
/** Their objects cannot be read before they were thawed, for hours, and trees are packs too. */
const frozenClasses = new Set(['GLACIER', 'DEEP_ARCHIVE']);

const optionNames = [
  's3.region',
  's3.bucket-lookup',
  's3.connections',
  's3.storage-class',
  's3.sse',
  's3.sse-kms-key-id',
  's3.sse-bucket-key',
] as const;
type OptionName = (typeof optionNames)[number];

/**
 * HOLDFAST_OPTIONS holds `name=value` pairs with white space between them, the last of a name counts. Throws
 * STORE_OPTION_INVALID for what is not understood: a setting that is silently ignored would be found out too late.
 */
export function readS3Settings(env: Variables): S3Settings {
  const options = readOptions(env.HOLDFAST_OPTIONS ?? '');
  const encryption = encryptionOf(options);
  return defined({
    region: options.get('s3.region'),
    bucketLookup: oneOf('s3.bucket-lookup', options.get('s3.bucket-lookup') ?? 'auto', lookups),
    connections: connectionsOf(options.get('s3.connections')),
    storageClass: storageClassOf(options.get('s3.storage-class')),
    encryption,
    authorities: firstOf(env, authorityVariables),
    clientCertificate: firstOf(env, clientVariables),
  });
}

function readOptions(text: string): ReadonlyMap<OptionName, string> {
  const options = new Map<OptionName, string>();
  for (const pair of text.split(/\s+/).filter((part) => part !== '')) {
    const [, given = pair, value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
    const name = optionNames.find((known) => known === given.toLowerCase());
    if (name === undefined) throw invalid(given, `there is no such option; there are ${optionNames.join(', ')}`);
    if (value === '') throw invalid(name, 'it has no value: expected NAME=VALUE');
    options.set(name, value);
  }
  return options;
}

function connectionsOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const count = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  if (count < 1 || count > 1000) throw invalid('s3.connections', `"${value}" is not a number from 1 to 1000`);
  return count;
}

function storageClassOf(value: string | undefined): string | undefined {
  const storageClass = value?.toUpperCase();
  if (storageClass === undefined || !frozenClasses.has(storageClass)) return value;
  throw invalid('s3.storage-class', `files in ${storageClass} cannot be read back at once; GLACIER_IR is one that can`);
}

function encryptionOf(options: ReadonlyMap<OptionName, string>): ServerEncryption | undefined {
  const kmsKeyId = options.get('s3.sse-kms-key-id');
  const bucketKey = options.get('s3.sse-bucket-key');
  const given = options.get('s3.sse') ?? (kmsKeyId === undefined ? undefined : 'aws:kms');
  if (given === undefined) {
    if (bucketKey !== undefined) throw invalid('s3.sse-bucket-key', 'it needs s3.sse=aws:kms');
    return undefined;
  }
  const algorithm = oneOf('s3.sse', given, algorithms);
  if (algorithm === 'AES256' && (kmsKeyId !== undefined || bucketKey !== undefined)) {
    throw invalid('s3.sse', 'AES256 uses no key of KMS; give aws:kms');
  }
  const usesBucketKey = bucketKey && oneOf('s3.sse-bucket-key', bucketKey, ['true', 'false'] as const) === 'true';
  return defined({ algorithm, kmsKeyId, bucketKey: bucketKey === undefined ? undefined : usesBucketKey === true });
}

function oneOf<T extends string>(option: OptionName, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one.toLowerCase() === value.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(option, `"${value}" is none of ${allowed.join(', ')}`);
}

function firstOf(env: Variables, names: Readonly<Record<string, string>>): PemSource | undefined {
  for (const [name, from] of Object.entries(names)) {
    const value = env[name];
    if (value) return { value, from };
  }
  return undefined;
}

/** Without the fields that are undefined. */
function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

function invalid(option: string, reason: string): HoldfastError {
  return new HoldfastError('STORE_OPTION_INVALID', { option, reason });
}
