/**
 * Asks the repository what a run really left: the answer of a pod is a hint, the stored snapshot is the fact.
 */
import { isHoldfastError } from '../base/errors.ts';
import type { Repository } from '../repository/repository.ts';
import { listBackups, loadSnapshot } from '../repository/snapshots.ts';
import type { BackupFinder } from './run.ts';

export function backupFinder(repository: Repository): BackupFinder {
  return {
    has: async (backupId) => {
      try {
        await loadSnapshot(repository, backupId);
        return true;
      } catch (error) {
        if (isHoldfastError(error, 'FILE_NOT_FOUND')) return false;
        throw error;
      }
    },
    find: async (run, claimUid) => {
      const backups = await listBackups(repository, { tags: [[`run=${run}`, `uid=${claimUid}`]] });
      const found = backups.at(-1);
      if (found === undefined) return undefined;
      const state = found.tags?.includes('state=incomplete') ? 'incomplete' : 'complete';
      return { backupId: found.id, state };
    },
  };
}
