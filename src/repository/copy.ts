/**
 * Copies backups into another repository: the bytes of blobs as they are, sealed anew with its key. Packs, then their
 * index, then the snapshots, so that a run which is killed leaves data that the next one finds again.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import {
  type CopiedSnapshot,
  type CopyPlan,
  type CopyProgress,
  type FailedCopy,
  indexedPacks,
  judgeCopies,
} from './copy-plan.ts';
import type { IndexedPack } from './format/index-file.ts';
import type { StoredSnapshot } from './format/snapshot.ts';
import { repackPacks } from './repack.ts';
import { saveSnapshot } from './snapshots.ts';

export interface CopyOptions {
  /** What a full pack has. Default 16 MiB. */
  readonly packSizeBytes?: number;
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
  /** Called when all data is stored, before snapshots are: throws when a lock was lost, since then packs may be, too. */
  readonly confirmLock?: () => Promise<void>;
  readonly clock?: Clock;
}

export interface CopyResult {
  readonly copied: readonly CopiedSnapshot[];
  /** Those of the plan, and those of which data could not be read. */
  readonly failed: readonly FailedCopy[];
  /** What the target grew by. */
  readonly storedBytes: number;
}

const defaultPackSizeBytes = 16 << 20;
const savesAtOnce = 8;

/** Carries out a plan under the locks under which it was made. Throws what ends all access to one of both stores. */
export async function executeCopy(plan: CopyPlan, options: CopyOptions = {}): Promise<CopyResult> {
  const { wanted, snapshots } = plan;
  const { signal } = options;
  const storedBytes = wanted.blobs === 0 ? 0 : await copyBlobs(plan, options);
  const failed = wanted.left === 0 ? [] : await judgeCopies(plan, signal);
  const lost = new Set(failed.map(({ id }) => id));
  await options.confirmLock?.();
  const complete = snapshots.filter(({ id }) => !lost.has(id));
  const copied = await mapLimited(complete, savesAtOnce, async (snapshot) => {
    signal?.throwIfAborted();
    return { from: snapshot.id, to: await saveCopy(plan, snapshot) };
  });
  return { copied, failed: [...plan.failed, ...failed], storedBytes };
}

function copyBlobs({ source, target, wanted, indexFiles }: CopyPlan, options: CopyOptions): Promise<number> {
  const { onProgress, signal } = options;
  let done = 0;
  return repackPacks(source, wantedPacks(), wanted, {
    target,
    passOver: true,
    packSizeBytes: options.packSizeBytes ?? defaultPackSizeBytes,
    clock: options.clock ?? systemClock,
    onPack: () => onProgress?.({ step: 'packs', done: ++done, total: wanted.packs }),
    ...(signal ? { signal } : {}),
  });

  async function* wantedPacks(): AsyncGenerator<IndexedPack> {
    for await (const pack of indexedPacks(source, indexFiles, signal)) {
      if (pack.blobs.some(({ type, id }) => wanted.has(type, id))) yield pack;
    }
  }
}

/** The id of the first of all copies stays its original; a parent means nothing in another repository. */
function saveCopy({ target }: CopyPlan, { id, parent: _, ...snapshot }: StoredSnapshot): Promise<string> {
  return saveSnapshot(target, { ...snapshot, original: snapshot.original ?? id });
}
