/**
 * Gives a restored entry its owner, mode, extended attributes, ACLs and times. The order is that of R10.3:
 * user attributes while we may still write, then owner (which clears setuid and capabilities), mode, capabilities and ACLs, times last.
 */

import { type BigIntStats, fchmodSync, fchownSync, fstatSync, lchownSync, lstatSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import { zeroTimeNs } from '../repository/format/time.ts';
import { permissionsFromGo } from './attributes.ts';
import {
  type EntryHandle,
  getAttribute,
  listAttributeNames,
  removeAttribute,
  setAttribute,
  setTimes,
  setTimesOfOpenFile,
} from './libc.ts';
import { changeMode } from './open-folders.ts';
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

export interface WrittenEntry {
  /** Files and folders open, so that nothing else can come in their place; links and special files by a path. */
  readonly at: EntryHandle;
  /** Made by this restore a moment ago. */
  readonly isNew: boolean;
  /** The path for people. */
  readonly shown: () => string;
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

  write(entry: WrittenEntry, attributes: RestoredAttributes): void {
    const { extendedAttributes } = attributes;
    if (!entry.isNew || this.#conditions.newHaveAttributes) this.#removeUnlisted(entry, extendedAttributes);
    for (const { name, value } of extendedAttributes) if (!isSetLate(name)) this.#setAttribute(entry, name, value);
    const isOwnerSet = this.#writeOwner(entry, attributes);
    if (attributes.type !== 'symlink') this.#writeMode(entry, attributes, isOwnerSet);
    for (const { name, value } of extendedAttributes) if (isSetLate(name)) this.#setAttribute(entry, name, value);
    writeTimes(entry, attributes);
  }

  /** For an entry that may be as it should: then it is not touched. Whether it was touched. */
  correct(entry: WrittenEntry, attributes: RestoredAttributes): boolean {
    if (hasAttributes(entry.at, attributes)) return false;
    this.write(entry, attributes);
    return true;
  }

  /** Whether the entry now belongs to whom it should. Only an unprivileged process may fail at it. */
  #writeOwner(entry: WrittenEntry, { uid, gid }: RestoredAttributes): boolean {
    const { isPrivileged, newOwner } = this.#conditions;
    if (entry.isNew && newOwner?.uid === uid && newOwner.gid === gid) return true;
    try {
      if (typeof entry.at === 'number') fchownSync(entry.at, uid, gid);
      else lchownSync(entry.at, uid, gid);
      return true;
    } catch (error) {
      if (isPrivileged || !hasCode(error, failuresOfPermission)) throw error;
      this.#warn('the owner cannot be set without the right to (run as root)', entry);
      return false;
    }
  }

  /** Without its owner a file must not run with the rights of somebody else. */
  #writeMode(entry: WrittenEntry, { mode }: RestoredAttributes, isOwnerSet: boolean): void {
    const wanted = permissionsFromGo(mode);
    const permissions = isOwnerSet ? wanted : wanted & 0o1777;
    if (permissions !== wanted) this.#warn('setuid and setgid are left out where the owner is not the same', entry);
    if (typeof entry.at === 'number') fchmodSync(entry.at, permissions);
    else changeMode(entry.at, permissions);
  }

  #removeUnlisted(entry: WrittenEntry, listed: RestoredAttributes['extendedAttributes']): void {
    const names = listAttributeNames(entry.at);
    if (names.length === 0) return;
    const wanted = new Set(listed.map(({ name }) => name));
    for (const name of names) {
      if (wanted.has(name) || isLabelOfSystem(name)) continue;
      this.#orWarn(entry, name, 'removed', () => removeAttribute(entry.at, name));
    }
  }

  #setAttribute(entry: WrittenEntry, name: string, value: Buffer): void {
    this.#orWarn(entry, name, 'set', () => setAttribute(entry.at, name, value));
  }

  /** trusted.* needs SYS_ADMIN, security.* rights over labels (R10.3), and not every file system knows every kind. */
  #orWarn(entry: WrittenEntry, name: string, verb: 'set' | 'removed', change: () => void): void {
    try {
      change();
    } catch (error) {
      const isRestricted = /^(trusted|security)\./.test(name) && hasCode(error, failuresOfPermission);
      if (!isRestricted && !hasCode(error, failuresOfSupport)) throw error;
      const reason = isRestricted ? 'not permitted' : 'not supported by the file system';
      this.#warn(`attribute ${name} cannot be ${verb}: ${reason}`, entry);
    }
  }

  #warn(message: string, { shown }: WrittenEntry): void {
    const warning = this.#warnings.get(message);
    if (warning) warning.count += 1;
    else this.#warnings.set(message, { message, firstPath: shown(), count: 1 });
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

/** For a file that is not complete: with the time of its original it would look as if it were. */
export function withoutTimes(attributes: RestoredAttributes): RestoredAttributes {
  return { ...attributes, mtimeNs: zeroTimeNs, atimeNs: zeroTimeNs };
}

/** Whether the entry has exactly these attributes. */
export function hasAttributes(at: EntryHandle, wanted: RestoredAttributes): boolean {
  const stat: BigIntStats = typeof at === 'number' ? fstatSync(at, { bigint: true }) : lstatSync(at, { bigint: true });
  if (stat.uid !== BigInt(wanted.uid) || stat.gid !== BigInt(wanted.gid)) return false;
  if (wanted.mtimeNs !== zeroTimeNs && stat.mtimeNs !== wanted.mtimeNs) return false;
  if (wanted.type !== 'symlink' && Number(stat.mode & 0o7777n) !== permissionsFromGo(wanted.mode)) return false;
  const names = listAttributeNames(at).filter((name) => !isLabelOfSystem(name));
  const listed = wanted.extendedAttributes.filter(({ name }) => !isLabelOfSystem(name));
  if (names.length !== listed.length) return false;
  return listed.every(({ name, value }) => names.includes(name) && getAttribute(at, name)?.equals(value));
}

/** A node of another tool without times keeps the present. */
function writeTimes({ at }: WrittenEntry, { atimeNs, mtimeNs }: RestoredAttributes): void {
  if (mtimeNs === zeroTimeNs) return;
  const accessNs = atimeNs === zeroTimeNs ? mtimeNs : atimeNs;
  if (typeof at === 'number') setTimesOfOpenFile(at, accessNs, mtimeNs);
  else setTimes(at, accessNs, mtimeNs);
}

function hasCode(error: unknown, codes: ReadonlySet<string>): boolean {
  return codes.has(codeOf(error) ?? '');
}
