/** What a file system's error codes mean for a repository. */
import { type Clock, systemClock } from '../base/clock.ts';
import { codeOf, HoldfastError, messageOf } from '../base/errors.ts';
import { withRetry } from '../base/retry.ts';

/** 'ENOENT' and the like, undefined for anything that is no error of a system call. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? codeOf(error) : undefined;
}

/** The HoldfastError for whatever a call on the file system threw; bugs stay what they are. */
export function folderError(error: unknown, at: { url: string; verb: string; name: string }): unknown {
  const code = errnoOf(error);
  if (code === undefined) return error;
  const { url, name } = at;
  const operation = `${at.verb} ${name}`;
  const reason = messageOf(error);
  const cause = { cause: error };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new HoldfastError('STORE_FULL', { url, name }, cause);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new HoldfastError('STORE_DENIED', { url, operation, reason }, cause);
    default:
      return new HoldfastError('STORE_FAILED', { url, operation, reason }, cause);
  }
}

/** A network file system answers so when its server was started anew, or is slow; a new look by name mends it. */
const shaken = new Set(['ESTALE', 'ETIMEDOUT', 'EAGAIN', 'EINTR', 'EBUSY', 'EREMOTEIO', 'ECONNRESET']);

/** Runs a step, again from its start where the file system was shaken: at most 8 times, over a minute. */
export function againWhenShaken<T>(step: () => Promise<T>, clock: Clock = systemClock): Promise<T> {
  return withRetry(step, {
    attempts: 8,
    baseMs: 250,
    maxMs: 20_000,
    isRetryable: (error) => shaken.has(errnoOf(error) ?? ''),
    sleep: clock.sleep,
  });
}
