/** A repository that is open: its store, its key, its config, and the files sealed with that key. */
import { createHash, randomBytes } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { FileType, Store } from '../store/store.ts';
import { drawMasterKey, type MasterKey, open, seal } from './crypto.ts';
import { decodeConfig, encodeConfig, type RepositoryConfig } from './format/config.ts';
import { damaged } from './format/document.ts';
import { drawPolynomial } from './format/polynomial.ts';
import { createKey, type KeyOptions, openKey } from './keys.ts';

export interface Repository {
  readonly store: Store;
  /** As in the config: the same under every address. */
  readonly id: string;
  readonly version: 1 | 2;
  readonly key: MasterKey;
  /** The key file that was opened. */
  readonly keyId: string;
  readonly config: RepositoryConfig;
  readonly url: string;
}

/** Files that are sealed JSON documents named by their hash. */
export type DocumentType = Extract<FileType, 'snapshots' | 'index' | 'locks'>;

export interface InitOptions extends KeyOptions {
  /** How files are cut. `rabin` where restic will write into the repository too. Default `gear`. */
  readonly chunker?: 'gear' | 'rabin';
  /** In place of `chunker`: as in the repository with this config, so that copies share their chunks with what is there. */
  readonly cutLike?: RepositoryConfig;
  /** Of the format. Default 2; 1 knows no compression, and is for programs that are too old for 2. */
  readonly version?: 1 | 2;
}

const kindNames: Readonly<Record<DocumentType, string>> = { snapshots: 'snapshot', index: 'index', locks: 'lock' };
/** First byte of a compressed document; `{` or `[` is plain JSON. */
const compressedMark = 2;
/** What a document may unfold to: far more than any has, and far less than fills the memory. */
const mostBytes: Readonly<Record<DocumentType, number>> = { snapshots: 64 << 20, index: 1 << 30, locks: 1 << 20 };
const plainMarks: ReadonlySet<number> = new Set([0x7b, 0x5b]);

/** Makes a repository in an empty place; key first, config last. Throws REPOSITORY_EXISTS. */
export async function initRepository(store: Store, password: string, options: InitOptions = {}): Promise<Repository> {
  await refuseExisting(store);
  const key = drawMasterKey();
  const keyId = await createKey(store, password, key, options);
  const config: RepositoryConfig = {
    version: options.version ?? 2,
    id: randomBytes(32).toString('hex'),
    ...(options.cutLike ? chunkingOf(options.cutLike) : newChunking(options.chunker ?? 'gear')),
  };
  await store.put('config', 'config', seal(key, encodeConfig(config)));
  return repositoryOf(store, key, keyId, config);
}

/** The same repository with another config. */
export function withConfig({ store, key, keyId }: Repository, config: RepositoryConfig): Repository {
  return repositoryOf(store, key, keyId, config);
}

/** Throws REPOSITORY_NOT_FOUND, PASSWORD_WRONG, FILE_DAMAGED, REPOSITORY_UNSUPPORTED. */
export async function openRepository(store: Store, password: string, keyHint?: string): Promise<Repository> {
  let sealed: Buffer;
  try {
    sealed = await store.get('config', 'config');
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    throw new HoldfastError('REPOSITORY_NOT_FOUND', { url: store.url }, { cause: error });
  }
  const { id, master } = await openKey(store, password, keyHint);
  const config = decodeConfig(open(master, sealed, { kind: 'config', name: 'config' }), store.url);
  return repositoryOf(store, master, id, config);
}

/**
 * The plaintext of a document, hash and signature verified. A read that comes back with wrong bytes is repeated once:
 * the fault may be in transit. Throws FILE_NOT_FOUND, FILE_DAMAGED.
 */
export async function loadFile(repository: Repository, type: DocumentType, id: string): Promise<Buffer> {
  const document = { kind: kindNames[type], name: id };
  let bytes = await repository.store.get(type, id);
  if (sha256(bytes) !== id) bytes = await repository.store.get(type, id);
  if (sha256(bytes) !== id) {
    throw damaged(document, 'its content has another hash');
  }
  const plain = open(repository.key, bytes, document);
  const mark = plain[0];
  if (mark === undefined || plainMarks.has(mark)) return plain;
  if (mark !== compressedMark) {
    throw damaged(document, `it begins with the unknown byte ${mark}`);
  }
  try {
    // In pieces of about the whole: Node's own are of 16 KiB, and an index has megabytes.
    const chunkSize = Math.min(Math.max(4 * plain.length, 1 << 14), 8 << 20);
    return zstdDecompressSync(plain.subarray(1), { maxOutputLength: mostBytes[type], chunkSize });
  } catch (error) {
    throw damaged(document, 'it does not decompress', error);
  }
}

/** Seals and stores a document; its id. Compressed, except in repositories of version 1, which know no compression. */
export async function saveFile(repository: Repository, type: DocumentType, json: Uint8Array): Promise<string> {
  const plain = repository.version === 1 ? json : compressed(json);
  const bytes = seal(repository.key, plain);
  const id = sha256(bytes);
  await repository.store.put(type, id, bytes, id);
  return id;
}

type Chunking = Pick<RepositoryConfig, 'chunker_polynomial' | 'holdfast_chunker'>;

function newChunking(chunker: 'gear' | 'rabin'): Chunking {
  const chunker_polynomial = drawPolynomial(randomBytes).toString(16);
  return chunker === 'rabin' ? { chunker_polynomial } : { chunker_polynomial, holdfast_chunker: 'gear-v1' };
}

function chunkingOf({ chunker_polynomial, holdfast_chunker }: RepositoryConfig): Chunking {
  return { chunker_polynomial, ...(holdfast_chunker === undefined ? {} : { holdfast_chunker }) };
}

function compressed(json: Uint8Array): Buffer {
  const frame = zstdCompressSync(json, {
    params: { [constants.ZSTD_c_checksumFlag]: 0, [constants.ZSTD_c_contentSizeFlag]: 1 },
    pledgedSrcSize: json.length,
  });
  return Buffer.concat([Buffer.of(compressedMark), frame]);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function refuseExisting(store: Store): Promise<void> {
  const exists = (found: string): HoldfastError => new HoldfastError('REPOSITORY_EXISTS', { url: store.url, found });
  if (await store.stat('config', 'config')) throw exists('a config');
  for await (const _ of store.list('keys')) throw exists('a key');
  for await (const _ of store.list('snapshots')) throw exists('a snapshot');
}

function repositoryOf(store: Store, key: MasterKey, keyId: string, config: RepositoryConfig): Repository {
  return { store, id: config.id, version: config.version, key, keyId, config, url: store.url };
}
