/**
 * The one error class for failures that were foreseen. Its code is stable and documented in docs/errors.md;
 * everything else that is thrown is a bug and is shown with its stack.
 */
import { catalog, type ErrorCode, type ErrorEntry } from './error-catalog.ts';

export type ErrorContext = Readonly<Record<string, string | number>>;

export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';
  readonly code: ErrorCode;
  /** The facts of this case, for `--json` and for conditions. Never secrets. */
  readonly context: ErrorContext;
  /** What to do next, one sentence. */
  readonly hint: string;
  /** restic's exit codes: 1 failed, 3 incomplete, 10 no repository, 11 locked, 12 wrong password, 130 interrupted. */
  readonly exitCode: number;
  /** Whether the same call can succeed later without anyone changing anything. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, context: ErrorContext = {}, options?: { cause?: unknown }) {
    const entry: ErrorEntry = catalog[code];
    super(fill(entry.message, context), options);
    this.code = code;
    this.context = context;
    this.hint = fill(entry.hint, context);
    this.exitCode = entry.exitCode ?? 1;
    this.retryable = entry.retryable ?? false;
  }

  toJSON(): Record<string, unknown> {
    return {
      type: 'error',
      code: this.code,
      message: this.message,
      hint: this.hint,
      exitCode: this.exitCode,
      retryable: this.retryable,
      context: this.context,
    };
  }
}

/** With a code: whether it is that one, or one of its family. */
export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  if (!(error instanceof HoldfastError)) return false;
  return code === undefined || error.code === code || familyOf(error.code) === code;
}

function familyOf(code: ErrorCode): string | undefined {
  const { family }: ErrorEntry = catalog[code];
  return family;
}

/** The code that Node or the system gave an error, such as ENOENT; undefined for whatever has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function fill(template: string, context: ErrorContext): string {
  return template.replace(/\{(\w+)\}/g, (whole, key: string) => String(context[key] ?? whole));
}
