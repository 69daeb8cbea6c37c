/** The header of a pack file: what lies in it, in order (restic format v2, "Pack files"). */
import { damaged } from './document.ts';

export type BlobType = 'data' | 'tree';

export interface PackEntry {
  readonly type: BlobType;
  /** SHA-256 of the plaintext, 64 hex digits. */
  readonly id: string;
  /** Sealed length in the pack: 32 bytes more than what was sealed. */
  readonly length: number;
  /** Length of the plaintext before compression; 0 where the blob is not compressed. */
  readonly uncompressedLength: number;
}

/** What sealing adds to any plaintext: IV and MAC. */
export const sealBytes = 32;
/** The length field behind the sealed header. */
export const headerLengthBytes = 4;
const plainEntryBytes = 37;
const compressedEntryBytes = 41;
const maxU32 = 0xffff_ffff;

/** How many bytes an entry takes in the header. */
export function packEntryBytes(entry: PackEntry): number {
  return entry.uncompressedLength > 0 ? compressedEntryBytes : plainEntryBytes;
}

/** The size that a pack file with exactly these entries has. */
export function packFileBytes(entries: readonly PackEntry[]): number {
  let bytes = sealBytes + headerLengthBytes;
  for (const entry of entries) bytes += entry.length + packEntryBytes(entry);
  return bytes;
}

/**
 * The plaintext of the header. Per entry: type u8 (bit 0 tree, bit 1 compressed), sealed length u32LE,
 * with compression the plain length u32LE, id 32 bytes. Offsets are implicit: blobs lie without gaps from 0.
 */
export function encodePackHeader(entries: readonly PackEntry[]): Buffer {
  let size = 0;
  for (const entry of entries) size += packEntryBytes(entry);
  const header = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { type, id, length, uncompressedLength } of entries) {
    const compressed = uncompressedLength > 0;
    if (length > maxU32 || uncompressedLength > maxU32) throw new RangeError(`blob ${id} is too large for a pack`);
    header[at] = (type === 'tree' ? 1 : 0) | (compressed ? 2 : 0);
    at = header.writeUInt32LE(length, at + 1);
    if (compressed) at = header.writeUInt32LE(uncompressedLength, at);
    if (header.write(id, at, 'hex') !== 32) throw new TypeError(`"${id}" is no blob id`);
    at += 32;
  }
  return header;
}

/** The entries of a header, in pack order. Throws FILE_DAMAGED; `packId` is for its message. */
export function decodePackHeader(plain: Uint8Array, packId: string): PackEntry[] {
  const header = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
  const entries: PackEntry[] = [];
  let at = 0;
  while (at < header.length) {
    const kind = header[at]!;
    if (kind > 3) throw damaged({ kind: 'pack', name: packId }, `its header has an entry of unknown type ${kind}`);
    const compressed = (kind & 2) !== 0;
    const size = compressed ? compressedEntryBytes : plainEntryBytes;
    if (at + size > header.length) throw damaged({ kind: 'pack', name: packId }, 'its header ends within an entry');
    entries.push({
      type: (kind & 1) === 0 ? 'data' : 'tree',
      id: header.toString('hex', at + size - 32, at + size),
      length: header.readUInt32LE(at + 1),
      uncompressedLength: compressed ? header.readUInt32LE(at + 5) : 0,
    });
    at += size;
  }
  return entries;
}
