/**
 * A command is data plus one function: the same table makes the parser, the help and the types of the options.
 * src/cli/program.ts turns it into a commander command; src/cli/commands has one file a command.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Settings } from './config.ts';
import type { Output } from './output.ts';

export interface Option<T> {
  /** In commander's notation: `--dir <path>`. */
  readonly flags: string;
  readonly help: string;
  readonly repeatable: boolean;
  /** From what the command line holds (undefined: not given) to the value; throws USAGE. */
  read(given: unknown): T;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
export type OptionValues<O extends OptionTable> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

export interface CommandContext {
  readonly settings: Settings;
  readonly output: Output;
  /** Aborted with INTERRUPTED by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** For a command that has reported its failure itself; anything else throws. */
  endWith(exitCode: number): void;
}

export interface CommandDefinition<O extends OptionTable> {
  /** More than the one sentence of the command list, where that is needed. */
  readonly description?: string;
  /** In commander's notation: `<backup>`, `[claims...]`. */
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  readonly options: O;
  /** What to type, and what it does. */
  readonly examples: readonly (readonly [command: string, does: string])[];
  /** Exit codes beside 0 and 1 that this command can end with. */
  readonly exitCodes: readonly ExitCode[];
  run(options: OptionValues<O>, args: readonly string[], context: CommandContext): Promise<void>;
}

/** A definition whose option types are hidden behind `start`. */
export interface Command extends Omit<CommandDefinition<OptionTable>, 'run'> {
  start(given: Readonly<Record<string, unknown>>, args: readonly string[], context: CommandContext): Promise<void>;
}

export const exitCodeMeanings = {
  0: 'done',
  1: 'failed',
  3: 'done in part: the errors name what is missing',
  10: 'there is no repository',
  11: 'the repository is locked',
  12: 'wrong password, or none',
  130: 'interrupted',
} as const;
export type ExitCode = keyof typeof exitCodeMeanings;

export function defineCommand<O extends OptionTable>(definition: CommandDefinition<O>): Command {
  const { run, ...data } = definition;
  return {
    ...data,
    start: (given, args, context) => run(readOptions(definition.options, given), args, context),
  };
}

export function flag(flags: string, help: string): Option<boolean> {
  return { flags, help, repeatable: false, read: (given) => given === true };
}

export function text(flags: string, help: string): Option<string | undefined> {
  return { flags, help, repeatable: false, read: (given) => readText(flags, given) };
}

export function texts(flags: string, help: string): Option<readonly string[]> {
  return {
    flags,
    help: `${help} (may be repeated)`,
    repeatable: true,
    read: (given) => (Array.isArray(given) ? given.map(String) : []),
  };
}

/** A value with its own notation: `parse` throws an Error that says what is expected. */
export function parsed<T>(flags: string, help: string, parse: (given: string) => T): Option<T | undefined> {
  return {
    flags,
    help,
    repeatable: false,
    read: (given) => {
      const value = readText(flags, given);
      if (value === undefined) return undefined;
      try {
        return parse(value);
      } catch (error) {
        if (error instanceof HoldfastError || !(error instanceof Error)) throw error;
        throw new HoldfastError(
          'USAGE',
          { problem: `${longName(flags)} ${value}: ${error.message}` },
          { cause: error },
        );
      }
    },
  };
}

/** `--dir <path>` → `--dir` */
export function longName(flags: string): string {
  return flags.split(/[ ,]+/).find((part) => part.startsWith('--')) ?? flags;
}

function readText(flags: string, given: unknown): string | undefined {
  if (given === undefined) return undefined;
  if (given === '') throw new HoldfastError('USAGE', { problem: `${longName(flags)} was given an empty value` });
  return String(given);
}

function readOptions<O extends OptionTable>(table: O, given: Readonly<Record<string, unknown>>): OptionValues<O> {
  const values = Object.entries(table).map(([name, option]) => [name, option.read(given[name])]);
  return Object.fromEntries(values) as OptionValues<O>;
}
