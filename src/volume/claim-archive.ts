/** The backup of a claim whose files come as a tar archive out of one of its pods. The orchestrator's way in here. */
import type { BackupJob } from '../base/mover-protocol.ts';
import { acquireLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { type ArchiveOptions, backupArchive } from './backup-archive.ts';
import type { BackupProgress, BackupSummary } from './backup-summary.ts';
import { backupInShape } from './shaped-backup.ts';

export interface ClaimArchive extends Pick<ArchiveOptions, 'archive' | 'ending' | 'onArchiveEnd'> {
  /** namespace/name */
  readonly claim: string;
  /** With what is in use on the file system. */
  readonly recipe: Buffer;
  /** Whose lock it is. */
  readonly hostname: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: BackupProgress) => void;
}

/** For somebody who removes packs to finish. */
const lockWaitMs = 10 * 60_000;
/** The stream is the limit, and the orchestrator has other claims to look after. */
const workers = 2;

/** Throws what backupArchive throws, REPOSITORY_LOCKED, LOCK_LOST. */
export async function backupClaimArchive(
  repository: Repository,
  job: BackupJob,
  source: ClaimArchive,
): Promise<BackupSummary> {
  const { hostname, signal: stop, recipe, claim, archive, ending, onArchiveEnd, onProgress } = source;
  const lock = await acquireLock(repository, { exclusive: false, hostname, waitMs: lockWaitMs, signal: stop });
  const signal = AbortSignal.any([stop, lock.signal]);
  try {
    const run = { signal, confirmLock: () => lock.confirm() };
    return await backupInShape(repository, job, recipe, run, ({ exclude, ...options }) =>
      backupArchive(repository, {
        ...options,
        ...(onProgress ? { onProgress } : {}),
        leaveOut: exclude?.patterns ?? [],
        ...(onArchiveEnd ? { onArchiveEnd } : {}),
        ...{ name: claim, archive, ending, workers },
      }),
    );
  } catch (error) {
    throw lock.signal.aborted ? lock.signal.reason : error;
  } finally {
    await lock.release();
  }
}
