/**
 * Calls restic as the pods of K8up, VolSync and Velero do: with volumes mounted where these mount them, in a root of its
 * own, so that a backup gets their paths. Only root may do that.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { resticProgram } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const run = promisify(execFile);

export interface OperatorPod {
  /** Where each folder of this machine is mounted in the pod. */
  readonly volumes: Readonly<Record<string, string>>;
  /** The repository, a folder of this machine. */
  readonly repository: string;
  readonly password: string;
  /** In the pod. */
  readonly cwd: string;
}

const systemFolders = ['/usr', '/lib', '/lib64', '/bin', '/etc', '/dev', '/proc'];

/** What restic printed. Its standard input is a dump. */
export async function resticInPod(pod: OperatorPod, args: readonly string[]): Promise<string> {
  const root = await tempDir();
  const mounts = systemFolders.filter((folder) => existsSync(folder)).map((folder) => [folder, folder] as const);
  const program = '/restic-of-the-pod';
  const script = ['set -e'];
  for (const [at, from] of [...mounts, ['/repository', pod.repository] as const, ...Object.entries(pod.volumes)]) {
    mkdirSync(join(root, at), { recursive: true });
    script.push(`mount --rbind '${from}' '${root}${at}'`);
  }
  mkdirSync(join(root, 'tmp'));
  writeFileSync(join(root, program), '');
  script.push(`mount --bind '${pathOf(resticProgram)}' '${root}${program}'`);
  script.push(`exec chroot '${root}' sh -c 'cd "$1" && shift && exec ${program} --no-cache "$@"' sh '${pod.cwd}' "$@"`);
  const env = {
    PATH: process.env.PATH,
    HOME: '/',
    TZ: 'UTC',
    RESTIC_REPOSITORY: '/repository',
    RESTIC_PASSWORD: pod.password,
  };
  const running = run('unshare', ['--mount', 'sh', '-c', script.join('\n'), 'sh', ...args], { env });
  running.child.stdin?.end('a dump\n');
  return (await running).stdout;
}

function pathOf(program: string): string {
  if (program.includes('/')) return program;
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? program;
}
