/** What the errors of the SDK and of S3 servers mean for a repository. */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';

export const notS3 = 'the answer is not one of an S3 server; is there a proxy or a login page in between?';

/** The facts of an error, whoever made it: the SDK's classes say different things in different cases. */
export interface S3Failure {
  /** 'NoSuchKey', 'SlowDown'; 'Unknown' for an answer without a body. */
  readonly name: string;
  /** System code such as ECONNRESET. */
  readonly code: string;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  /** How often the SDK sent the request. */
  readonly attempts: number;
  /** The region that the server wants, where it told one. */
  readonly region: string | undefined;
  /** Headers of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export function failureOf(error: unknown): S3Failure {
  const fields = asRecord(error);
  const metadata = asRecord(fields.$metadata);
  const headers = asRecord(asRecord(fields.$response).headers) as Record<string, string>;
  const failure = {
    name: typeof fields.name === 'string' ? fields.name : '',
    code: typeof fields.code === 'string' ? fields.code : '',
    status: typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined,
    attempts: typeof metadata.attempts === 'number' ? metadata.attempts : 1,
    headers,
  };
  return { ...failure, region: regionOf(failure, fields) };
}

const regionNames = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'InvalidRegion',
]);

function regionOf({ name, status, headers }: Omit<S3Failure, 'region'>, fields: Record<string, unknown>) {
  if (!isMisdirected(name, status)) return undefined;
  const inHeader = headers['x-amz-bucket-region'];
  const inMessage = /expecting '([a-z0-9-]+)'/.exec(String(fields.message ?? ''))?.[1];
  return inHeader ?? (typeof fields.Region === 'string' ? fields.Region : inMessage);
}

function isMisdirected(name: string, status: number | undefined): boolean {
  return status === 301 || status === 307 || status === 308 || regionNames.has(name);
}

const fullNames =
  /^(QuotaExceeded|XMinioStorageFull|XMinioStorageQuotaExceeded|InsufficientStorage|InsufficientCapacity)/;
/** The keys themselves are not accepted, whatever they may do. */
const keyNames =
  /^(InvalidAccessKeyId|InvalidClientTokenId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|NotSignedUp|XAdminUserNotFound|UnrecognizedClient)/;
const clockNames = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']);
const busyNames = new Set(['SlowDown', 'TooManyRequests', 'RequestTimeout', 'RequestLimitExceeded', 'Throttling']);
const untrusted = /^(ERR_TLS_CERT|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA)/;

export interface S3Operation {
  readonly url: string;
  /** Reads like 'reading pack 12ab…'. */
  readonly operation: string;
  readonly name: string;
  /** What AWS calls the right to do it. */
  readonly permission: string;
}

/** The HoldfastError for whatever a request ended with; bugs stay what they are. */
export function s3Error(error: unknown, at: S3Operation): unknown {
  if (isHoldfastError(error) || isBug(error)) return error;
  const failure = failureOf(error);
  const reason = reasonOf(error, failure);
  return failure.status === undefined
    ? withoutAnswer(error, failure, at, reason)
    : withAnswer(error, failure, at, reason);
}

function withoutAnswer(cause: unknown, { name, code }: S3Failure, { url }: S3Operation, reason: string): HoldfastError {
  if (name === 'CredentialsProviderError')
    return new HoldfastError('CREDENTIALS_NOT_FOUND', { url, reason }, { cause });
  if (untrusted.test(code)) return new HoldfastError('STORE_UNTRUSTED', { url, reason }, { cause });
  return new HoldfastError('STORE_UNREACHABLE', { url, reason }, { cause });
}

function withAnswer(error: unknown, failure: S3Failure, at: S3Operation, reason: string): HoldfastError {
  const { url, operation, name, permission } = at;
  const { status = 0, headers } = failure;
  const cause = { cause: error };
  if (status === 507 || fullNames.test(failure.name)) return new HoldfastError('STORE_FULL', { url, name }, cause);
  if (isMisdirected(failure.name, status)) return misdirected(url, failure, reason, cause);
  if (clockNames.has(failure.name)) {
    const theirs = headers.date === undefined ? '' : `; the server's clock says ${headers.date}`;
    return new HoldfastError('CLOCK_WRONG', { url, reason: `${reason}${theirs}` }, cause);
  }
  if (failure.name === 'InvalidObjectState') return new HoldfastError('STORE_FROZEN', { url, name, reason }, cause);
  if (keyNames.test(failure.name)) return new HoldfastError('CREDENTIALS_REJECTED', { url, reason }, cause);
  if (status === 401 || status === 403) {
    return new HoldfastError('STORE_DENIED', { url, operation, reason: `${reason}; it takes ${permission}` }, cause);
  }
  if (failure.name === 'NoSuchBucket') return new HoldfastError('STORE_MISSING', { url, reason }, cause);
  if (status >= 500 || status === 429 || status === 408 || busyNames.has(failure.name)) {
    const waitMs = retryAfterMs(headers);
    return new HoldfastError(
      'STORE_BUSY',
      { url, operation, reason, ...(waitMs === undefined ? {} : { waitMs }) },
      cause,
    );
  }
  return new HoldfastError('STORE_FAILED', { url, operation, reason }, cause);
}

function misdirected(url: string, { region, headers }: S3Failure, reason: string, cause: { cause: unknown }) {
  if (region !== undefined) return new HoldfastError('STORE_REGION_WRONG', { url, region, reason }, cause);
  const where = headers.location === undefined ? '' : `; it points to ${headers.location.split('?')[0]}`;
  const why = `${reason}${where}, so address and region (AWS_REGION) do not fit the bucket`;
  return new HoldfastError('REPOSITORY_URL_INVALID', { url, reason: why }, cause);
}

/** Seconds or a date, RFC 9110 §10.2.3. */
function retryAfterMs(headers: Readonly<Record<string, string>>): number | undefined {
  const told = headers['retry-after'] ?? '';
  if (/^\d+$/.test(told)) return Number(told) * 1000;
  const date = Date.parse(told);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** Thrown by the program itself, not for an answer: those carry what they know of it. */
function isBug(error: unknown): boolean {
  const isProgrammers = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isProgrammers && failureOf(error).status === undefined;
}

/** An object or a bucket that is not there. HEAD cannot tell which. */
export function isMissing(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return name === 'NoSuchKey' || name === 'NoSuchBucket' || (name === 'NotFound' && status === 404);
}

function reasonOf(error: unknown, { name, code, status }: S3Failure): string {
  const message = messageOf(error);
  const parts = [message === 'UnknownError' || message === '' ? 'the server gave no reason' : message];
  const label = name === 'Unknown' || name === 'Error' ? code : name;
  if (label && !message.includes(label)) parts.unshift(label);
  return status === undefined ? parts.join(': ') : `${parts.join(': ')} (HTTP ${status})`;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
