/** The programs that are compared, each at its defaults, and how each is told to do the same job. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { Command } from './measure.ts';

export interface Tool {
  readonly name: string;
  readonly version: string;
  init(place: Place): Command;
  backup(place: Place): Command;
  check(place: Place): Command;
  restore(place: Place): Command;
}

export interface Place {
  /** What is backed up. */
  readonly data: string;
  /** Fresh folder for repository, caches and configuration of one tool in one round. */
  readonly work: string;
  /** Where the restore goes; not there yet. */
  readonly target: string;
}

const password = 'benchmark';
const entryPoint = resolve(import.meta.dirname, '../cmd/holdfast.js');

/** Holdfast, restic, and those of the others that are on the PATH. */
export function findTools(): Tool[] {
  const others = [restic, rustic, kopia].map((make) => make()).filter((tool) => tool !== undefined);
  return [holdfast(), ...others];
}

function holdfast(): Tool {
  const command = (place: Place, ...args: string[]): Command => ({
    program: process.execPath,
    args: [entryPoint, ...args],
    env: {
      HOLDFAST_REPOSITORY: join(place.work, 'repository'),
      HOLDFAST_PASSWORD: password,
      HOME: process.env.HOME ?? place.work,
    },
  });
  return {
    name: 'holdfast',
    version: `on Node ${process.version}`,
    init: (place) => command(place, 'init'),
    backup: (place) => command(place, 'backup', '--dir', place.data),
    check: (place) => command(place, 'check', '--read-data'),
    restore: (place) => command(place, 'restore', 'latest', '--dir', place.target),
  };
}

function restic(): Tool | undefined {
  const version = versionOf('restic', ['version']);
  if (version === undefined) return undefined;
  const command = (place: Place, ...args: string[]): Command => ({
    program: 'restic',
    args,
    cwd: place.data,
    env: {
      RESTIC_REPOSITORY: join(place.work, 'repository'),
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: join(place.work, 'cache'),
    },
  });
  return {
    name: 'restic',
    version,
    init: (place) => command(place, 'init'),
    backup: (place) => command(place, 'backup', '.'),
    check: (place) => command(place, 'check', '--read-data'),
    restore: (place) => command(place, 'restore', 'latest', '--target', place.target),
  };
}

function rustic(): Tool | undefined {
  const version = versionOf('rustic', ['--version']);
  if (version === undefined) return undefined;
  const command = (place: Place, ...args: string[]): Command => ({
    program: 'rustic',
    args: ['--no-progress', ...args],
    env: {
      RUSTIC_REPOSITORY: join(place.work, 'repository'),
      RUSTIC_PASSWORD: password,
      RUSTIC_CACHE_DIR: join(place.work, 'cache'),
      HOME: place.work,
    },
  });
  return {
    name: 'rustic',
    version,
    init: (place) => command(place, 'init'),
    backup: (place) => command(place, 'backup', place.data),
    check: (place) => command(place, 'check', '--read-data'),
    restore: (place) => command(place, 'restore', 'latest', place.target),
  };
}

function kopia(): Tool | undefined {
  const version = versionOf('kopia', ['--version']);
  if (version === undefined) return undefined;
  const command = (place: Place, ...args: string[]): Command => ({
    program: 'kopia',
    args: [...args, '--no-progress', `--config-file=${join(place.work, 'kopia.config')}`],
    env: {
      KOPIA_PASSWORD: password,
      KOPIA_CACHE_DIRECTORY: join(place.work, 'cache'),
      KOPIA_LOG_DIR: join(place.work, 'logs'),
      KOPIA_CHECK_FOR_UPDATES: 'false',
      HOME: place.work,
    },
  });
  return {
    name: 'kopia',
    version,
    init: (place) => command(place, 'repository', 'create', 'filesystem', '--path', join(place.work, 'repository')),
    backup: (place) => command(place, 'snapshot', 'create', place.data),
    check: (place) => command(place, 'snapshot', 'verify', '--verify-files-percent=100'),
    restore: (place) => command(place, 'snapshot', 'restore', place.data, place.target),
  };
}

/** The first line of what a program says of its version; undefined where there is no such program. */
function versionOf(program: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0]?.trim() : undefined;
}
