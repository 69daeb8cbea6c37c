/** What a file system's error codes mean for a repository. */
import { HoldfastError, messageOf } from '../base/errors.ts';

/** 'ENOENT' and the like, undefined for anything that is no error of a system call. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
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
