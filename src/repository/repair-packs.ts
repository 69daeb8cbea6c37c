/**
 * Saves what can be read of damaged packs into new ones, and takes the damaged ones away (restic's `repair packs`).
 * Order: a copy of the damaged pack elsewhere, new packs, their index, the old index, and last the damaged pack.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import type { IndexedBlob, IndexedPack } from './format/index-file.ts';
import { listIndex, scanIndex } from './index-scan.ts';
import { requirePrunable } from './prune.ts';
import { repackPacks, type WantedBlobs } from './repack.ts';
import type { Repository } from './repository.ts';
import { dropFromIndex } from './rewrite-index.ts';
import { createPackJudge, type JudgedPack, type PackJudge } from './verify-pack.ts';

export interface PackRepair extends JudgedPack {
  readonly id: string;
  /** Listed by the index, and not there. */
  readonly isMissing: boolean;
  /** Of the lost blobs, those that another pack holds too, as the index says. */
  readonly elsewhereCount: number;
}

export interface PackRepairPlan {
  readonly damaged: readonly PackRepair[];
  /** Packs that were asked for and have no fault: nothing is done with them. */
  readonly sound: readonly string[];
  readonly indexFiles: readonly string[];
}

export interface PackRepairResult {
  readonly savedBlobs: number;
  /** Of the new packs. */
  readonly storedBytes: number;
  readonly indexFilesReplaced: number;
  readonly packsRemoved: number;
}

export interface PackRepairExecution {
  /** Keeps a damaged pack as it is, for somebody who can do more with it. Called before anything is changed. */
  readonly saveCopy: (id: string, bytes: Buffer) => Promise<void>;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

const packSizeBytes = 16 << 20;

/** Reads the packs whose ids begin with these names. Throws PACK_NOT_FOUND, and FILE_DAMAGED for index files. */
export async function planPackRepair(
  repository: Repository,
  names: readonly string[],
  options: { readonly onPack?: (done: number) => void; readonly signal?: AbortSignal } = {},
): Promise<PackRepairPlan> {
  const { signal } = options;
  const indexFiles = (await listIndex(repository)).names;
  const stored = new Set<string>();
  for await (const { name } of repository.store.list('data')) stored.add(name);
  const ids = await resolveNames(repository, names, indexFiles, stored);
  const listed = new Map<string, IndexedBlob[]>(ids.map((id) => [id, []]));
  for await (const { packs } of scanIndex(repository, indexFiles, signal)) {
    for (const { id, blobs } of packs) listed.get(id)?.push(...blobs);
  }
  const judge = createPackJudge(repository.key);
  const judged: Omit<PackRepair, 'elsewhereCount'>[] = [];
  for (const [id, blobs] of listed) {
    signal?.throwIfAborted();
    judged.push(await judgePack(repository, judge, id, blobs));
    options.onPack?.(judged.length);
  }
  const damaged = judged.filter(({ problems }) => problems.length > 0);
  const elsewhere = await findElsewhere(repository, indexFiles, damaged, signal);
  return {
    damaged: damaged.map((pack) => ({
      ...pack,
      elsewhereCount: pack.lost.filter((b) => elsewhere.has(nameOf(b))).length,
    })),
    sound: judged.filter(({ problems }) => problems.length === 0).map(({ id }) => id),
    indexFiles,
  };
}

/** Carries out a plan, made under the exclusive lock that the caller still holds. */
export async function executePackRepair(
  repository: Repository,
  { damaged, indexFiles }: PackRepairPlan,
  { saveCopy, clock = systemClock, signal }: PackRepairExecution,
): Promise<PackRepairResult> {
  requirePrunable(repository);
  const present = damaged.filter(({ isMissing }) => !isMissing);
  for (const { id } of present) {
    signal?.throwIfAborted();
    await saveCopy(id, await repository.store.get('data', id));
  }
  const wanted = new Unsaved(damaged.flatMap(({ readable }) => readable));
  const savedBlobs = wanted.count;
  const storedBytes =
    savedBlobs === 0 ? 0 : await repackPacks(repository, packsOf(present), wanted, { packSizeBytes, clock });
  if (wanted.count > 0) throw new Error(`${wanted.count} blobs were readable before, and were not saved`);
  signal?.throwIfAborted();
  const gone = new Set(damaged.map(({ id }) => id));
  const isGone = (id: string): boolean => gone.has(id);
  const indexFilesReplaced = await dropFromIndex(repository, indexFiles, isGone, {
    clock,
    isUnmarked: isGone,
    ...(signal ? { signal } : {}),
  });
  for (const { id } of present) {
    signal?.throwIfAborted();
    await repository.store.remove('data', id);
  }
  return { savedBlobs, storedBytes, indexFilesReplaced, packsRemoved: present.length };
}

async function resolveNames(
  repository: Repository,
  names: readonly string[],
  indexFiles: readonly string[],
  stored: ReadonlySet<string>,
): Promise<string[]> {
  const known = new Set(stored);
  for await (const { packs } of scanIndex(repository, indexFiles)) for (const { id } of packs) known.add(id);
  const ids = names.map((name) => {
    const matches = name === '' ? [] : [...known].filter((id) => id.startsWith(name));
    const [id] = matches;
    if (id !== undefined && matches.length === 1) return id;
    throw new HoldfastError('PACK_NOT_FOUND', { name, count: matches.length });
  });
  return [...new Set(ids)];
}

/** Read a second time where it does not fit its name: the fault may have been in transit. */
async function judgePack(
  repository: Repository,
  judge: PackJudge,
  id: string,
  blobs: readonly IndexedBlob[],
): Promise<Omit<PackRepair, 'elsewhereCount'>> {
  try {
    const first = judge(id, await repository.store.get('data', id), blobs);
    const judged = first.problems.length === 0 ? first : judge(id, await repository.store.get('data', id), blobs);
    return { id, isMissing: false, ...judged };
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    return { id, isMissing: true, problems: ['it is missing'], readable: [], lost: blobs };
  }
}

/** The lost blobs that the index lists in packs which stay. */
async function findElsewhere(
  repository: Repository,
  indexFiles: readonly string[],
  damaged: readonly Omit<PackRepair, 'elsewhereCount'>[],
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const going = new Set(damaged.map(({ id }) => id));
  const lost = new Set(damaged.flatMap((pack) => pack.lost.map(nameOf)));
  const found = new Set(damaged.flatMap(({ readable }) => readable.map(nameOf)).filter((name) => lost.has(name)));
  if (lost.size === 0) return found;
  for await (const { packs } of scanIndex(repository, indexFiles, signal)) {
    for (const { id, blobs } of packs) {
      if (!going.has(id)) for (const blob of blobs) if (lost.has(nameOf(blob))) found.add(nameOf(blob));
    }
  }
  return found;
}

async function* packsOf(repairs: readonly PackRepair[]): AsyncGenerator<IndexedPack> {
  for (const { id, readable } of repairs) yield { id, blobs: readable };
}

class Unsaved implements WantedBlobs {
  readonly #names: Set<string>;

  constructor(blobs: readonly IndexedBlob[]) {
    this.#names = new Set(blobs.map(nameOf));
  }

  get count(): number {
    return this.#names.size;
  }

  has(type: BlobType, id: string): boolean {
    return this.#names.has(nameOf({ type, id }));
  }

  done(type: BlobType, id: string): void {
    this.#names.delete(nameOf({ type, id }));
  }
}

function nameOf({ type, id }: Pick<IndexedBlob, 'type' | 'id'>): string {
  return `${type} ${id}`;
}
