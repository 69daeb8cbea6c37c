/** Runs a program to its end, and shows what it said when it fails. */
import { execFile } from 'node:child_process';

export interface CommandOptions {
  readonly input?: string | Buffer;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
}

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, cause: Error, stdout: string, stderr: string) {
    const said = (stderr || stdout).trim().split('\n').slice(-15).join('\n');
    super(`${command}: ${said || cause.message}`, { cause });
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/** Standard output as text; throws CommandFailed for any exit code but 0. */
export function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, cwd, env = process.env, timeoutMs = 0 } = options;
  return new Promise((resolve, reject) => {
    const settings = { cwd, env, timeout: timeoutMs, maxBuffer: 256 << 20 };
    const child = execFile(file, args, settings, (error, stdout, stderr) => {
      if (error) reject(new CommandFailed([file, ...args].join(' '), error, stdout, stderr));
      else resolve(stdout);
    });
    // A program may end without reading: its exit code tells, not the broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Like runCommand, for a step of a clean-up: whether it worked, never a throw. */
export async function tryCommand(file: string, args: readonly string[], options?: CommandOptions): Promise<boolean> {
  return runCommand(file, args, options).then(
    () => true,
    () => false,
  );
}
