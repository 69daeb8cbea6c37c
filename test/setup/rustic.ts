/** rustic, another program that writes restic's format. It takes too long to build for every run: RUSTIC=<path> says where one is. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface RusticResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface RusticPlace {
  /** A repository in a folder, and its password. */
  readonly repository: string;
  readonly password: string;
  readonly cwd?: string;
}

/** Runs rustic without its cache and without any profile of this machine; what it said, whatever its exit code. */
export function rusticResult(
  { repository, password, cwd }: RusticPlace,
  args: readonly string[],
): Promise<RusticResult> {
  const env = {
    PATH: process.env.PATH,
    HOME: '/nonexistent',
    TZ: 'UTC',
    RUSTIC_REPOSITORY: repository,
    RUSTIC_PASSWORD: password,
    RUSTIC_NO_CACHE: 'true',
    RUSTIC_NO_PROGRESS: 'true',
  };
  return new Promise((resolve, reject) => {
    execFile(process.env.RUSTIC ?? '', [...args], { env, cwd, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      const code = error ? error.code : 0;
      if (typeof code === 'number') resolve({ stdout, stderr, exitCode: code });
      else reject(error);
    });
  });
}

/** What rustic printed to stdout; throws with its stderr when it failed. */
export async function rustic(place: RusticPlace, args: readonly string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await rusticResult(place, args);
  if (exitCode !== 0) throw new Error(`rustic ${args.join(' ')} ended with ${exitCode}: ${stderr || stdout}`);
  return stdout;
}

/** Undefined when it is there, else why not. */
export async function findRustic(): Promise<string | undefined> {
  const path = process.env.RUSTIC;
  if (!path) return 'RUSTIC=<path> does not name a rustic';
  return run(path, ['--version']).then(
    () => undefined,
    () => `RUSTIC=${path} does not start`,
  );
}
