/**
 * Files and folders of a backup as a stream of bytes: a file as it is, a folder as a tar archive. Blobs are fetched a
 * little ahead of the reader, within a fixed amount of memory.
 */
import { HoldfastError } from '../base/errors.ts';
import type { BlobReader } from '../repository/blob-reader.ts';
import type { FoundEntry } from '../repository/find-entry.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import type { LoadedIndex } from '../repository/load-index.ts';
import { joinTreePath, walkTree } from '../repository/walk-tree.ts';
import { permissionsFromGo } from './attributes.ts';
import { encodeTarHeader, type TarEntry, type TarType, tarEnd, tarPadding } from './tar-header.ts';

export interface DumpSource {
  readonly reader: BlobReader;
  readonly index: LoadedIndex;
  readonly signal?: AbortSignal;
}

/** A blob, or bytes that are there already. */
type Piece = Buffer | { readonly blobId: string; readonly sizeBytes: number };

/** Bytes of blobs that are being fetched or wait for the reader; one blob may be up to 8 MiB or more. */
const aheadBytes = 48 << 20;
const aheadPieces = 64;

/**
 * The content of a file. Throws ENTRY_NOT_DUMPABLE for what has none, FILE_NOT_FOUND and FILE_DAMAGED before the bytes
 * concerned.
 */
export function dumpFile(source: DumpSource, { path, node }: FoundEntry): AsyncGenerator<Buffer, void> {
  if (node?.type !== 'file') throw notDumpable(path, node);
  return fetchAhead(source, contentOf(source, node).pieces);
}

/**
 * A tar archive of a folder and all below it, under the paths of the backup without their first slash. Sockets are left
 * out. After an error the archive has no end, so that it is not taken for a whole one.
 */
export function dumpFolder(source: DumpSource, folder: FoundEntry): AsyncGenerator<Buffer, void> {
  if (folder.treeId === undefined) throw notDumpable(folder.path, folder.node);
  return fetchAhead(source, archivePieces(source, folder, folder.treeId));
}

async function* archivePieces(source: DumpSource, folder: FoundEntry, treeId: string): AsyncGenerator<Piece> {
  const { path, node } = folder;
  const names = new LinkedNames();
  if (node) yield encodeTarHeader(tarEntry(path, node, 'dir', 0));
  const signal = source.signal === undefined ? {} : { signal: source.signal };
  for await (const entry of walkTree(source.reader, treeId, { path, ...signal })) {
    if (entry.node.type === 'socket') continue;
    const first = names.firstNameOf(entry.path, entry.node);
    if (first) yield encodeTarHeader({ ...tarEntry(entry.path, entry.node, 'link', 0), target: first });
    else yield* entryPieces(source, entry.path, entry.node);
  }
  yield tarEnd;
}

function* entryPieces(source: DumpSource, path: Buffer, node: TreeNode): Generator<Piece> {
  if (node.type === 'socket') return;
  // What was stored counts, not what the file's size was: it may have grown while it was read.
  const content = node.type === 'file' ? contentOf(source, node) : { pieces: [], sizeBytes: 0 };
  yield encodeTarHeader(tarEntry(path, node, node.type, content.sizeBytes));
  yield* content.pieces;
  yield tarPadding(content.sizeBytes);
}

function tarEntry(path: Buffer, node: TreeNode, type: TarType, sizeBytes: number): TarEntry {
  const { mode, uid, gid, user, group, mtimeNs, linkTarget, device, extendedAttributes } = node;
  const relative = path.subarray(1);
  return {
    path: type === 'dir' ? joinTreePath(relative, Buffer.alloc(0)) : relative,
    type,
    mode: permissionsFromGo(mode),
    ...{ uid, gid, user, group, mtimeNs, sizeBytes, device },
    extendedAttributes: type === 'link' ? [] : extendedAttributes,
    ...(linkTarget === undefined ? {} : { target: linkTarget }),
  };
}

/** Throws FILE_NOT_FOUND when a blob is missing, before anything of the file has been written. */
function contentOf({ index }: DumpSource, { content }: TreeNode): { pieces: Piece[]; sizeBytes: number } {
  const pieces: Piece[] = [];
  let sizeBytes = 0;
  for (const blobId of content ?? []) {
    const entry = index.blobs.find('data', Buffer.from(blobId, 'hex'));
    if (entry < 0) throw new HoldfastError('FILE_NOT_FOUND', { kind: 'data blob', name: blobId });
    const length = index.plainLength(entry);
    pieces.push({ blobId, sizeBytes: length });
    sizeBytes += length;
  }
  return { pieces, sizeBytes };
}

/** Entries with several names, by inode and device: as restore has them. */
class LinkedNames {
  readonly #known = new Map<string, { readonly path: Buffer; readonly content: string }>();

  /** The archive's path of the entry that has this content already. */
  firstNameOf(path: Buffer, { type, links, deviceId, inode, content, linkTarget }: TreeNode): Buffer | undefined {
    if (links < 2 || inode === 0n || type === 'dir') return undefined;
    const key = `${type} ${deviceId} ${inode}`;
    const text = content?.join() ?? linkTarget?.toString('latin1') ?? '';
    const known = this.#known.get(key);
    if (!known) this.#known.set(key, { path: path.subarray(1), content: text });
    // Inodes of different file systems may be the same by chance, and a file may change while it is backed up.
    return known?.content === text ? known.path : undefined;
  }
}

interface Fetched {
  readonly bytes: Promise<Buffer>;
  readonly sizeBytes: number;
}

async function* fetchAhead(
  { reader, signal }: DumpSource,
  pieces: Iterable<Piece> | AsyncIterable<Piece>,
): AsyncGenerator<Buffer, void> {
  const queue: Fetched[] = [];
  let queuedBytes = 0;
  let last: { readonly id: string; readonly bytes: Promise<Buffer> } | undefined;
  const take = async (): Promise<Buffer> => {
    const next = queue.shift()!;
    queuedBytes -= next.sizeBytes;
    return next.bytes;
  };
  const fetch = (id: string): Promise<Buffer> => {
    // Long runs of one blob are the holes of sparse files.
    if (last?.id !== id) last = { id, bytes: reader.load('data', id) };
    return last.bytes;
  };
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    const isBlob = !Buffer.isBuffer(piece);
    const bytes = isBlob ? fetch(piece.blobId) : Promise.resolve(piece);
    // Whoever takes it gets the error; until then it is not unhandled.
    bytes.catch(() => undefined);
    const sizeBytes = isBlob ? piece.sizeBytes : piece.length;
    queue.push({ bytes, sizeBytes });
    queuedBytes += sizeBytes;
    while (queue.length >= aheadPieces || queuedBytes > aheadBytes) yield await take();
  }
  while (queue.length > 0) yield await take();
}

function notDumpable(path: Buffer, node: TreeNode | undefined): HoldfastError {
  const reason = node === undefined ? 'it is the whole backup' : `it is of type ${node.type}`;
  return new HoldfastError('ENTRY_NOT_DUMPABLE', { path: path.toString() || '/', reason });
}
