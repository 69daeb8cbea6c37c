/**
 * The command line as a function: argv and environment in, exit code out.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { CommandContext } from './command.ts';
import { type Environment, type GlobalOptions, readSettings, wantsColour } from './config.ts';
import { withCredentialFiles } from './credential-files.ts';
import { reportFailure } from './failure.ts';
import { createOutput, readerGone, type TextStream } from './output.ts';
import { parseCommandLine } from './program.ts';

export interface Surroundings {
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** Aborted with the name of the signal that asked to stop. */
  readonly interruption: AbortSignal;
}

export async function main({ argv, env, stdout, stderr, interruption }: Surroundings): Promise<number> {
  const colour = {
    stdout: wantsColour(stdout.isTTY ?? false, env),
    stderr: wantsColour(stderr.isTTY ?? false, env),
  };
  // Until the line is parsed; a mistake in it is reported in the form that it asks for.
  let options: GlobalOptions = { json: argv.includes('--json') };
  const stop = new AbortController();
  interruption.addEventListener('abort', () =>
    stop.abort(new HoldfastError('INTERRUPTED', { signal: String(interruption.reason) })),
  );
  let exitCode = 0;
  try {
    const invocation = await parseCommandLine(argv, stdout);
    if (invocation === undefined) return 0;
    options = invocation.globalOptions;
    const context: CommandContext = {
      settings: readSettings(options, await withCredentialFiles(env)),
      output: createOutput({ stdout, stderr, json: options.json ?? false, colour }),
      signal: stop.signal,
      endWith: (code) => {
        exitCode = code;
      },
    };
    await invocation.start(context);
    return exitCode;
  } catch (error) {
    const failure = stop.signal.aborted ? stop.signal.reason : error;
    if (isHoldfastError(failure, 'INTERRUPTED') && failure.context.signal === readerGone) return 0;
    return reportFailure(failure, {
      stderr,
      json: options.json ?? false,
      colour: colour.stderr,
      verbose: options.verbose ?? false,
    });
  }
}
