/**
 * Headers of a tar archive (POSIX.1-2001, pax). Written here because names, link targets and attribute values are bytes
 * of any kind and times reach beyond 2038, which the tar packages for Node take only as text and 32-bit numbers.
 */
import type { ExtendedAttribute } from '../repository/format/tree.ts';

export type TarType = 'file' | 'link' | 'symlink' | 'chardev' | 'dev' | 'dir' | 'fifo';

export interface TarEntry {
  /** Without a leading slash; a folder's with a slash at its end. */
  readonly path: Buffer;
  readonly type: TarType;
  /** Permissions, setuid, setgid and sticky as chmod takes them. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  readonly mtimeNs: bigint;
  /** Of the content that follows: 0 for everything but files. */
  readonly sizeBytes: number;
  /** Where a link leads to: for `link`, the path of an entry before it. */
  readonly target?: Buffer;
  /** Raw st_rdev. */
  readonly device: number;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

export const tarBlockBytes = 512;
/** What ends an archive. */
export const tarEnd: Buffer = Buffer.alloc(2 * tarBlockBytes);

const typeFlags: Readonly<Record<TarType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  chardev: '3',
  dev: '4',
  dir: '5',
  fifo: '6',
};
const nameBytes = 100;
const userBytes = 32;
const largestId = 0o7777777;
const largestNumber = 0o77777777777;
const nsPerSecond = 1_000_000_000n;

/** The header, with a pax header before it where the plain one cannot hold everything. */
export function encodeTarHeader(entry: TarEntry): Buffer {
  const records = paxRecords(entry);
  const plain = encodeBlock({ ...entry, flag: typeFlags[entry.type] });
  if (records.length === 0) return plain;
  const data = Buffer.concat(records);
  const head = encodeBlock({
    path: Buffer.from('././@PaxHeader'),
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    mtimeNs: 0n,
    sizeBytes: data.length,
    device: 0,
  });
  return Buffer.concat([head, data, tarPadding(data.length), plain]);
}

/** What fills up the last block of a content. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes);
}

/** Texts that are not UTF-8 go in as they are, without `hdrcharset`, of which GNU tar complains: so does it itself. */
function paxRecords(entry: TarEntry): Buffer[] {
  const { path, target, sizeBytes, uid, gid, mtimeNs, extendedAttributes } = entry;
  const [user, group] = [Buffer.from(entry.user), Buffer.from(entry.group)];
  const records: Buffer[] = [];
  const add = (key: string, value: Buffer | string): number => records.push(paxRecord(key, Buffer.from(value)));
  if (path.length > nameBytes || !isAscii(path)) add('path', path);
  if (target && (target.length > nameBytes || !isAscii(target))) add('linkpath', target);
  if (sizeBytes > largestNumber) add('size', String(sizeBytes));
  if (uid > largestId) add('uid', String(uid));
  if (gid > largestId) add('gid', String(gid));
  if (user.length >= userBytes || !isAscii(user)) add('uname', user);
  if (group.length >= userBytes || !isAscii(group)) add('gname', group);
  if (mtimeNs % nsPerSecond !== 0n || mtimeNs < 0n || mtimeNs / nsPerSecond > BigInt(largestNumber)) {
    add('mtime', decimalSeconds(mtimeNs));
  }
  for (const { name, value } of extendedAttributes) add(`SCHILY.xattr.${escapeKey(name)}`, value);
  return records;
}

/** `LENGTH KEY=VALUE\n`, where the length counts its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** The key ends at the first `=`; GNU tar escapes it in this way, and reads it back. */
function escapeKey(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function decimalSeconds(ns: bigint): string {
  const sign = ns < 0n ? '-' : '';
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % nsPerSecond)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${sign}${size / nsPerSecond}${fraction === '' ? '' : `.${fraction}`}`;
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte < 0x7f);
}

type Block = Omit<TarEntry, 'type' | 'extendedAttributes'> & { readonly flag: string };

/** What does not fit is cut off or held at its limit: then a pax record says it right. */
function encodeBlock({ path, flag, mode, uid, gid, user, group, mtimeNs, sizeBytes, target, device }: Block): Buffer {
  const block = Buffer.alloc(tarBlockBytes);
  const seconds = Number(mtimeNs / nsPerSecond);
  path.copy(block, 0, 0, nameBytes);
  writeOctal(block, mode, 100, 7, 0o7777777);
  writeOctal(block, uid, 108, 7, largestId);
  writeOctal(block, gid, 116, 7, largestId);
  writeOctal(block, sizeBytes, 124, 11, largestNumber);
  writeOctal(block, seconds, 136, 11, largestNumber);
  block.write(flag, 156);
  target?.copy(block, 157, 0, nameBytes);
  block.write('ustar\x0000', 257, 'latin1');
  Buffer.from(user).copy(block, 265, 0, userBytes - 1);
  Buffer.from(group).copy(block, 297, 0, userBytes - 1);
  const { major, minor } = splitDevice(device);
  writeOctal(block, major, 329, 7, 0o7777777);
  writeOctal(block, minor, 337, 7, 0o7777777);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function writeOctal(block: Buffer, value: number, at: number, digits: number, largest: number): void {
  const held = Math.min(Math.max(value, 0), largest);
  block.write(held.toString(8).padStart(digits, '0'), at, 'latin1');
}

/** As Linux packs them into st_rdev. */
function splitDevice(device: number): { readonly major: number; readonly minor: number } {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}
