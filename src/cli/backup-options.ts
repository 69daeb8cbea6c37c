/** The options of `backup --dir`, and how their values are read. They stand apart so that help loads no engine. */
import { HoldfastError } from '../base/errors.ts';
import { parseSize } from '../base/units.ts';
import type { Compression } from '../repository/compression.ts';
import { parseClaim } from './claim-options.ts';
import { flag, longName, type OptionValues, parsed, text, texts } from './command.ts';
import type { Environment } from './config.ts';
import { excludeOptions } from './exclude-options.ts';

export const folderOptions = {
  dir: text('--dir <path>', 'back up this folder, instead of claims'),
  as: parsed(
    '--as <namespace/claim>',
    'with --dir: the folder is the content of this claim, and its backups go on',
    parseClaim,
  ),
  stdin: flag('--stdin', 'back up standard input as one file, instead of claims'),
  stdinFromCommand: flag('--stdin-from-command', 'run the command after --, and back up what it writes as one file'),
  stdinFilename: text('--stdin-filename <path>', 'path of that file in the backup (default: stdin)'),
  tag: texts('--tag <tag[,tag…]>', 'with --dir: tag of the backup'),
  host: text('--host <name>', 'with --dir: host that the backup is of (default: $RESTIC_HOST, or this machine)'),
  time: parsed('--time <time>', 'with --dir: time of the backup, as "2026-11-22 19:30:00" (default: now)', parseTime),
  parent: text('--parent <backup>', 'with --dir: what to compare with, or none (default: the last of host and path)'),
  ignoreInode: flag(
    '--ignore-inode',
    'with --dir: a file with another inode number and ctime has not changed for that',
  ),
  ignoreCtime: flag('--ignore-ctime', 'with --dir: a file with another ctime has not changed for that'),
  skipIfUnchanged: flag('--skip-if-unchanged', 'with --dir: make no backup where nothing differs from the parent'),
  ...excludeOptions,
  packSize: parsed(
    '--pack-size <MiB>',
    'with --dir: size of packs, 4 to 128 (default: $RESTIC_PACK_SIZE, or 16)',
    parsePackSize,
  ),
  compression: parsed(
    '--compression <off|auto|max>',
    'with --dir: how much of what is new is compressed (default: $RESTIC_COMPRESSION, or auto)',
    parseCompression,
  ),
  noExtraVerify: flag('--no-extra-verify', 'with --dir: do not decompress and compare what was compressed'),
};
export type FolderOptionValues = OptionValues<typeof folderOptions>;

type OptionName = keyof typeof folderOptions;

/** What only a folder has: a stream has one file and no history. */
const onlyForFolders: readonly OptionName[] = [
  'as',
  'parent',
  'ignoreInode',
  'ignoreCtime',
  'skipIfUnchanged',
  ...(Object.keys(excludeOptions) as (keyof typeof excludeOptions)[]),
];

/** Claims are backed up whole, under a name and a time of their own. Throws USAGE. */
export function refuseForClaims(given: FolderOptionValues): void {
  refuse(given, Object.keys(folderOptions) as OptionName[], 'is for --dir, not for claims');
}

/** Throws USAGE. */
export function refuseForStream(given: FolderOptionValues): void {
  refuse(given, onlyForFolders, 'is for --dir, not for standard input');
}

/** Throws USAGE. */
export function refuseForFolder(given: FolderOptionValues): void {
  refuse(given, ['stdinFilename'], 'is for --stdin and --stdin-from-command');
}

function refuse(given: FolderOptionValues, names: readonly OptionName[], why: string): void {
  for (const name of names) {
    const value = given[name];
    if (value === undefined || value === false || (Array.isArray(value) && value.length === 0)) continue;
    throw new HoldfastError('USAGE', { problem: `${longName(folderOptions[name].flags)} ${why}` });
  }
}

/** The option, else one of the variables; an empty variable counts as not set. Throws USAGE that names the variable. */
export function orVariable<T>(
  given: T | undefined,
  env: Environment,
  names: readonly string[],
  read: (text: string) => T,
) {
  if (given !== undefined) return given;
  const name = names.find((variable) => (env[variable] ?? '') !== '');
  if (name === undefined) return undefined;
  try {
    return read(env[name] ?? '');
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new HoldfastError('USAGE', { problem: `${name}: ${error.message.replace(/\.$/, '')}` }, { cause: error });
  }
}

const timeForm = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/;

/** Milliseconds since 1970 of `2026-11-22 19:30:00`, in the zone of this machine where it names none, or of `now`. */
export function parseTime(given: string): number {
  if (given === 'now') return Date.now();
  const timeMs = timeForm.test(given) ? Date.parse(given.replace(' ', 'T')) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new Error('expected a time such as "2026-11-22 19:30:00" or 2026-11-22T19:30:00Z');
  return timeMs;
}

export function parseCompression(given: string): Compression {
  if (given === 'off' || given === 'auto' || given === 'max') return given;
  throw new Error('expected off, auto or max');
}

const smallestPackBytes = 4 << 20;
const largestPackBytes = 128 << 20;

/** Bytes of `16`, which as in restic is MiB, or of a size such as `16Mi`. */
export function parsePackSize(given: string): number {
  const sizeBytes = /^\d+$/.test(given) ? Number(given) * 2 ** 20 : parseSize(given);
  if (sizeBytes >= smallestPackBytes && sizeBytes <= largestPackBytes) return sizeBytes;
  throw new Error('expected a size of 4 to 128 MiB');
}
