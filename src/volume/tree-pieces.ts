/**
 * A tree that is put together of pieces: the nodes of batches, and the lists of blobs of large files, which may be longer
 * than any string. Small ones become one buffer; large ones are hashed and compressed piece by piece.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { HoldfastError } from '../base/errors.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';

/** Encoded nodes, each followed by a comma, or the list of blobs within a node. The last piece is not a list. */
export type TreePiece = Buffer | ContentRuns;

/** Trees up to this size are made as a whole. */
export const wholeTreeBytes = 16 << 20;

export const treeStart = Buffer.from('{"nodes":[');
export const treeEnd = Buffer.from(']}\n');
/** As little as pays for lists of hashes; the window stays within what every reader takes. */
const level = 1;
const windowLog = 21;

export function sizeOfTree(pieces: readonly TreePiece[]): number {
  const nodes = pieces.reduce((sum, piece) => sum + (piece instanceof ContentRuns ? piece.jsonBytes : piece.length), 0);
  return treeStart.length + Math.max(0, nodes - 1) + treeEnd.length;
}

/** The bytes of the tree in order; the comma after the last node is left out. */
export function* bytesOfTree(pieces: readonly TreePiece[]): Generator<Buffer, void> {
  const nodes = pieces.filter((piece) => piece.length > 0);
  yield treeStart;
  for (const [at, piece] of nodes.entries()) {
    if (piece instanceof ContentRuns) yield* piece.json();
    else yield at === nodes.length - 1 ? piece.subarray(0, -1) : piece;
  }
  yield treeEnd;
}

export function hashOfTree(pieces: readonly TreePiece[]): Buffer {
  const hash = createHash('sha256');
  for (const bytes of bytesOfTree(pieces)) hash.update(bytes);
  return hash.digest();
}

/** One zstd frame of the tree; where `verify` says so, decompressed again and compared. Throws COMPRESSION_FAULTY. */
export async function compressTree(pieces: readonly TreePiece[], id: Buffer, verify: boolean): Promise<Buffer> {
  const sizeBytes = sizeOfTree(pieces);
  const stream = createZstdCompress({
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_windowLog]: windowLog,
      [constants.ZSTD_c_checksumFlag]: 0,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
    pledgedSrcSize: sizeBytes,
  });
  const frame = Buffer.concat(await Readable.from(bytesOfTree(pieces)).pipe(stream).toArray());
  if (!verify) return frame;
  const hash = createHash('sha256');
  for await (const bytes of Readable.from([frame]).pipe(createZstdDecompress())) hash.update(bytes);
  if (!hash.digest().equals(id)) throw new HoldfastError('COMPRESSION_FAULTY', { bytes: sizeBytes });
  return frame;
}
