/**
 * What a prune has to know: which packs there are, and which of their blobs the snapshots need. Index files are read
 * several times rather than kept: in memory are the blob index, one byte a blob, and one small object a pack.
 */
import { hash } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import { BlobIndex } from './blob-index.ts';
import type { IndexedBlob, IndexedPack } from './format/index-file.ts';
import { packFileBytes } from './format/pack.ts';
import { listIndex, scanIndex } from './index-scan.ts';
import { LoadedIndex } from './load-index.ts';
import type { PackFacts, PruneFacts, UnreferencedPack } from './prune-plan.ts';
import type { Repository } from './repository.ts';
import { listSnapshots } from './snapshots.ts';
import { markUsed, usedBit } from './used-blobs.ts';

export interface PruneProgress {
  readonly step: 'index' | 'trees' | 'repack' | 'remove';
  readonly done: number;
  /** Undefined while it is not known. */
  readonly total?: number;
}

export interface SurveyOptions {
  readonly onProgress?: (progress: PruneProgress) => void;
  readonly signal?: AbortSignal;
}

export interface PruneSurvey {
  readonly facts: PruneFacts;
  readonly index: LoadedIndex;
  /** One byte for each entry of the index; usedBit is set where a snapshot needs the blob. */
  readonly marks: Uint8Array;
  readonly indexFiles: readonly string[];
  readonly snapshots: number;
  readonly trees: number;
}

/** Beside usedBit: how many copies there are; from the choice of one on, how many are left to choose from. */
const copiesMask = 0x7f;
const chosen = 0;
const lastCopy = 0x7f;
const mostCopies = 0x7e;
const minBytesPerBlob = 32;
const spareBlobs = 1 << 20;
/** A tree below this size does not get smaller, and is not repacked for that. */
const smallestCompressedTree = 128;

interface Mutable extends PackFacts {
  kind: PackFacts['kind'];
  usedBlobs: number;
  unusedBlobs: number;
  usedBytes: number;
  unusedBytes: number;
  hasPlainTrees: boolean;
  /** Unused ones of which another copy is somewhere. */
  duplicates: number;
  readonly digest: string;
  /** Which pass has seen it last: a pack that is listed twice counts once. */
  pass: number;
}

/**
 * Reads the index and all trees. Throws PRUNE_REFUSED where the index is incomplete or contradicts itself, and whatever
 * keeps a snapshot, a tree or an index file from being read: then nothing may be removed.
 */
export async function surveyPacks(repository: Repository, options: SurveyOptions = {}): Promise<PruneSurvey> {
  const { signal, onProgress } = options;
  const since = await lockedSinceMs(repository);
  // Snapshots before the index before the packs: what is written meanwhile never looks as if it was missing.
  const snapshots = await listSnapshots(repository);
  const { names, sizeBytes } = await listIndex(repository);
  const stored = await listPacks(repository);
  const survey = new Survey(repository, names, sizeBytes, stored, signal);
  await survey.load((done) => onProgress?.({ step: 'index', done, total: names.length }));
  const roots = new Set(snapshots.map(({ tree }) => tree));
  const { trees, missing } = await markUsed(repository, survey.index, survey.marks, roots, {
    onTree: (done) => onProgress?.({ step: 'trees', done }),
    ...(signal ? { signal } : {}),
  });
  await survey.count(new Set(missing));
  await survey.chooseCopies();
  return {
    facts: {
      packs: [...survey.packs.values()],
      unreferenced: survey.unreferenced(),
      lockedSinceMs: since,
    },
    index: survey.index,
    marks: survey.marks,
    indexFiles: names,
    snapshots: snapshots.length,
    trees,
  };
}

interface StoredPack {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

async function listPacks(repository: Repository): Promise<Map<string, StoredPack>> {
  const packs = new Map<string, StoredPack>();
  for await (const { name, sizeBytes, modifiedMs } of repository.store.list('data')) {
    packs.set(name, { sizeBytes, modifiedMs });
  }
  return packs;
}

/** The lock of this run is the oldest one, and with an exclusive lock the only one. Without any, nothing is old. */
async function lockedSinceMs(repository: Repository): Promise<number> {
  let oldest = Number.POSITIVE_INFINITY;
  for await (const { modifiedMs } of repository.store.list('locks')) oldest = Math.min(oldest, modifiedMs);
  return oldest === Number.POSITIVE_INFINITY ? 0 : oldest;
}

class Survey {
  readonly packs = new Map<string, Mutable>();
  readonly index: LoadedIndex;
  readonly marks: Uint8Array;
  readonly #repository: Repository;
  readonly #names: readonly string[];
  readonly #stored: ReadonlyMap<string, StoredPack>;
  readonly #signal: AbortSignal | undefined;
  readonly #marked = new Set<string>();
  readonly #id = Buffer.allocUnsafe(32);
  #pass = 0;

  constructor(
    repository: Repository,
    names: readonly string[],
    indexBytes: number,
    stored: ReadonlyMap<string, StoredPack>,
    signal: AbortSignal | undefined,
  ) {
    const expected = Math.ceil(indexBytes / minBytesPerBlob);
    this.#repository = repository;
    this.#names = names;
    this.#stored = stored;
    this.#signal = signal;
    this.index = new LoadedIndex(BlobIndex.create(expected + spareBlobs, expected), []);
    this.marks = new Uint8Array(expected + spareBlobs);
  }

