/**
 * The folder that a restore writes into. Nothing outside it is ever touched: names from a tree are single path components, files
 * are opened without following links, and every folder on the way is held open (open-folders.ts).
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { codeOf, HoldfastError, messageOf } from '../base/errors.ts';
import { listAttributeNames } from './libc.ts';
import type { OverwriteMode } from './restore-existing.ts';
import { isLabelOfSystem, type TargetConditions } from './write-attributes.ts';

const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A new ext4 volume has it, so it does not count as content. */
export const lostAndFound = 'lost+found';
const markPrefix = '.holdfast-restore-';
const probePrefix = '.holdfast-probe-';

export interface PreparedTarget {
  /** Without symbolic links and without a final slash. */
  readonly path: string;
  /** Open as long as the restore goes on: nothing that happens to the path leads it elsewhere. */
  readonly fd: number;
  readonly conditions: TargetConditions;
  /** How to treat what is there; undefined where nothing is. */
  readonly overwrite: OverwriteMode | undefined;
  /** Its file system. */
  readonly device: bigint;
}

export interface TargetOptions {
  readonly backupId: string;
  /** undefined: only what an unfinished restore of the same backup left may be there. */
  readonly overwrite: OverwriteMode | undefined;
}

/**
 * Makes the folder where it is missing. A restore into an empty one leaves a mark in it until finishTarget, so that the same
 * restore can go on where it was killed. RESTORE_TARGET_UNUSABLE where the target is no folder, not writable, or not empty.
 */
export function prepareTarget(target: string, { backupId, overwrite }: TargetOptions): PreparedTarget {
  try {
    mkdirSync(target, { recursive: true });
    const path = realpathSync(target);
    const { content, isUnfinished } = contentOf(removeProbes(path, readdirSync(path)), { backupId, overwrite });
    if (overwrite === undefined && !isUnfinished)
      writeFileSync(join(path, markName(backupId)), markText, { flag: 'wx' });
    const conditions = probe(path);
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    const prepared = { path, fd, device: fstatSync(fd, { bigint: true }).dev };
    if (content.length === 0) return { ...prepared, conditions, overwrite: undefined };
    // Folders that are there already hand their group and their ACLs on, each its own.
    const unknown = { ...conditions, newOwner: undefined, newHaveAttributes: true };
    return { ...prepared, conditions: unknown, overwrite: overwrite ?? 'always' };
  } catch (error) {
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
  }
}

/** As prepareTarget, without touching anything: the target where it is there, and how to treat what is in it. */
export function lookAtTarget(target: string, options: TargetOptions) {
  const names = readdirIfThere(target);
  if (!names) return undefined;
  try {
    const { content } = contentOf(names, options);
    const fd = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
    const overwrite: OverwriteMode = options.overwrite ?? 'always';
    return { fd, device: fstatSync(fd, { bigint: true }).dev, overwrite: content.length > 0 ? overwrite : undefined };
  } catch (error) {
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
  }
}

function readdirIfThere(target: string): string[] | undefined {
  try {
    return readdirSync(target);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
  }
}

/** Throws an Error where there may be no content. */
function contentOf(names: readonly string[], { backupId, overwrite }: TargetOptions) {
  const content = names.filter((name) => name !== lostAndFound && name !== markName(backupId));
  const isUnfinished = names.includes(markName(backupId));
  if (content.length > 0 && overwrite === undefined && !isUnfinished) throw new Error(reasonToRefuse(content));
  return { content, isUnfinished };
}

/** To be called before the target gets its own attributes. */
export function unmarkTarget({ fd }: PreparedTarget, backupId: string): void {
  rmSync(`/proc/self/fd/${fd}/${markName(backupId)}`, { force: true });
}

/** What belongs to the target, not to what is restored into it. */
export function isOfTarget(name: string): boolean {
  return name === lostAndFound || name.startsWith(markPrefix);
}

/** No backup can hold an entry of this name: its id would have to be known before it is made. */
function markName(backupId: string): string {
  return `${markPrefix}${backupId.slice(0, 16)}`;
}

const markText =
  'A restore into this folder is not finished. The same command, run again, goes on where it was and removes this file.\n';

function reasonToRefuse(content: readonly string[]): string {
  const mark = content.find((name) => name.startsWith(markPrefix));
  if (mark === undefined) return `it is not empty (it has ${content[0]})`;
  return `it holds an unfinished restore of another backup, ${mark.slice(markPrefix.length, markPrefix.length + 8)}`;
}

/** What new entries get by themselves depends on the mount, on setgid and default ACLs: makes one and looks. */
function probe(target: string): TargetConditions {
  const folder = mkdtempSync(join(target, probePrefix));
  try {
    const file = join(folder, 'file');
    closeSync(openSync(file, newFileFlags, 0o600));
    const { uid, gid } = lstatSync(file);
    const names = [...listAttributeNames(Buffer.from(folder)), ...listAttributeNames(Buffer.from(file))];
    return {
      isPrivileged: process.geteuid?.() === 0,
      newOwner: { uid, gid },
      newHaveAttributes: !names.every(isLabelOfSystem),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of a restore that was killed while it had a look. */
function removeProbes(target: string, names: readonly string[]): string[] {
  const probes = names.filter((name) => name.startsWith(probePrefix));
  for (const name of probes) rmSync(join(target, name), { recursive: true, force: true });
  return names.filter((name) => !probes.includes(name));
}

/** undefined for a name that an entry can have; otherwise what is wrong with it. */
export function problemWithName(name: Buffer): string | undefined {
  if (name.length === 0) return 'its name is empty';
  if (name.includes(0x2f) || name.includes(0)) return 'its name holds a slash or a zero byte';
  const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
  return isDots ? 'its name means another folder' : undefined;
}

/** The open new file. With `replace`, what has the name is removed first: its other names keep their content. */
export function createFile(path: Buffer, replace: boolean): number {
  return makingRoom(path, replace, () => openSync(path, newFileFlags, 0o600));
}

/** Runs `make`; where the name is taken and may be replaced, removes what has it and runs `make` again. */
export function makingRoom<T>(path: Buffer, replace: boolean, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!replace || codeOf(error) !== 'EEXIST') throw error;
  }
  if (lstatSync(path).isDirectory()) rmdirSync(path);
  else unlinkSync(path);
  return make();
}

/** Errors after which no further file can be restored either. */
export function isTargetLost(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'].includes(codeOf(error) ?? '');
}
