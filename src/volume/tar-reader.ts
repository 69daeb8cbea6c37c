/**
 * Reads a tar archive from a stream that may end anywhere: strict, since what looks whole here becomes a backup. Only
 * what tar writes when it makes an archive is taken (GNU tar, BusyBox, libarchive); anything else is an error.
 */
import type { ExtendedAttribute } from '../repository/format/tree.ts';
import {
  decodePaxRecords,
  decodeSeconds,
  decodeSize,
  decodeTarBlock,
  isZeroBlock,
  type PaxFields,
  type TarBlock,
} from './tar-fields.ts';
import { type TarType, tarBlockBytes } from './tar-header.ts';

export interface TarMember {
  readonly type: TarType;
  /** As it stands in the archive. */
  readonly path: Buffer;
  /** Of links. */
  readonly target: Buffer;
  /** Permissions, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly device: number;
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** Of a file, with its holes. */
  readonly sizeBytes: number;
  /** Of a file, in its order; what is not taken of it is skipped with the next member. */
  readonly content: AsyncIterable<TarPiece>;
}

/** Bytes, or a hole of so many. */
export type TarPiece = Buffer | number;

const types: Readonly<Record<string, TarType>> = {
  0: 'file',
  1: 'link',
  2: 'symlink',
  3: 'chardev',
  4: 'dev',
  5: 'dir',
  6: 'fifo',
  7: 'file',
};
/** Names, link targets and attributes of one entry. */
const longestExtensionBytes = 16 << 20;
const none: PaxFields = { texts: new Map(), extendedAttributes: [] };

/**
 * All members, and then nothing: ends only after the two zero blocks that end an archive, of which `onEnd` is told, and
 * the end of the stream. An archive that breaks off, or is none, throws an Error that says why.
 */
export async function* readTar(stream: AsyncIterable<Uint8Array>, onEnd?: () => void): AsyncGenerator<TarMember> {
  const source = new ByteSource(stream);
  for (;;) {
    const block = await source.exactly(tarBlockBytes);
    if (isZeroBlock(block)) break;
    const { head, pax } = await readHead(source, decodeTarBlock(block));
    const member = new MemberContent(source, head.sizeBytes);
    yield await memberOf(head, pax, member);
    await member.skip();
  }
  if (!isZeroBlock(await source.exactly(tarBlockBytes))) throw new Error('one block of its end is missing');
  onEnd?.();
  // Fills up the last record.
  for (let rest = await source.some(); rest !== undefined; rest = await source.some()) {
    if (!isZeroBlock(rest)) throw new Error('something follows its end');
  }
}

/** The header of an entry, and what the extension headers before it say of it. */
async function readHead(source: ByteSource, first: TarBlock): Promise<{ head: TarBlock; pax: PaxFields }> {
  let head = first;
  let pax = none;
  let longPath: Buffer | undefined;
  let longTarget: Buffer | undefined;
  while (head.flag === 'x' || head.flag === 'L' || head.flag === 'K') {
    if (head.sizeBytes > longestExtensionBytes) throw new Error('an extension header is too long');
    const data = await source.exactly(head.sizeBytes);
    await source.exactly(paddingOf(head.sizeBytes));
    if (head.flag === 'x') pax = decodePaxRecords(data);
    else if (head.flag === 'L') longPath = withoutEnd(data);
    else longTarget = withoutEnd(data);
    head = decodeTarBlock(await source.exactly(tarBlockBytes));
  }
  const { path = longPath ?? head.path, target = longTarget ?? head.target } = {
    ...present('path', pax.texts.get('path')),
    ...present('target', pax.texts.get('linkpath')),
  };
  const sizeBytes = numberOf(pax, 'size') ?? head.sizeBytes;
  const owners = { uid: numberOf(pax, 'uid') ?? head.uid, gid: numberOf(pax, 'gid') ?? head.gid };
  // Only files have content; libarchive writes the size of linked ones all the same.
  const hasContent = types[head.flag] === 'file';
  return { head: { ...head, ...owners, path, target, sizeBytes: hasContent ? sizeBytes : 0 }, pax };
}

