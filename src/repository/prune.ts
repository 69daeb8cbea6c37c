/**
 * Removes what no backup needs. The order makes every moment safe to be killed in: first what no index lists, then new
 * packs, their index, the old index, the old packs. What a killed prune leaves behind is removed by the next one.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { messageOf } from '../base/errors.ts';
import { refuseAppendOnly } from './append-only.ts';
import type { BlobType } from './blob-index.ts';
import { isAboutOneFile } from './check-findings.ts';
import type { IndexedPack } from './format/index-file.ts';
import { scanIndex } from './index-scan.ts';
import type { PackAction, PrunePlan } from './prune-plan.ts';
import type { PruneProgress, PruneSurvey } from './prune-survey.ts';
import { repackPacks, type WantedBlobs } from './repack.ts';
import type { Repository } from './repository.ts';
import { dropFromIndex } from './rewrite-index.ts';
import { usedBit } from './used-blobs.ts';

export interface PruneExecution {
  /** What a full pack has. Default 16 MiB. */
  readonly packSizeBytes?: number;
  readonly onProgress?: (progress: PruneProgress) => void;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

export interface PruneResult {
  readonly packsRemoved: number;
  readonly packsRepacked: number;
  /** Of the new packs. */
  readonly storedBytes: number;
  readonly indexFilesReplaced: number;
  /** Packs that could not be deleted. They are in no index any more; the next prune tries again. */
  readonly errors: readonly { readonly id: string; readonly message: string }[];
}

const removalsAtOnce = 8;
const defaultPackSizeBytes = 16 << 20;

/** Throws REPOSITORY_APPEND_ONLY. */
export function requirePrunable(repository: Repository): void {
  refuseAppendOnly(repository, 'nothing may be removed');
}

/** Carries out a plan, made from this survey under the exclusive lock that the caller still holds. */
export async function executePrune(
  repository: Repository,
  survey: PruneSurvey,
  plan: PrunePlan,
  options: PruneExecution = {},
): Promise<PruneResult> {
  requirePrunable(repository);
  const { signal } = options;
  const clock = options.clock ?? systemClock;
  const errors: { id: string; message: string }[] = [];
  const ids = idsByAction(plan);
  const total = ids.sweep.size + ids.remove.size + ids.repack.size;
  let done = 0;
  const remove = (packs: Iterable<string>): Promise<unknown> =>
    mapLimited(packs, removalsAtOnce, async (id) => {
      signal?.throwIfAborted();
      try {
        await repository.store.remove('data', id);
        options.onProgress?.({ step: 'remove', done: ++done, total });
      } catch (error) {
        if (!isAboutOneFile(error)) throw error;
        errors.push({ id, message: messageOf(error) });
      }
    });

  await remove(ids.sweep);
  const storedBytes = await repack(repository, survey, ids.repack, ids.remove, { ...options, clock });
  signal?.throwIfAborted();
  const isDropped = (id: string): boolean => ids.remove.has(id) || ids.repack.has(id) || ids.drop.has(id);
  const indexFilesReplaced = await dropFromIndex(repository, survey.indexFiles, isDropped, {
    clock,
    ...(signal ? { signal } : {}),
  });
  await remove(ids.remove);
  await remove(ids.repack);
  return {
    packsRemoved: total - errors.length,
    packsRepacked: ids.repack.size,
    storedBytes,
    indexFilesReplaced,
    errors,
  };
}

function idsByAction({ decisions }: PrunePlan): Readonly<Record<PackAction, ReadonlySet<string>>> {
  const ids = {
    keep: new Set<string>(),
    repack: new Set<string>(),
    remove: new Set<string>(),
    sweep: new Set<string>(),
    drop: new Set<string>(),
  };
  for (const { id, action } of decisions) if (action !== 'keep') ids[action].add(id);
  return ids;
}

/** Even where nothing is repacked, this makes sure that no blob in use is in a pack that goes. */
async function repack(
  repository: Repository,
  survey: PruneSurvey,
  repacked: ReadonlySet<string>,
  removed: ReadonlySet<string>,
  options: PruneExecution & { readonly clock: Clock },
): Promise<number> {
  if (repacked.size + removed.size === 0) return 0;
  const { clock, signal, onProgress } = options;
  const wanted = new Wanted(survey);
  const whole = new Set(survey.index.packs);
  for await (const pack of indexedPacks(repository, survey, signal)) {
    // What a pack that stays holds needs no other copy.
    if (whole.has(pack.id) && !repacked.has(pack.id) && !removed.has(pack.id)) wanted.leaveOut(pack);
  }
  let done = 0;
  const storedBytes = await repackPacks(repository, packsOf(repository, survey, repacked, signal), wanted, {
    packSizeBytes: options.packSizeBytes ?? defaultPackSizeBytes,
    clock,
    onPack: () => onProgress?.({ step: 'repack', done: ++done, total: repacked.size }),
    ...(signal ? { signal } : {}),
  });
  wanted.requireNone();
  return storedBytes;
}

async function* indexedPacks(
  repository: Repository,
  { indexFiles }: PruneSurvey,
  signal?: AbortSignal,
): AsyncGenerator<IndexedPack> {
  for await (const { packs } of scanIndex(repository, indexFiles, signal)) yield* packs;
}

/** Each of these packs once. */
async function* packsOf(
  repository: Repository,
  survey: PruneSurvey,
  ids: ReadonlySet<string>,
  signal?: AbortSignal,
): AsyncGenerator<IndexedPack> {
  const left = new Set(ids);
  for await (const pack of indexedPacks(repository, survey, signal)) if (left.delete(pack.id)) yield pack;
}

/** The blobs in use that no remaining pack holds, as bits beside the index. */
class Wanted implements WantedBlobs {
  readonly #survey: PruneSurvey;
  readonly #id = Buffer.allocUnsafe(32);

  constructor(survey: PruneSurvey) {
    this.#survey = survey;
  }

  has(type: BlobType, id: string): boolean {
    const entry = this.#entry(type, id);
    return entry >= 0 && (this.#survey.marks[entry]! & usedBit) !== 0;
  }

  done(type: BlobType, id: string): void {
    this.#survey.marks[this.#entry(type, id)]! &= ~usedBit;
  }

  leaveOut({ blobs }: IndexedPack): void {
    for (const { type, id } of blobs) this.done(type, id);
  }

  /** Before anything is deleted: every blob in use is in a pack that stays. */
  requireNone(): void {
    const left = this.#survey.marks.findIndex((mark) => (mark & usedBit) !== 0);
    if (left >= 0) throw new Error(`a blob in use (entry ${left} of the index) was not repacked`);
  }

  #entry(type: BlobType, id: string): number {
    this.#id.write(id, 'hex');
    return this.#survey.index.blobs.find(type, this.#id);
  }
}
