/**
 * The folder that a restore writes into. Nothing outside it is ever touched: names from a tree are single path components,
 * files are opened without following links, and a folder is one that was made, or seen to be one, a moment before.
 */
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { listAttributeNames } from './libc.ts';
import { isLabelOfSystem, type TargetConditions } from './write-attributes.ts';

const newFileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A new ext4 volume has it, so it does not count as content. */
const lostAndFound = 'lost+found';

export interface PreparedTarget {
  /** Without symbolic links and without a final slash. */
  readonly path: string;
  readonly conditions: TargetConditions;
}

/** Makes the folder where it is missing. RESTORE_TARGET_UNUSABLE where it is no folder, not writable, or not empty. */
export function prepareTarget(target: string, options: { readonly mayHaveContent: boolean }): PreparedTarget {
  try {
    mkdirSync(target, { recursive: true });
    const path = realpathSync(target);
    const content = readdirSync(path).filter((name) => name !== lostAndFound);
    if (content.length > 0 && !options.mayHaveContent) throw new Error(`it is not empty (it has ${content[0]})`);
    const conditions = probe(path);
    // Folders that are there already hand their group and their ACLs on, each its own.
    const unknown = { ...conditions, newOwner: undefined, newHaveAttributes: true };
    return { path, conditions: content.length > 0 ? unknown : conditions };
  } catch (error) {
    throw new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: messageOf(error) }, { cause: error });
  }
}

/** What new entries get by themselves depends on the mount, on setgid and default ACLs: makes one and looks. */
function probe(target: string): TargetConditions {
  const folder = mkdtempSync(join(target, '.holdfast-probe-'));
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

/** undefined for a name that an entry can have; otherwise what is wrong with it. */
export function problemWithName(name: Buffer): string | undefined {
  if (name.length === 0) return 'its name is empty';
  if (name.includes(0x2f) || name.includes(0)) return 'its name holds a slash or a zero byte';
  const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
  return isDots ? 'its name means another folder' : undefined;
}

export function joinPath(folder: Buffer, name: Buffer): Buffer {
  const path = Buffer.allocUnsafe(folder.length + 1 + name.length);
  folder.copy(path);
  path[folder.length] = 0x2f;
  name.copy(path, folder.length + 1);
  return path;
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

/** Whether the folder is new. An existing one is used with `replace`, and where it is the volume's own lost+found. */
export function makeFolder(path: Buffer, replace: boolean): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const stat = lstatSync(path);
    if (stat.isDirectory() && (replace || path.toString('latin1').endsWith(`/${lostAndFound}`))) {
      if ((stat.mode & 0o700) !== 0o700) chmodSync(path, (stat.mode & 0o7777) | 0o700);
      return false;
    }
    if (!replace) throw error;
  }
  unlinkSync(path);
  mkdirSync(path, 0o700);
  return true;
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Errors after which no further file can be restored either. */
export function isTargetLost(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'].includes(codeOf(error));
}
