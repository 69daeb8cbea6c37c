/**
 * The fields of tar headers, as GNU tar, BusyBox and libarchive write them: plain octal or base-256 numbers, and pax
 * records. Names and values are bytes. The writing side is tar-header.ts.
 */
import type { ExtendedAttribute } from '../repository/format/tree.ts';
import { tarBlockBytes } from './tar-header.ts';

/** One header block as it stands, without what extension headers before it say. */
export interface TarBlock {
  /** Type flag; a NUL is an old '0'. */
  readonly flag: string;
  readonly path: Buffer;
  readonly target: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** st_rdev of a device. */
  readonly device: number;
}

/** What pax records say of the entry that follows. */
export interface PaxFields {
  readonly texts: ReadonlyMap<string, Buffer>;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

const attributePrefix = 'SCHILY.xattr.';
const nsPerSecond = 1_000_000_000n;

/** Throws an Error that says what is wrong with it. */
export function decodeTarBlock(block: Buffer): TarBlock {
  checkSum(block);
  const magic = block.toString('latin1', 257, 263);
  const prefix = magic === 'ustar\0' ? textAt(block, 345, 155) : Buffer.alloc(0);
  const name = textAt(block, 0, 100);
  const flag = block.toString('latin1', 156, 157);
  const isDevice = flag === '3' || flag === '4';
  return {
    flag: flag === '\0' ? '0' : flag,
    path: prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name,
    target: textAt(block, 157, 100),
    mode: Number(numberAt(block, 100, 8)) & 0o7777,
    uid: Number(numberAt(block, 108, 8)),
    gid: Number(numberAt(block, 116, 8)),
    sizeBytes: sizeOf(numberAt(block, 124, 12)),
    mtimeNs: numberAt(block, 136, 12) * nsPerSecond,
    device: isDevice ? joinDevice(numberAt(block, 329, 8), numberAt(block, 337, 8)) : 0,
  };
}

/** `LENGTH KEY=VALUE\n` one after the other; the length counts all of it. A later record of a key replaces it. */
export function decodePaxRecords(data: Buffer): PaxFields {
  const texts = new Map<string, Buffer>();
  const attributes = new Map<string, Buffer>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = data.toString('latin1', at, space < 0 ? at : space);
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, space);
    if (!/^\d{1,10}$/.test(digits) || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a) {
      throw new Error('an extension header is not made of whole records');
    }
    const key = data.toString('utf8', space + 1, equals);
    const value = Buffer.from(data.subarray(equals + 1, end - 1));
    if (key.startsWith(attributePrefix)) attributes.set(unescapeKey(key.slice(attributePrefix.length)), value);
    else texts.set(key, value);
    at = end;
  }
  return { texts, extendedAttributes: [...attributes].map(([name, value]) => ({ name, value })) };
}

/** Seconds with a fraction, as pax writes times. */
export function decodeSeconds(text: string): bigint {
  const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (found === null) throw new Error(`"${text}" is no time`);
  const [, sign, seconds = '', fraction = ''] = found;
  const ns = BigInt(seconds) * nsPerSecond + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -ns : ns;
}

export function decodeSize(text: string): number {
  if (!/^\d{1,19}$/.test(text)) throw new Error(`"${text}" is no number`);
  return sizeOf(BigInt(text));
}

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** The sum of all bytes, its own field taken as spaces. */
function checkSum(block: Buffer): void {
  if (block.length !== tarBlockBytes) throw new TypeError('a header is one block');
  let sum = 8 * 0x20;
  for (let at = 0; at < tarBlockBytes; at++) if (at < 148 || at >= 156) sum += block[at]!;
  if (numberAt(block, 148, 8) !== BigInt(sum)) throw new Error('the sum of a header is not that of its bytes');
}

function textAt(block: Buffer, at: number, length: number): Buffer {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits; or, with the highest bit set, a two's complement number of the remaining bits. */
function numberAt(block: Buffer, at: number, length: number): bigint {
  const field = block.subarray(at, at + length);
  if ((field.readUInt8(0) & 0x80) !== 0) {
    const bits = BigInt(8 * length - 1);
    const value = BigInt.asUintN(8 * length - 1, BigInt(`0x${field.toString('hex')}`));
    return BigInt.asIntN(Number(bits), value);
  }
  const [, digits] = /^ *([0-7]*) *(?:\0|$)/.exec(field.toString('latin1')) ?? [];
  if (digits === undefined) throw new Error('a number in a header is not octal');
  return digits === '' ? 0n : BigInt(`0o${digits}`);
}

function sizeOf(value: bigint): number {
  const size = Number(value);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error(`${value} is no size`);
  return size;
}

/** As Linux packs them into st_rdev. */
function joinDevice(major: bigint, minor: bigint): number {
  return Number(((major & 0xfffn) << 8n) | ((major & ~0xfffn) << 32n) | (minor & 0xffn) | ((minor & ~0xffn) << 12n));
}

function unescapeKey(name: string): string {
  return name.replaceAll('%3D', '=').replaceAll('%25', '%');
}
