/**
 * From whatever a command threw to what the user sees and the exit code.
 */
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import { paint, type TextStream } from './output.ts';

export interface FailureOptions {
  readonly stderr: TextStream;
  readonly json: boolean;
  readonly colour: boolean;
  /** Also show causes and stacks of foreseen failures. */
  readonly verbose: boolean;
}

/** Writes the failure to stderr and returns the exit code. */
export function reportFailure(error: unknown, options: FailureOptions): number {
  if (!isHoldfastError(error)) return reportBug(error, options);
  options.stderr.write(options.json ? `${JSON.stringify(error)}\n` : formatFailure(error, options));
  return error.exitCode;
}

function formatFailure(error: HoldfastError, { colour, verbose }: FailureOptions): string {
  const lines = [`${paint('red', 'error:', colour)} ${error.message}`];
  if (error.hint !== '') lines.push(`${paint('yellow', 'hint:', colour)} ${error.hint}`);
  if (verbose) {
    lines.push(`code: ${error.code}`);
    for (let cause = error.cause; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined) {
      lines.push(`cause: ${describe(cause)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function reportBug(error: unknown, { stderr, json, colour }: FailureOptions): number {
  const details = describe(error);
  if (json) {
    stderr.write(
      `${JSON.stringify({ type: 'error', code: 'BUG', message: details, exitCode: 1, retryable: false })}\n`,
    );
  } else {
    stderr.write(
      `${paint('red', 'error:', colour)} This should not happen, and is a bug in Holdfast.\n${details}\n` +
        `${paint('yellow', 'hint:', colour)} Please report it with the lines above. The repository was left in order.\n`,
    );
  }
  return 1;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
