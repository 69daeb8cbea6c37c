/** The real restic, which has the last word on what a repository is. RESTIC=<path> makes another one the judge. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const resticProgram = process.env.RESTIC || 'restic';

export interface ResticResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface ResticOptions {
  /** Added to the environment: RESTIC_REPOSITORY, RESTIC_PASSWORD, AWS_… */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
}

/** Runs restic, without its cache, and returns what it said whatever its exit code. */
export function resticResult(args: readonly string[], options: ResticOptions = {}): Promise<ResticResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      resticProgram,
      ['--no-cache', ...args],
      { env: { ...process.env, ...options.env }, cwd: options.cwd, maxBuffer: 1 << 28 },
      (error, stdout, stderr) => {
        const code = error ? error.code : 0;
        if (typeof code === 'number') resolve({ stdout, stderr, exitCode: code });
        else reject(error);
      },
    );
    child.stdin?.end(options.input);
  });
}

/** What restic printed to stdout; throws with its stderr when it failed. */
export async function restic(args: readonly string[], options: ResticOptions = {}): Promise<string> {
  const { stdout, stderr, exitCode } = await resticResult(args, options);
  if (exitCode !== 0) throw new Error(`restic ${args.join(' ')} ended with ${exitCode}: ${stderr || stdout}`);
  return stdout;
}

/** Whether it is at least of this version, such as '0.17'. A version that is under development counts as the next one. */
export async function resticIsFrom(wanted: string): Promise<boolean> {
  const found = /^restic (\d+)\.(\d+)/.exec((await run(resticProgram, ['version'])).stdout);
  if (!found) throw new Error(`${resticProgram} does not tell its version`);
  const [major = 0, minor = 0] = wanted.split('.').map(Number);
  return Number(found[1]) > major || (Number(found[1]) === major && Number(found[2]) >= minor);
}

/** Finds restic on the PATH, and installs it where that can be done (root on Debian). Undefined when it is there now, else why not. */
export async function ensureRestic(): Promise<string | undefined> {
  if (await isInstalled()) return undefined;
  if (process.env.RESTIC) return `RESTIC=${process.env.RESTIC} does not start`;
  if (process.getuid?.() !== 0) return 'there is no restic on the PATH, and only root can install it';
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID(_LIKE)?=.*(debian|ubuntu)/m.test(release)) return 'there is no restic on the PATH';
  try {
    const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 180_000 };
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'restic'], options).catch(async () => {
      await run('apt-get', ['update'], options);
      await run('apt-get', ['install', '-y', '--no-install-recommends', 'restic'], options);
    });
  } catch (error) {
    return `apt-get could not install restic: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
  }
  return (await isInstalled()) ? undefined : 'apt-get installed no restic';
}

async function isInstalled(): Promise<boolean> {
  return run(resticProgram, ['version']).then(
    () => true,
    () => false,
  );
}
