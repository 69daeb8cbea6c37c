/**
 * Gives a restored entry its owner, mode, extended attributes, ACLs and times. The order is that of R10.3:
 * user attributes while we may still write, then owner (which clears setuid and capabilities), mode, capabilities and ACLs, times last.
 */
import { chmodSync, fchmodSync, fchownSync, lchownSync } from 'node:fs';
import { zeroTimeNs } from '../repository/format/time.ts';
import { permissionsFromGo } from './attributes.ts';
import { listAttributeNames, removeAttribute, setAttribute, setTimes, setTimesOfOpenFile } from './libc.ts';
import type { EntryAttributes } from './read-attributes.ts';

export type RestoredAttributes = Pick<
  EntryAttributes,
  'type' | 'mode' | 'uid' | 'gid' | 'mtimeNs' | 'atimeNs' | 'extendedAttributes'
>;

/** What the target folder and this process allow; probed once, the same for all threads. */
export interface TargetConditions {
  readonly isPrivileged: boolean;
  /** Whom a new entry belongs to before chown; undefined where that differs from folder to folder. */
  readonly newOwner: { readonly uid: number; readonly gid: number } | undefined;
  /** Whether new entries come with attributes of their own (inherited ACLs, labels). */
  readonly newHaveAttributes: boolean;
}

/** What could not be kept, but is no failure: how often, and where first. */
export interface AttributeWarning {
  readonly message: string;
  readonly firstPath: string;
  count: number;
}

/** An open file where there is one: saves a path lookup a call. */
interface Entry {
  readonly path: Buffer;
  readonly fd: number | undefined;
  /** Made by this restore a moment ago. */
  readonly isNew: boolean;
}

const failuresOfPermission = new Set(['EPERM', 'EACCES']);
const failuresOfSupport = new Set(['ENOTSUP', 'EOPNOTSUPP']);

export class AttributeWriter {
  readonly #conditions: TargetConditions;
  readonly #warnings = new Map<string, AttributeWarning>();

  constructor(conditions: TargetConditions) {
    this.#conditions = conditions;
  }

  get warnings(): readonly AttributeWarning[] {
    return [...this.#warnings.values()];
  }

  write(path: Buffer, attributes: RestoredAttributes, isNew = false): void {
    this.#write({ path, fd: undefined, isNew }, attributes);
  }

  /** For a regular file that this restore just made. */
  writeNewFile(fd: number, path: Buffer, attributes: RestoredAttributes): void {
    this.#write({ path, fd, isNew: true }, attributes);
  }

  #write(entry: Entry, attributes: RestoredAttributes): void {
    const { extendedAttributes } = attributes;
    if (!entry.isNew || this.#conditions.newHaveAttributes) this.#removeUnlisted(entry, extendedAttributes);
    for (const { name, value } of extendedAttributes) if (!isSetLate(name)) this.#setAttribute(entry, name, value);
    const isOwnerSet = this.#writeOwner(entry, attributes);
    if (attributes.type !== 'symlink') this.#writeMode(entry, attributes, isOwnerSet);
    for (const { name, value } of extendedAttributes) if (isSetLate(name)) this.#setAttribute(entry, name, value);
    writeTimes(entry, attributes);
  }

  /** Whether the entry now belongs to whom it should. Only an unprivileged process may fail at it. */
  #writeOwner(entry: Entry, { uid, gid }: RestoredAttributes): boolean {
    const { isPrivileged, newOwner } = this.#conditions;
    if (entry.isNew && newOwner?.uid === uid && newOwner.gid === gid) return true;
    try {
      if (entry.fd === undefined) lchownSync(entry.path, uid, gid);
      else fchownSync(entry.fd, uid, gid);
      return true;
    } catch (error) {
      if (isPrivileged || !hasCode(error, failuresOfPermission)) throw error;
      this.#warn('the owner cannot be set without the right to (run as root)', entry.path);
      return false;
    }
  }

  /** Without its owner a file must not run with the rights of somebody else. */
  #writeMode(entry: Entry, { mode }: RestoredAttributes, isOwnerSet: boolean): void {
    const wanted = permissionsFromGo(mode);
    const permissions = isOwnerSet ? wanted : wanted & 0o1777;
    if (permissions !== wanted)
      this.#warn('setuid and setgid are left out where the owner is not the same', entry.path);
    if (entry.fd === undefined) chmodSync(entry.path, permissions);
    else fchmodSync(entry.fd, permissions);
  }

  #removeUnlisted(entry: Entry, listed: RestoredAttributes['extendedAttributes']): void {
    const names = listAttributeNames(entry.path);
    if (names.length === 0) return;
    const wanted = new Set(listed.map(({ name }) => name));
    for (const name of names) {
      if (wanted.has(name) || isLabelOfSystem(name)) continue;
      this.#orWarn(entry, name, 'removed', () => removeAttribute(entry.path, name));
    }
  }

  #setAttribute(entry: Entry, name: string, value: Buffer): void {
    this.#orWarn(entry, name, 'set', () => setAttribute(entry.path, name, value));
  }

  /** trusted.* needs SYS_ADMIN, security.* rights over labels (R10.3), and not every file system knows every kind. */
  #orWarn(entry: Entry, name: string, verb: 'set' | 'removed', change: () => void): void {
    try {
      change();
    } catch (error) {
      const isRestricted = /^(trusted|security)\./.test(name) && hasCode(error, failuresOfPermission);
      if (!isRestricted && !hasCode(error, failuresOfSupport)) throw error;
      const reason = isRestricted ? 'not permitted' : 'not supported by the file system';
      this.#warn(`attribute ${name} cannot be ${verb}: ${reason}`, entry.path);
    }
  }

  #warn(message: string, path: Buffer): void {
    const warning = this.#warnings.get(message);
    if (warning) warning.count += 1;
    else this.#warnings.set(message, { message, firstPath: path.toString(), count: 1 });
  }
}

/** SELinux gives every new file a label, which only its policy takes away: no attribute that a restore should remove. */
export function isLabelOfSystem(name: string): boolean {
  return name === 'security.selinux';
}

/** chown clears capabilities; chmod would change the mask of an ACL. */
function isSetLate(name: string): boolean {
  return name.startsWith('security.') || name.startsWith('system.');
}

/** A node of another tool without times keeps the present. */
function writeTimes({ path, fd }: Entry, { atimeNs, mtimeNs }: RestoredAttributes): void {
  if (mtimeNs === zeroTimeNs) return;
  const accessNs = atimeNs === zeroTimeNs ? mtimeNs : atimeNs;
  if (fd === undefined) setTimes(path, accessNs, mtimeNs);
  else setTimesOfOpenFile(fd, accessNs, mtimeNs);
}

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.has(error.code);
}
