/** Runs the real program as a process of its own, with nothing of the caller's environment but what is given. */
import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';

export const projectFolder = resolve(import.meta.dirname, '../..');

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Run as this user id and group id. */
  readonly uid?: number;
}

export interface CliResult {
  /** 128 + n style is not used: undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  readonly result: Promise<CliResult>;
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  return start(process.execPath, [resolve(projectFolder, 'cmd/holdfast.js'), ...args], options);
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).result;
}

/** Runs any program, such as restic, the judge of what Holdfast wrote. */
export function runProgram(program: string, args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return start(program, args, options).result;
}

function start(program: string, args: readonly string[], { env = {}, cwd, uid }: CliOptions): RunningCli {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: process.env.HOME ?? tmpdir(), TZ: 'UTC', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const result = new Promise<CliResult>((fulfil, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) =>
      fulfil({
        exitCode: exitCode ?? undefined,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
  return { process: child, result };
}
