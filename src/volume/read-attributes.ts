/** Everything that a backup keeps of an entry except its content. Where it has no extended attributes: one call of the C library. */
import { type BigIntStats, readlinkSync } from 'node:fs';
import type { ExtendedAttribute, TreeNode } from '../repository/format/tree.ts';
import { goModeFromPosix, typeFromPosix } from './attributes.ts';
import { getAttribute, listAttributeNames } from './libc.ts';
import { groupName, userName } from './user-names.ts';

export type EntryAttributes = Omit<TreeNode, 'content' | 'subtree'>;

const noAttributes: readonly ExtendedAttribute[] = [];

/**
 * Reads what `stat` (of lstat) does not say of the entry at `path`; `name` is what it is called in its tree.
 * undefined for sockets, which nothing can restore. As restic does: atime is set to mtime, size belongs to files only, links not to
 * directories and FIFOs. The device number of the file system is kept only where hard links need it, since it changes with each mount.
 */
export function readAttributes(path: Buffer, name: Buffer, stat: BigIntStats): EntryAttributes | undefined {
  const mode = Number(stat.mode);
  const type = typeFromPosix(mode);
  if (type === undefined || type === 'socket') return undefined;
  const uid = Number(stat.uid);
  const gid = Number(stat.gid);
  const links = type === 'dir' || type === 'fifo' ? 0 : Number(stat.nlink);
  const isDevice = type === 'dev' || type === 'chardev';
  const attributes: EntryAttributes = {
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
    extendedAttributes: readExtendedAttributes(path),
    device: isDevice ? Number(stat.rdev) : 0,
  };
  return type === 'symlink' ? { ...attributes, linkTarget: readlinkSync(path, 'buffer') } : attributes;
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
