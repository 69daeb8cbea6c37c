/**
 * Reads single blobs on the main thread: trees above all. Trees of a snapshot lie together in few packs, so a
 * tree pack is fetched whole once and kept while it is in use.
 */
import { damagedFile } from '../base/damaged-file.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type BlobCodec, createBlobCodec } from './blob-codec.ts';
import type { BlobType } from './blob-index.ts';
import { sealBytes } from './format/pack.ts';
import { decodeTree, type TreeNode } from './format/tree.ts';
import { type LargeTree, openLargeTree, wholeTreeBytes } from './large-tree.ts';
import type { FoundBlob, LoadedIndex } from './load-index.ts';
import type { Repository } from './repository.ts';

/** Tree packs kept in memory; a pack has 16 MiB by default. */
const keptPacks = 4;

export class BlobReader {
  readonly #repository: Repository;
  readonly #index: LoadedIndex;
  readonly #codec: BlobCodec;
  readonly #packs = new Map<string, Promise<Buffer>>();

  constructor(repository: Repository, index: LoadedIndex) {
    this.#repository = repository;
    this.#index = index;
    this.#codec = createBlobCodec(repository.key);
  }

  /** The plaintext of a blob, its hash verified. Throws FILE_NOT_FOUND, FILE_DAMAGED. */
  async load(type: BlobType, id: string): Promise<Buffer> {
    const blob = this.#find(type, id);
    const opened = await this.#open(type, id, blob);
    let plain = opened;
    if (blob.uncompressedLength > 0) {
      plain = Buffer.allocUnsafe(blob.uncompressedLength);
      tellWhere(type, id, blob, () => this.#codec.decompress(opened, plain));
    }
    const hash = Buffer.allocUnsafe(32);
    this.#codec.hash(plain, hash, 0);
    if (hash.toString('hex') !== id) throw damagedBlob(type, id, blob, 'its content has another hash');
    return plain;
  }

  /** Bytes of what load gives. Throws FILE_NOT_FOUND. */
  plainLength(type: BlobType, id: string): number {
    const { uncompressedLength, length } = this.#find(type, id);
    return uncompressedLength > 0 ? uncompressedLength : length - sealBytes;
  }

  async loadTree(id: string): Promise<TreeNode[]> {
    return decodeTree(await this.load('tree', id));
  }

  /** As loadTree, but a tree of many megabytes in parts. */
  async openTree(id: string): Promise<TreeNode[] | LargeTree> {
    const blob = this.#find('tree', id);
    if (Math.max(blob.uncompressedLength, blob.length) <= wholeTreeBytes) return this.loadTree(id);
    return openLargeTree(id, await this.#open('tree', id, blob), blob.uncompressedLength);
  }

  #find(type: BlobType, id: string): FoundBlob {
    const blob = this.#index.find(type, id);
    if (!blob) throw new HoldfastError('FILE_NOT_FOUND', { kind: `${type} blob`, name: id });
    return blob;
  }

  /** Decrypted, but not decompressed. */
  async #open(type: BlobType, id: string, blob: FoundBlob): Promise<Buffer> {
    if (blob.length < sealBytes) throw damagedBlob(type, id, blob, `it has only ${blob.length} bytes`);
    const sealed = type === 'tree' ? await this.#fromKeptPack(blob) : await this.#fetch(blob);
    const opened = Buffer.allocUnsafe(blob.length - sealBytes);
    tellWhere(type, id, blob, () => this.#codec.open(sealed, opened));
    return opened;
  }

  #fetch(blob: FoundBlob): Promise<Buffer> {
    const { packId, offset, length } = blob;
    return this.#repository.store.get('data', packId, { offset, length });
  }

  async #fromKeptPack(blob: FoundBlob): Promise<Buffer> {
    const pack = this.#packs.get(blob.packId) ?? this.#keepPack(blob.packId);
    const bytes = await pack;
    return bytes.subarray(blob.offset, blob.offset + blob.length);
  }

  #keepPack(id: string): Promise<Buffer> {
    const pack = this.#repository.store.get('data', id);
    pack.catch(() => this.#packs.delete(id));
    this.#packs.set(id, pack);
    const oldest = this.#packs.keys().next().value;
    if (this.#packs.size > keptPacks && oldest !== undefined) this.#packs.delete(oldest);
    return pack;
  }
}

/** A file shows its damage where it is read; whoever repairs it needs to know the pack. */
function damagedBlob(type: BlobType, id: string, { packId }: FoundBlob, reason: string): HoldfastError {
  if (type === 'tree') return damagedFile({ kind: 'tree blob', name: id }, `${reason} (in pack ${packId})`);
  return damagedFile({ kind: 'pack', name: packId }, `data blob ${id}: ${reason}`);
}

/** The codec does not know what it works on. */
function tellWhere(type: BlobType, id: string, blob: FoundBlob, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
    throw damagedBlob(type, id, blob, String(error.context.reason));
  }
}
