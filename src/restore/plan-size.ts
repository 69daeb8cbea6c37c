/** How large the volume of a restored claim is made (R7.6). Pure. */
import { HoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { Recipe } from '../manifest/recipe.ts';
import type { BackupFacts, RestoreWishes } from './facts.ts';

export interface SizePlan {
  readonly bytes: number;
  readonly reason: string;
}

const mebibyte = 1024 * 1024;

export function planSize(recipe: Recipe, backup: BackupFacts, wishes: RestoreWishes): SizePlan | HoldfastError {
  const usedBytes = usedBytesOf(recipe, backup);
  if (wishes.sizeBytes === undefined) return sizeAsRecorded(recipe, usedBytes);
  const recorded = recordedBytes(recipe).bytes;
  const leastBytes = leastSizeOf(recipe, backup);
  // A volume as large as the old one held this data already; only a smaller one has to prove its room.
  if (wishes.sizeBytes < recorded && wishes.sizeBytes < leastBytes) {
    return new HoldfastError('TARGET_TOO_SMALL', {
      needed: formatSize(leastBytes),
      size: formatSize(wishes.sizeBytes),
      neededBytes: leastBytes,
      sizeBytes: wishes.sizeBytes,
    });
  }
  return { bytes: wishes.sizeBytes, reason: 'chosen' };
}

/** The smallest volume that the data fits into. A device has no room to spare: its image fits, or it does not. */
export function leastSizeOf(recipe: Recipe, backup: BackupFacts): number {
  const usedBytes = usedBytesOf(recipe, backup);
  return recipe.volumeMode === 'Block' ? Math.max(usedBytes, recordedBytes(recipe).bytes) : neededBytes(usedBytes);
}

function usedBytesOf(recipe: Recipe, backup: BackupFacts): number {
  return recipe.sizes.usedBytes ?? backup.bytes ?? 0;
}

/** The data and a tenth more, plus what an empty file system takes for itself (journal and tables). */
export function neededBytes(usedBytes: number): number {
  return Math.ceil(usedBytes * 1.1) + 16 * mebibyte;
}

function sizeAsRecorded(recipe: Recipe, usedBytes: number): SizePlan {
  const recorded = recordedBytes(recipe);
  if (usedBytes <= recorded.bytes && recorded.bytes > 0) return recorded;
  if (recipe.volumeMode === 'Block') return { bytes: usedBytes, reason: 'the size of the device' };
  return {
    bytes: Math.ceil(neededBytes(usedBytes) / mebibyte) * mebibyte,
    reason: 'the data with room for it: it is more than the recorded size',
  };
}

function recordedBytes(recipe: Recipe): SizePlan {
  const { requestedBytes, provisionedBytes, filesystemBytes } = recipe.sizes;
  if (recipe.resizeInfeasible) {
    const bytes = provisionedBytes ?? filesystemBytes ?? requestedBytes;
    return { bytes, reason: 'the size the volume had; the size requested last was refused by the storage' };
  }
  if (provisionedBytes !== null && provisionedBytes > requestedBytes) {
    return { bytes: provisionedBytes, reason: 'the size the volume had, which is more than was requested' };
  }
  return { bytes: requestedBytes, reason: 'as requested by the recorded claim' };
}
