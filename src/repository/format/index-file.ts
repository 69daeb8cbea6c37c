/** Index files: which pack holds which blobs (restic format v2, "Index files"). */
import { type DocumentName, damaged, isId, isObject, type JsonObject, parseObject } from './document.ts';
import type { PackEntry } from './pack.ts';

export interface IndexedBlob extends PackEntry {
  /** Where the sealed blob begins in the pack. */
  readonly offset: number;
}

export interface IndexedPack {
  readonly id: string;
  /** Every blob of the pack, by offset. */
  readonly blobs: readonly IndexedBlob[];
}

export interface IndexFile {
  readonly packs: IndexedPack[];
  /** Packs that rustic's two-phase prune has marked: still there and readable, not to be written against. */
  readonly packsToDelete: IndexedPack[];
  /** The same as they were read, with rustic's own fields, for writing them back. */
  readonly rawPacksToDelete: readonly unknown[];
}

/** The JSON of an index file, with the line break that Go's encoder ends it with. */
export function encodeIndex(packs: readonly IndexedPack[], rawPacksToDelete: readonly unknown[] = []): Buffer {
  const texts = packs.map(({ id, blobs }) => `{"id":"${id}","blobs":[${blobs.map(blobJson).join(',')}]}`);
  const marks = rawPacksToDelete.length > 0 ? `,"packs_to_delete":${JSON.stringify(rawPacksToDelete)}` : '';
  return Buffer.from(`{"packs":[${texts.join(',')}]${marks}}\n`);
}

function blobJson({ id, type, offset, length, uncompressedLength }: IndexedBlob): string {
  const tail = uncompressedLength > 0 ? `,"uncompressed_length":${uncompressedLength}` : '';
  return `{"id":"${id}","type":"${type}","offset":${offset},"length":${length}${tail}}`;
}

/** The packs of an index file. Throws FILE_DAMAGED. */
export function decodeIndex(bytes: Uint8Array, name = ''): IndexedPack[] {
  return decodeIndexFile(bytes, name).packs;
}

/** All of an index file; fields of other tools are left out. Throws FILE_DAMAGED. */
export function decodeIndexFile(bytes: Uint8Array, name = ''): IndexFile {
  const document = { kind: 'index', name };
  const object = parseObject(bytes, document);
  const packsToDelete = packsOf(object, 'packs_to_delete', document);
  const raw = object.packs_to_delete;
  return {
    packs: packsOf(object, 'packs', document),
    packsToDelete,
    rawPacksToDelete: Array.isArray(raw) ? raw : [],
  };
}

function packsOf(object: JsonObject, field: string, document: DocumentName): IndexedPack[] {
  const value = object[field] ?? [];
  if (!Array.isArray(value)) throw damaged(document, `${field} is not a list`);
  return value.map((pack: unknown) => {
    if (!isObject(pack) || !isId(pack.id)) throw damaged(document, `an entry of ${field} has no id`);
    const blobs = pack.blobs ?? [];
    if (!Array.isArray(blobs)) throw damaged(document, `the pack ${pack.id} has no list of blobs`);
    const decoded = blobs.map((blob: unknown) => blobOf(blob, document));
    return { id: pack.id, blobs: inOrder(decoded) ? decoded : decoded.sort((a, b) => a.offset - b.offset) };
  });
}

function blobOf(value: unknown, document: DocumentName): IndexedBlob {
  if (!isObject(value) || !isId(value.id)) throw damaged(document, 'a blob has no id');
  const { id, type, offset, length } = value;
  const uncompressedLength = value.uncompressed_length ?? 0;
  if (type !== 'data' && type !== 'tree')
    throw damaged(document, `the blob ${id} has the unknown type ${String(type)}`);
  if (!isU32(offset) || !isU32(length) || !isU32(uncompressedLength)) {
    throw damaged(document, `the place of blob ${id} is not given in whole numbers below 4 GiB`);
  }
  return { type, id, offset, length, uncompressedLength };
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

/** Writers list blobs in any order. */
function inOrder(blobs: readonly IndexedBlob[]): boolean {
  for (let i = 1; i < blobs.length; i++) if (blobs[i]!.offset < blobs[i - 1]!.offset) return false;
  return true;
}