async function memberOf(head: TarBlock, pax: PaxFields, content: MemberContent): Promise<TarMember> {
  const type = types[head.flag];
  if (type === undefined) throw new Error(`it has an entry of the unknown type "${head.flag}"`);
  const mtimeNs = timeOf(pax, 'mtime') ?? head.mtimeNs;
  const common = {
    ...{ type, target: head.target, mode: head.mode, uid: head.uid, gid: head.gid, device: head.device },
    ...{ mtimeNs, ctimeNs: timeOf(pax, 'ctime') ?? mtimeNs, extendedAttributes: pax.extendedAttributes },
  };
  const sparse = [...pax.texts.keys()].some((key) => key.startsWith('GNU.sparse.'));
  if (!sparse) return { ...common, path: head.path, sizeBytes: head.sizeBytes, content: content.plain() };
  const version = ['major', 'minor'].map((key) => pax.texts.get(`GNU.sparse.${key}`)?.toString()).join('.');
  const sizeBytes = numberOf(pax, 'GNU.sparse.realsize');
  const path = pax.texts.get('GNU.sparse.name');
  if (version !== '1.0' || sizeBytes === undefined || path === undefined) {
    throw new Error('it has a sparse file of an unknown kind');
  }
  return { ...common, path, sizeBytes, content: content.sparse(sizeBytes) };
}

/** The content of one member, read at most once. */
class MemberContent {
  readonly #source: ByteSource;
  #left: number;
  readonly #padding: number;

  constructor(source: ByteSource, sizeBytes: number) {
    this.#source = source;
    this.#left = sizeBytes;
    this.#padding = paddingOf(sizeBytes);
  }

  async *plain(limitBytes = this.#left): AsyncGenerator<Buffer> {
    for (let left = limitBytes; left > 0; ) {
      if (left > this.#left) throw new Error('a sparse file has less data than its map says');
      const piece = await this.#source.some(left);
      if (piece === undefined) throw endsEarly();
      left -= piece.length;
      this.#left -= piece.length;
      yield piece;
    }
  }

  /** GNU's format 1.0: first the map, in decimal lines (count, then offset and length of each part) and whole blocks. */
  async *sparse(sizeBytes: number): AsyncGenerator<TarPiece> {
    const parts = await this.#readMap();
    let at = 0;
    for (const { offset, length } of parts) {
      if (offset < at || offset + length > sizeBytes) throw new Error('the map of a sparse file makes no sense');
      if (offset > at) yield offset - at;
      yield* this.plain(length);
      at = offset + length;
    }
    if (sizeBytes > at) yield sizeBytes - at;
  }

  async skip(): Promise<void> {
    for await (const _ of this.plain());
    await this.#source.exactly(this.#padding);
  }

  async #readMap(): Promise<{ offset: number; length: number }[]> {
    let text = '';
    const line = async (): Promise<number> => {
      for (;;) {
        const end = text.indexOf('\n');
        if (end >= 0) {
          const value = decodeSize(text.slice(0, end));
          text = text.slice(end + 1);
          return value;
        }
        if (this.#left < tarBlockBytes) throw new Error('the map of a sparse file breaks off');
        text += (await this.#source.exactly(tarBlockBytes)).toString('latin1');
        this.#left -= tarBlockBytes;
      }
    };
    const parts: { offset: number; length: number }[] = [];
    for (let count = await line(); count > 0; count--) parts.push({ offset: await line(), length: await line() });
    return parts;
  }
}

/** Bytes on demand from pieces of any size. */
class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  /** Memory of their own. */
  async exactly(bytes: number): Promise<Buffer> {
    const whole = Buffer.allocUnsafe(bytes);
    for (let at = 0; at < bytes; ) {
      const piece = await this.some(bytes - at);
      if (piece === undefined) throw endsEarly();
      piece.copy(whole, at);
      at += piece.length;
    }
    return whole;
  }

  /** What is there, at least one byte; undefined at the end of the stream. */
  async some(most = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done) return undefined;
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }
}

function endsEarly(): Error {
  return new Error('it ends before the end of the archive');
}

function paddingOf(sizeBytes: number): number {
  return (tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes;
}

function withoutEnd(data: Buffer): Buffer {
  const end = data.indexOf(0);
  return end < 0 ? data : data.subarray(0, end);
}

function numberOf({ texts }: PaxFields, key: string): number | undefined {
  const text = texts.get(key);
  return text === undefined ? undefined : decodeSize(text.toString());
}

function timeOf({ texts }: PaxFields, key: string): bigint | undefined {
  const text = texts.get(key);
  return text === undefined ? undefined : decodeSeconds(text.toString());
}

function present<Key extends string>(key: Key, value: Buffer | undefined): { readonly [key in Key]?: Buffer } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [key in Key]?: Buffer };
}
