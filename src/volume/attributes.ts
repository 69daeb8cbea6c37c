/**
 * File modes as the two sides write them: Go's os.FileMode in trees (restic-format, trees), POSIX st_mode on disk.
 * The permission bits are the same; type, setuid, setgid and sticky are other bits.
 */
import type { NodeType } from '../repository/format/tree.ts';

const goDirectory = 2 ** 31;
const goSymlink = 1 << 27;
const goDevice = 1 << 26;
const goFifo = 1 << 25;
const goSocket = 1 << 24;
const goSetuid = 1 << 23;
const goSetgid = 1 << 22;
const goCharacterDevice = 1 << 21;
const goSticky = 1 << 20;

const posixTypeMask = 0o170000;
const posixSetuid = 0o4000;
const posixSetgid = 0o2000;
const posixSticky = 0o1000;

interface Kind {
  readonly type: NodeType;
  readonly goBits: number;
  readonly posixType: number;
}

const kinds: readonly Kind[] = [
  { type: 'file', goBits: 0, posixType: 0o100000 },
  { type: 'dir', goBits: goDirectory, posixType: 0o040000 },
  { type: 'symlink', goBits: goSymlink, posixType: 0o120000 },
  { type: 'dev', goBits: goDevice, posixType: 0o060000 },
  { type: 'chardev', goBits: goDevice | goCharacterDevice, posixType: 0o020000 },
  { type: 'fifo', goBits: goFifo, posixType: 0o010000 },
  { type: 'socket', goBits: goSocket, posixType: 0o140000 },
];

const kindByPosixType = new Map(kinds.map((kind) => [kind.posixType, kind]));
const kindByType = new Map(kinds.map((kind) => [kind.type, kind]));

/** undefined for a type that Linux does not have. */
export function typeFromPosix(mode: number): NodeType | undefined {
  return kindByPosixType.get(mode & posixTypeMask)?.type;
}

/** Go's os.FileMode of an st_mode. */
export function goModeFromPosix(mode: number): number {
  let goMode = (kindByPosixType.get(mode & posixTypeMask)?.goBits ?? 0) + (mode & 0o777);
  if (mode & posixSetuid) goMode += goSetuid;
  if (mode & posixSetgid) goMode += goSetgid;
  if (mode & posixSticky) goMode += goSticky;
  return goMode;
}

/** What chmod takes: permissions, setuid, setgid, sticky. The type bits of a foreign tree are not trusted. */
export function permissionsFromGo(goMode: number): number {
  let mode = goMode & 0o777;
  if (goMode & goSetuid) mode |= posixSetuid;
  if (goMode & goSetgid) mode |= posixSetgid;
  if (goMode & goSticky) mode |= posixSticky;
  return mode;
}

/** The S_IF… bits that mknod takes. */
export function posixTypeBits(type: NodeType): number {
  return kindByType.get(type)?.posixType ?? 0;
}
