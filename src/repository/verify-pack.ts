/** Whether a pack file holds, bit for bit, what its name, its header and the index say. Runs in any thread. */
import { messageOf } from '../base/errors.ts';
import { type BlobCodec, createBlobCodec } from './blob-codec.ts';
import { isAboutOneFile } from './check-findings.ts';
import type { MasterKey } from './crypto.ts';
import type { IndexedBlob } from './format/index-file.ts';
import { decodePackHeader, headerLengthBytes, sealBytes } from './format/pack.ts';

export interface JudgedPack {
  /** What is wrong with it, one sentence each; empty when it is sound. */
  readonly problems: string[];
  /** The blobs that header or index list, each once, where they can be read; by their offset. */
  readonly readable: readonly IndexedBlob[];
  /** Those that cannot be read anywhere in the pack. */
  readonly lost: readonly IndexedBlob[];
}

/** `expected`: the blobs that the index lists. */
export type PackJudge = (packId: string, bytes: Buffer, expected: readonly IndexedBlob[]) => JudgedPack;
/** The problems only. */
export type PackVerifier = (packId: string, bytes: Buffer, expected: readonly IndexedBlob[]) => string[];

export function createPackVerifier(key: MasterKey): PackVerifier {
  const judge = createPackJudge(key);
  return (packId, bytes, expected) => judge(packId, bytes, expected).problems;
}

/** Blobs are opened into memory that is used again for the next one. */
export function createPackJudge(key: MasterKey): PackJudge {
  const codec = createBlobCodec(key);
  const opened = new Scratch();
  const plain = new Scratch();
  const digest = Buffer.alloc(32);

  function hashOf(bytes: Uint8Array): string {
    codec.hash(bytes, digest, 0);
    return digest.toString('hex');
  }

  function problemWith({ id, type, offset, length, uncompressedLength }: IndexedBlob, bytes: Buffer) {
    const name = `${type} blob ${id}`;
    if (length < sealBytes || offset + length > bytes.length) return `${name} does not lie within the pack`;
    try {
      let content = opened.take(length - sealBytes);
      codec.open(bytes.subarray(offset, offset + length), content, id);
      if (uncompressedLength > 0) {
        const frame = content;
        content = plain.take(uncompressedLength);
        codec.decompress(frame, content, id);
      }
      return hashOf(content) === id ? undefined : `${name} has the content of another`;
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      return messageOf(error);
    }
  }

  return (packId, bytes, expected) => {
    const problems: string[] = [];
    if (hashOf(bytes) !== packId) problems.push('its content does not fit its name');
    const header = readHeader(codec, packId, bytes);
    const listed = typeof header === 'string' ? [] : header;
    problems.push(...(typeof header === 'string' ? [header] : compare(header, expected)));
    const readable = new Map<string, IndexedBlob>();
    const lost = new Map<string, IndexedBlob>();
    const lines = new Set<string>();
    for (const [at, blob] of [...listed, ...expected].entries()) {
      const line = lineOf(blob);
      if (lines.has(line)) continue;
      lines.add(line);
      const problem = problemWith(blob, bytes);
      // Where header and index differ, that has been said.
      if (problem !== undefined && (typeof header === 'string' || at < listed.length)) problems.push(problem);
      (problem === undefined ? readable : lost).set(`${blob.type} ${blob.id}`, blob);
    }
    for (const name of readable.keys()) lost.delete(name);
    const inOrder = [...readable.values()].sort((a, b) => a.offset - b.offset);
    return { problems, readable: inOrder, lost: [...lost.values()] };
  };
}

/** The blobs that the header of a pack lists, with their offsets; or what is wrong with it. */
function readHeader(codec: BlobCodec, packId: string, bytes: Buffer): IndexedBlob[] | string {
  const end = bytes.length - headerLengthBytes;
  const headerBytes = end < 0 ? 0 : bytes.readUInt32LE(end);
  const start = end - headerBytes;
  if (headerBytes <= sealBytes || start < 0) return 'it is too short for its header';
  try {
    const plain = Buffer.allocUnsafe(headerBytes - sealBytes);
    codec.open(bytes.subarray(start, end), plain, packId);
    let offset = 0;
    const blobs = decodePackHeader(plain, packId).map((entry) => {
      const blob = { ...entry, offset };
      offset += entry.length;
      return blob;
    });
    return offset === start ? blobs : `its blobs end at ${offset}, its header begins at ${start}`;
  } catch (error) {
    if (!isAboutOneFile(error)) throw error;
    return `its header is damaged: ${messageOf(error)}`;
  }
}

/** The blobs that only one of header and index knows, or knows elsewhere. */
function compare(header: readonly IndexedBlob[], index: readonly IndexedBlob[]): string[] {
  const inHeader = new Set(header.map(lineOf));
  const inIndex = new Set(index.map(lineOf));
  return [
    ...header
      .filter((blob) => !inIndex.has(lineOf(blob)))
      .map(({ type, id }) => `the index lacks its ${type} blob ${id}`),
    ...index
      .filter((blob) => !inHeader.has(lineOf(blob)))
      .map(({ type, id }) => `its header lacks the ${type} blob ${id}`),
  ];
}

function lineOf({ type, id, offset, length, uncompressedLength }: IndexedBlob): string {
  return `${type} ${id} ${offset} ${length} ${uncompressedLength}`;
}

class Scratch {
  #memory = Buffer.alloc(0);

  take(sizeBytes: number): Buffer {
    if (this.#memory.length < sizeBytes) this.#memory = Buffer.allocUnsafeSlow(sizeBytes);
    return this.#memory.subarray(0, sizeBytes);
  }
}
