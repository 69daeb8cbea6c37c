/** `holdfast backup --stdin` and `--stdin-from-command`: what comes from a pipe becomes a backup of one file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { backupStream } from '../volume/backup-stream.ts';
import type { CommandContext } from './command.ts';
import { type BackupRequest, labelsFrom, reportBackup, runWatched } from './watched-backup.ts';

const defaultFileName = 'stdin';
const inputName = 'standard input';

/** `command` runs in place of reading standard input; where it fails, there is no backup. Throws COMMAND_FAILED. */
export async function backUpStream(
  given: BackupRequest,
  command: readonly string[] | undefined,
  context: CommandContext,
): Promise<void> {
  const { stdinFilename: filePath = defaultFileName, plan } = given;
  const common = { ...labelsFrom(given, context), filePath };
  const summary = await runWatched(context, plan, (repository, run) => {
    const source = command
      ? { name: command.join(' '), stream: outputOf(command) }
      : { name: inputName, stream: standardInput() };
    return backupStream(repository, { ...common, ...run, ...source });
  });
  reportBackup(filePath, summary, plan, context.output);
}

async function* standardInput(): AsyncGenerator<Uint8Array> {
  try {
    yield* process.stdin;
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path: inputName, reason: messageOf(error) }, { cause: error });
  }
}

/** What the command writes; ends only when it has ended well. Whoever leaves earlier ends the command. */
async function* outputOf([program = '', ...args]: readonly string[]): AsyncGenerator<Uint8Array> {
  const failed = (reason: string, cause?: unknown): HoldfastError =>
    new HoldfastError('COMMAND_FAILED', { command: program, reason }, { cause });
  const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'] });
  const ended = once(child, 'close').catch((error: unknown) => {
    throw failed(messageOf(error), error);
  });
  ended.catch(() => undefined);
  try {
    yield* child.stdout;
    const [exitCode, signal] = await ended;
    if (exitCode !== 0) throw failed(signal ? `it was ended by ${signal}` : `it ended with exit code ${exitCode}`);
  } finally {
    child.kill();
  }
}
