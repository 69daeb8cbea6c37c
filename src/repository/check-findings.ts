/** What a check finds: errors, which mean that something cannot be restored or trusted, and hints, which do not. */
import { isHoldfastError, messageOf } from '../base/errors.ts';

export interface CheckFinding {
  readonly kind: 'index' | 'pack' | 'snapshot' | 'tree' | 'blob';
  /** The file or blob that it is about. */
  readonly id: string;
  readonly message: string;
}

/** A repository may be damaged in a million places; the first ones tell what is wrong. */
const mostKept = 1000;

export class Findings {
  readonly errors: CheckFinding[] = [];
  readonly hints: CheckFinding[] = [];
  errorCount = 0;
  hintCount = 0;

  error(kind: CheckFinding['kind'], id: string, message: string): void {
    this.errorCount += 1;
    if (this.errors.length < mostKept) this.errors.push({ kind, id, message });
  }

  hint(kind: CheckFinding['kind'], id: string, message: string): void {
    this.hintCount += 1;
    if (this.hints.length < mostKept) this.hints.push({ kind, id, message });
  }

  /** Notes a failure to read one thing. One that would hit everything else too ends the check: it is thrown on. */
  failure(kind: CheckFinding['kind'], id: string, error: unknown, where = ''): void {
    if (!isAboutOneFile(error)) throw error;
    this.error(kind, id, `${messageOf(error)}${where}`);
  }
}

/** Whether a file is missing or not what it must be; a store that fails for the moment is no damage. */
export function isDamage(error: unknown): boolean {
  return isHoldfastError(error, 'FILE_NOT_FOUND') || isHoldfastError(error, 'FILE_DAMAGED');
}

/** Whether an error concerns one file, and not the store as a whole or a mistake in the program. */
export function isAboutOneFile(error: unknown): boolean {
  return isDamage(error) || isHoldfastError(error, 'STORE_FAILED');
}
