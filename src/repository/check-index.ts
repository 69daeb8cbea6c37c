/** First step of a check: what the index says, and whether that can be. */
import { hash } from 'node:crypto';
import { mapLimited } from '../base/concurrency.ts';
import { BlobIndex } from './blob-index.ts';
import type { Findings } from './check-findings.ts';
import { decodeIndexFile, type IndexedBlob, type IndexedPack } from './format/index-file.ts';
import { packFileBytes, sealBytes } from './format/pack.ts';
import { LoadedIndex } from './load-index.ts';
import { loadFile, type Repository } from './repository.ts';

/** What the index says about a pack, in short: a large repository has a million of them. */
export interface PackOutline {
  /** The size that the file must have. */
  readonly sizeBytes: number;
  /** Tells apart different lists of blobs. */
  readonly digest: string;
}

export interface CheckedIndex {
  readonly index: LoadedIndex;
  readonly packs: ReadonlyMap<string, PackOutline>;
  /** Packs that rustic has marked for removal; they are there, and belong to nobody. */
  readonly markedPacks: ReadonlySet<string>;
  /** The index files that could be read. */
  readonly files: readonly string[];
  /** Blobs, with those that are there twice counted twice. */
  readonly blobs: number;
}

const loadsAtOnce = 5;
const minBytesPerBlob = 32;
/** Blobs of an index that compresses better than anybody expects. */
const spareBlobs = 1 << 20;

export async function checkIndex(repository: Repository, findings: Findings): Promise<CheckedIndex> {
  const names: string[] = [];
  let bytes = 0;
  for await (const { name, sizeBytes } of repository.store.list('index')) {
    names.push(name);
    bytes += sizeBytes;
  }
  const expected = Math.ceil(bytes / minBytesPerBlob);
  const collector = new Collector(BlobIndex.create(expected + spareBlobs, expected), findings);
  await mapLimited(names, loadsAtOnce, async (name) => {
    try {
      collector.add(name, await loadFile(repository, 'index', name));
    } catch (error) {
      findings.failure('index', name, error);
    }
  });
  return collector.result();
}

class Collector {
  readonly #blobs: BlobIndex;
  readonly #findings: Findings;
  readonly #packIds: string[] = [];
  readonly #packs = new Map<string, PackOutline>();
  readonly #marked = new Set<string>();
  readonly #files: string[] = [];
  #blobCount = 0;

  constructor(blobs: BlobIndex, findings: Findings) {
    this.#blobs = blobs;
    this.#findings = findings;
  }

  add(name: string, bytes: Buffer): void {
    const { packs, packsToDelete } = decodeIndexFile(bytes, name);
    for (const pack of packs) this.#addPack(pack);
    for (const { id } of packsToDelete) this.#marked.add(id);
    this.#files.push(name);
  }

  result(): CheckedIndex {
    return {
      index: new LoadedIndex(this.#blobs, this.#packIds),
      packs: this.#packs,
      markedPacks: this.#marked,
      files: this.#files,
      blobs: this.#blobCount,
    };
  }

  #addPack(pack: IndexedPack): void {
    const outline = { sizeBytes: packFileBytes(pack.blobs), digest: digestOf(pack.blobs) };
    const known = this.#packs.get(pack.id);
    if (known) {
      if (known.digest === outline.digest) this.#findings.hint('pack', pack.id, 'the index lists it more than once');
      else this.#findings.error('pack', pack.id, 'two index files list different blobs for it');
    } else {
      this.#packs.set(pack.id, outline);
      this.#checkLayout(pack);
    }
    this.#addBlobs(pack);
  }

  #addBlobs({ id: packId, blobs }: IndexedPack): void {
    const pack = this.#packIds.push(packId) - 1;
    for (const { type, id, offset, length, uncompressedLength } of blobs) {
      this.#blobCount += 1;
      // Such an entry was reported, and whatever needs the blob misses it.
      if (length < sealBytes) continue;
      this.#blobs.add(type, Buffer.from(id, 'hex'), { pack, offset, length, uncompressedLength });
    }
  }

  #checkLayout({ id: packId, blobs }: IndexedPack): void {
    const ids = new Set<string>();
    let end = 0;
    for (const { id, type, offset, length } of blobs) {
      if (length < sealBytes)
        this.#findings.error('pack', packId, `the index says that blob ${id} has ${length} bytes`);
      if (offset !== end) {
        this.#findings.error(
          'pack',
          packId,
          `the index has blob ${id} at ${offset}, but the one before it ends at ${end}`,
        );
      }
      end = offset + length;
      ids.add(`${type} ${id}`);
    }
    if (ids.size < blobs.length) this.#findings.hint('pack', packId, 'it holds a blob more than once');
    if (blobs.some(({ type }) => type !== blobs[0]!.type))
      this.#findings.hint('pack', packId, 'it mixes trees and data');
  }
}

function digestOf(blobs: readonly IndexedBlob[]): string {
  const lines = blobs.map(({ type, id, offset, length, uncompressedLength }) => [
    type,
    id,
    offset,
    length,
    uncompressedLength,
  ]);
  return hash('sha256', lines.join('\n'), 'base64');
}
