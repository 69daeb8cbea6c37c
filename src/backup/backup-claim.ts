/**
 * One backup of one claim by its plan; then everything that was made is removed, whatever happened. The volume itself
 * and its pods are never touched.
 */
import type { Cluster } from '../cluster/client.ts';
import { type ClaimRun, openClaimRun } from './claim-run.ts';
import { cutWithHooks } from './hooked-cut.ts';
import type { ClaimBackupResult, ClaimBackupRun } from './run.ts';

/**
 * Throws the refusals of planClaimBackup, SNAPSHOT_FAILED, MOVER_FAILED, BACKUP_RUNNING, LIVE_COPY_REFUSED, HOOK_FAILED, and the
 * signal's reason.
 */
export async function backupClaim(cluster: Cluster, options: ClaimBackupRun): Promise<ClaimBackupResult> {
  const run = await openClaimRun(cluster, options);
  const { cut, moved } = await closing(run, async () => {
    const claim = await run.prepare();
    const hooked = await cutWithHooks([claim], () => run.cut(claim));
    const cut = { ...hooked.cut, hooks: hooked.hooks };
    return { cut, moved: await run.move(claim, cut) };
  });
  return run.result(cut, moved);
}

/** Does the work on a claim, and closes its run whatever comes of it. */
export async function closing<T>(run: ClaimRun, work: () => Promise<T>): Promise<T> {
  let end: 'done' | 'failed' = 'failed';
  try {
    const result = await work();
    end = 'done';
    return result;
  } finally {
    await run.close(end);
  }
}
