/** A tree that is too large to be decoded at once, such as that of a folder with a million entries: read in parts. */
import { createHash } from 'node:crypto';
import { createZstdDecompress } from 'node:zlib';
import { damagedFile } from '../base/damaged-file.ts';
import { type HoldfastError, messageOf } from '../base/errors.ts';
import { type TreePart, TreeScanner } from './format/tree-scanner.ts';

/** Trees up to this size are decoded whole. */
export const wholeTreeBytes = 8 << 20;
const pieceBytes = 256 << 10;

export interface LargeTree {
  /** The nodes in their order. May be called again. Throws FILE_DAMAGED. */
  parts(): AsyncGenerator<TreePart, void>;
}

/**
 * `opened` is the decrypted blob, which stays in memory as long as the tree is used; `plainLength` its length once it is
 * decompressed, 0 where it is stored as it is. Verified here, so that nothing of a damaged tree is ever used. Throws FILE_DAMAGED.
 */
export async function openLargeTree(id: string, opened: Buffer, plainLength: number): Promise<LargeTree> {
  const blob: OpenedTree = { id, opened, plainLength };
  const hash = createHash('sha256');
  for await (const piece of piecesOf(blob)) hash.update(piece);
  if (hash.digest('hex') !== id) throw damaged(id, 'its content has another hash');
  return { parts: () => partsOf(blob) };
}

interface OpenedTree {
  readonly id: string;
  readonly opened: Buffer;
  readonly plainLength: number;
}

async function* partsOf(blob: OpenedTree): AsyncGenerator<TreePart, void> {
  const scanner = new TreeScanner(blob.id);
  for await (const piece of piecesOf(blob)) yield* scanner.push(piece);
  yield* scanner.end();
}

async function* piecesOf({ id, opened, plainLength }: OpenedTree): AsyncGenerator<Buffer, void> {
  if (plainLength === 0) {
    for (let at = 0; at < opened.length; at += pieceBytes) yield opened.subarray(at, at + pieceBytes);
    return;
  }
  const stream = createZstdDecompress({ chunkSize: pieceBytes });
  stream.end(opened);
  let length = 0;
  try {
    for await (const piece of stream) {
      length += piece.length;
      if (length > plainLength) break;
      yield piece;
    }
  } catch (error) {
    throw damaged(id, messageOf(error), error);
  }
  if (length !== plainLength) throw damaged(id, 'it does not decompress to its size');
}

function damaged(id: string, reason: string, cause?: unknown): HoldfastError {
  return damagedFile({ kind: 'tree', name: id }, reason, cause);
}
