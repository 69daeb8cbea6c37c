/** What the errors of the SDK and of S3 servers mean for a repository. */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';

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
}

export function failureOf(error: unknown): S3Failure {
  const fields = asRecord(error);
  const metadata = asRecord(fields.$metadata);
  return {
    name: typeof fields.name === 'string' ? fields.name : '',
    code: typeof fields.code === 'string' ? fields.code : '',
    status: typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined,
    attempts: typeof metadata.attempts === 'number' ? metadata.attempts : 1,
  };
}

const fullNames =
  /^(QuotaExceeded|XMinioStorageFull|XMinioStorageQuotaExceeded|InsufficientStorage|InsufficientCapacity)/;
const regionNames = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);

/** The HoldfastError for whatever a request ended with; bugs stay what they are. `at.operation` reads like 'reading pack 12ab…'. */
export function s3Error(error: unknown, at: { url: string; operation: string; name: string }): unknown {
  if (isHoldfastError(error) || isBug(error)) return error;
  const { url, operation, name } = at;
  const failure = failureOf(error);
  const reason = reasonOf(error, failure);
  const cause = { cause: error };
  if (failure.status === undefined) {
    if (failure.name === 'CredentialsProviderError') {
      return new HoldfastError(
        'STORE_DENIED',
        { url, operation, reason: `no credentials were found (${reason})` },
        cause,
      );
    }
    return new HoldfastError('STORE_UNREACHABLE', { url, reason }, cause);
  }
  if (failure.status === 507 || fullNames.test(failure.name))
    return new HoldfastError('STORE_FULL', { url, name }, cause);
  if (failure.status === 301 || regionNames.has(failure.name)) {
    return new HoldfastError('REPOSITORY_URL_INVALID', { url, reason: `${reason} (see AWS_REGION)` }, cause);
  }
  if (failure.status === 401 || failure.status === 403) {
    return new HoldfastError('STORE_DENIED', { url, operation, reason }, cause);
  }
  if (failure.name === 'NoSuchBucket') return new HoldfastError('STORE_MISSING', { url, reason }, cause);
  return new HoldfastError('STORE_FAILED', { url, operation, reason }, cause);
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
  const parts = [message === 'UnknownError' ? 'the server gave no reason' : message];
  const label = name === 'Unknown' || name === 'Error' ? code : name;
  if (label && !message.includes(label)) parts.unshift(label);
  return status === undefined ? parts.join(': ') : `${parts.join(': ')} (HTTP ${status})`;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
