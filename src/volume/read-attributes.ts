/** Everything that a backup keeps of an entry except its content. Where it has no extended attributes: one call of the C library. */
import { type BigIntStats, readlinkSync } from 'node:fs';
import type { ExtendedAttribute, TreeNode } from '../repository/format/tree.ts';
import { goModeFromPosix, typeFromPosix } from './attributes.ts';
import { getAttribute, listAttributeNames } from './libc.ts';
import { groupName, userName } from './user-names.ts';

export type EntryAttributes = Omit<TreeNode, 'content' | 'subtree'>;

const noAttributes: readonly ExtendedAttribute[] = [];

/**
 * What `stat` (of lstat) says of an entry that is called `name` in its tree; extended attributes and link target are empty.
 * undefined for sockets, which nothing can restore. As restic does: atime is set to mtime, size belongs to files only, links not to
 * directories and FIFOs. The device number of the file system is kept only where hard links need it, since it changes with each mount.
 */
export function statAttributes(name: Buffer, stat: BigIntStats): EntryAttributes | undefined {
  const mode = Number(stat.mode);
  const type = typeFromPosix(mode);
  if (type === undefined || type === 'socket') return undefined;
  const uid = Number(stat.uid);
  const gid = Number(stat.gid);
  const links = type === 'dir' || type === 'fifo' ? 0 : Number(stat.nlink);
  const isDevice = type === 'dev' || type === 'chardev';
  return {
    name,
    type,
    mode: goModeFromPosix(mode),
    mtimeNs: stat.mtimeNs,
    atimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    uid,
    gid,
    user: userName(uid),
    group: groupName(gid),
    inode: stat.ino,
    deviceId: links > 1 ? stat.dev : 0n,
    sizeBytes: type === 'file' ? Number(stat.size) : 0,
    links,
    extendedAttributes: noAttributes,
    device: isDevice ? Number(stat.rdev) : 0,
  };
}

/** All of an entry: what `stat` says, and what only further calls say. undefined for sockets. */
export function readAttributes(path: Buffer, name: Buffer, stat: BigIntStats): EntryAttributes | undefined {
  const attributes = statAttributes(name, stat);
  return attributes && readFurther(path, attributes);
}

/** Adds extended attributes and link target to what statAttributes gave. */
export function readFurther(path: Buffer, attributes: EntryAttributes): EntryAttributes {
  const extendedAttributes = readExtendedAttributes(path);
  const all = extendedAttributes.length > 0 ? { ...attributes, extendedAttributes } : attributes;
  return all.type === 'symlink' ? { ...all, linkTarget: readlinkSync(path, 'buffer') } : all;
}

/** In the order of the file system; an attribute that vanishes meanwhile is left out. */
function readExtendedAttributes(path: Buffer): readonly ExtendedAttribute[] {
  const names = listAttributeNames(path);
  if (names.length === 0) return noAttributes;
  const attributes: ExtendedAttribute[] = [];
  for (const name of names) {
    const value = getAttribute(path, name);
    if (value !== undefined) attributes.push({ name, value });
  }
  return attributes;
}