  /** First pass: the blobs of all packs that are what the index says, and how often each is there. */
  async load(onFile: (done: number) => void): Promise<void> {
    this.#pass += 1;
    let done = 0;
    for await (const { packs, packsToDelete } of scanIndex(this.#repository, this.#names, this.#signal)) {
      for (const pack of packs) this.#addPack(pack);
      for (const { id } of packsToDelete) this.#marked.add(id);
      done += 1;
      onFile(done);
    }
  }

  /** Second pass: what of each pack is used. Of blobs that are there several times, no copy is used yet. */
  async count(missing: Set<string>): Promise<void> {
    for await (const [pack, blobs] of this.#eachPack()) {
      const isSound = isWhole(pack);
      for (const { type, id, length } of blobs) {
        const isUsed = isSound ? this.#countSound(pack, type, id) : missing.delete(`${type} ${id}`);
        if (isUsed) {
          pack.usedBlobs += 1;
          pack.usedBytes += length;
        } else {
          pack.unusedBlobs += 1;
          pack.unusedBytes += length;
        }
      }
    }
    const [first] = missing;
    if (first === undefined) return;
    const reason = `the index lacks ${missing.size} blobs that backups need, such as ${first}`;
    throw new HoldfastError('PRUNE_REFUSED', { reason });
  }

  /**
   * Third pass, where there are duplicates: the copy that counts is one in a pack that has something used already, or
   * that holds nothing but duplicates (what an interrupted prune has repacked), or else the last one.
   */
  async chooseCopies(): Promise<void> {
    if (![...this.packs.values()].some(({ duplicates }) => duplicates > 0)) return;
    for await (const [pack, blobs] of this.#eachPack()) {
      if (!isWhole(pack)) continue;
      for (const { type, id, length } of blobs) {
        const entry = this.#entryOf(type, id);
        const mark = this.marks[entry]!;
        const left = mark & copiesMask;
        if ((mark & usedBit) === 0 || left === 1 || left === chosen) continue;
        if (pack.usedBlobs > 0 || pack.duplicates === pack.unusedBlobs || left === lastCopy) {
          pack.usedBlobs += 1;
          pack.unusedBlobs -= 1;
          pack.duplicates -= 1;
          pack.usedBytes += length;
          pack.unusedBytes -= length;
          this.marks[entry] = usedBit | chosen;
        } else this.marks[entry] = usedBit | (left === 2 ? lastCopy : left - 1);
      }
    }
  }

  /** Packs in no index file, leaving out those that rustic has marked: it deletes them when their time has come. */
  unreferenced(): UnreferencedPack[] {
    return [...this.#stored]
      .filter(([id]) => !this.packs.has(id) && !this.#marked.has(id))
      .map(([id, { sizeBytes, modifiedMs }]) => ({ id, sizeBytes, modifiedMs }));
  }

  #addPack({ id, blobs }: IndexedPack): void {
    const digest = digestOf(blobs);
    const known = this.packs.get(id);
    if (known) {
      if (known.digest === digest) return;
      throw new HoldfastError('PRUNE_REFUSED', { reason: `two index files list different blobs for the pack ${id}` });
    }
    const indexedBytes = packFileBytes(blobs);
    const pack: Mutable = {
      id,
      kind: kindOf(blobs),
      indexedBytes,
      storedBytes: this.#stored.get(id)?.sizeBytes,
      usedBlobs: 0,
      unusedBlobs: 0,
      usedBytes: indexedBytes - blobs.reduce((sum, { length }) => sum + length, 0),
      unusedBytes: 0,
      hasPlainTrees: this.#repository.version > 1 && blobs.some(isPlainTree),
      duplicates: 0,
      digest,
      pass: this.#pass,
    };
    this.packs.set(id, pack);
    if (isWhole(pack)) this.#addBlobs(id, blobs);
  }

  #addBlobs(packId: string, blobs: readonly IndexedBlob[]): void {
    const pack = this.index.packs.push(packId) - 1;
    for (const { type, id, offset, length, uncompressedLength } of blobs) {
      this.#id.write(id, 'hex');
      this.index.blobs.add(type, this.#id, { pack, offset, length, uncompressedLength });
      const entry = this.index.blobs.find(type, this.#id);
      if (this.marks[entry]! < mostCopies) this.marks[entry]! += 1;
    }
  }

  #countSound(pack: Mutable, type: 'data' | 'tree', id: string): boolean {
    const mark = this.marks[this.#entryOf(type, id)]!;
    if ((mark & usedBit) === 0) return false;
    if ((mark & copiesMask) === 1) return true;
    pack.duplicates += 1;
    return false;
  }

  #entryOf(type: 'data' | 'tree', id: string): number {
    this.#id.write(id, 'hex');
    return this.index.blobs.find(type, this.#id);
  }

  async *#eachPack(): AsyncGenerator<[Mutable, readonly IndexedBlob[]]> {
    this.#pass += 1;
    for await (const { packs } of scanIndex(this.#repository, this.#names, this.#signal)) {
      for (const { id, blobs } of packs) {
        const pack = this.packs.get(id)!;
        if (pack.pass === this.#pass) continue;
        pack.pass = this.#pass;
        yield [pack, blobs];
      }
    }
  }
}

function isWhole({ storedBytes, indexedBytes }: PackFacts): boolean {
  return storedBytes === indexedBytes;
}

function kindOf(blobs: readonly IndexedBlob[]): PackFacts['kind'] {
  const type = blobs[0]?.type ?? 'data';
  return blobs.every((blob) => blob.type === type) ? type : 'mixed';
}

function isPlainTree({ type, length, uncompressedLength }: IndexedBlob): boolean {
  return type === 'tree' && uncompressedLength === 0 && length >= smallestCompressedTree;
}

function digestOf(blobs: readonly IndexedBlob[]): string {
  const lines = blobs.map(
    ({ type, id, offset, length, uncompressedLength }) => `${type} ${id} ${offset} ${length} ${uncompressedLength}`,
  );
  return hash('sha256', lines.join('\n'), 'base64');
}
