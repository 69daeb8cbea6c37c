/**
 * The command line's grammar, built with commander from the tables in command-list.ts and commands/.
 */
import { CommanderError, Command as Parser } from 'commander';
import { HoldfastError } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { type Command, type CommandContext, exitCodeMeanings } from './command.ts';
import { type CommandEntry, commandList } from './command-list.ts';
import type { GlobalOptions } from './config.ts';
import type { TextStream } from './output.ts';

export interface Invocation {
  readonly globalOptions: GlobalOptions;
  start(context: CommandContext): Promise<void>;
}

type OnMatch = (command: Command, given: Readonly<Record<string, unknown>>, args: readonly string[]) => void;

/** What to run, or undefined where help or the version was asked for and shown. Throws USAGE for a line it cannot take. */
export async function parseCommandLine(argv: readonly string[], stdout: TextStream): Promise<Invocation | undefined> {
  const program = createProgram(stdout);
  let invocation: Invocation | undefined;
  for (const entry of commandList) {
    addCommand(program, entry, (command, given, args) => {
      invocation = {
        globalOptions: program.opts<GlobalOptions>(),
        start: (context) => command.start(given, args, context),
      };
    });
  }
  try {
    await program.parseAsync(helpAsFlag(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new HoldfastError('USAGE', { problem: problemOf(error) });
  }
  return invocation;
}

function createProgram(stdout: TextStream): Parser {
  return new Parser('holdfast')
    .description("Backup and restore for Kubernetes persistent volumes, in restic's repository format.")
    .version(version, '--version', 'show the version')
    .usage('<command> [options]')
    .option('--repo <address>', 'the repository: a folder, or s3:https://host/bucket/prefix')
    .option('--password-file <path>', "file with the repository's password")
    .option('--json', 'print JSON: results on stdout, failures on stderr')
    .option(
      '--kubeconfig <path>',
      'kubeconfig of the cluster (default: $KUBECONFIG, ~/.kube/config, or the pod itself)',
    )
    .option('--context <name>', 'context of the kubeconfig')
    .option('-o, --option <name=value>', 'setting of the store, as s3.region=eu-central-1; see docs/stores.md', collect)
    .option('--cacert <file>', "certificates (PEM) that sign the store's, instead of the system's")
    .option('--tls-client-cert <file>', 'certificate and key (PEM) to show to the store')
    .option('--retry-lock <duration>', 'wait so long for a lock that others hold, as 5m (default: not at all)')
    .option('--limit-upload <KiB/s>', 'send no more than this (default: no limit)')
    .option('--limit-download <KiB/s>', 'fetch no more than this (default: no limit)')
    .option('--verbose', 'say more, and where failures came from')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    .addHelpText('after', programHelp)
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // Failures are thrown and reported in one place (failure.ts).
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => Math.min(stdout.columns ?? 100, 120),
      getOutHasColors: () => false,
    })
    .exitOverride();
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

/** `holdfast help backup` is `holdfast backup --help`; nothing at all is a call for help too. */
function helpAsFlag(argv: readonly string[]): string[] {
  if (argv.length === 0) return ['--help'];
  return argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
}

/** "render cronjob" lives under a parser "render". The options come with the command's file, when the line names it. */
function addCommand(program: Parser, entry: CommandEntry, onMatch: OnMatch): void {
  const words = entry.name.split(' ');
  const parent = words.slice(0, -1).reduce(findOrAdd, program);
  const parser = parent.command(words.at(-1) ?? '', { hidden: entry.hidden ?? false }).description(entry.summary);
  parser.helpGroup(entry.group);
  if (parent !== program) parent.helpGroup(entry.group);
  parent.hook('preSubcommand', async (_, matched) => {
    if (matched === parser) configure(parser, entry, await entry.load(), onMatch);
  });
}

/** Commands of two words, by their first one. */
const families: Readonly<Record<string, string>> = {
  key: 'Who can open the repository.',
  render: 'Print manifests for a cluster.',
  repair: 'Mend what check finds.',
};

function findOrAdd(parent: Parser, word: string): Parser {
  const found = parent.commands.find((command) => command.name() === word);
  return (
    found ??
    parent
      .command(word)
      .description(families[word] ?? '')
      .helpCommand(false)
  );
}

function configure(parser: Parser, entry: CommandEntry, command: Command, onMatch: OnMatch): void {
  if (command.description !== undefined) parser.description(`${entry.summary}\n\n${command.description}`);
  for (const { name, help } of command.arguments ?? []) parser.argument(name, help);
  for (const option of Object.values(command.options)) {
    const parsed = parser.createOption(option.flags, option.help);
    // `--no-something` is an option like any other here, not the opposite of one.
    parsed.negate = false;
    if (option.repeatable)
      parsed.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
    parser.addOption(parsed);
  }
  parser.addHelpText('after', `\n${commandHelp(command)}`);
  parser.action(() => onMatch(command, parser.opts(), parser.args));
}

function commandHelp({ examples, exitCodes }: Command): string {
  const codes = ([0, 1, ...exitCodes, 130] as const).map(
    (code) => `  ${String(code).padEnd(4)} ${exitCodeMeanings[code]}`,
  );
  const shown = examples.map(([command, does]) => `  # ${does}\n  ${command}`);
  return ['Examples:', ...shown, '', 'Exit codes:', ...codes].join('\n');
}

const programHelp = `
Environment:
  HOLDFAST_REPOSITORY, RESTIC_REPOSITORY        the repository
  HOLDFAST_PASSWORD_FILE, RESTIC_PASSWORD_FILE  file with the password
  HOLDFAST_PASSWORD, RESTIC_PASSWORD            the password
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …   credentials for S3, as the AWS SDK finds them
  HOLDFAST_OPTIONS                              settings of the store, as for -o, with spaces between them
  HOLDFAST_CACERT, RESTIC_CACERT, AWS_CA_BUNDLE      as --cacert; the first may hold the certificates themselves
  HOLDFAST_TLS_CLIENT_CERT, RESTIC_TLS_CLIENT_CERT   as --tls-client-cert
  NO_COLOR                                      no colours

\`holdfast <command> --help\` shows options, examples and exit codes of a command.`;

function problemOf(error: CommanderError): string {
  if (error.code === 'commander.help') return 'A command is missing';
  const [first = '', suggestion] = error.message
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .split('\n');
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
  return suggestion === undefined ? sentence : `${sentence} ${suggestion.replace('Did', 'did')}`;
}
