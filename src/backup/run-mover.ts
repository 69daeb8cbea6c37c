/** The mover of a backup from its start to what it left in the repository. */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { awaitMover, type MoverResult, startMover } from '../cluster/mover-run.ts';
import type { KubeObject } from '../cluster/object.ts';
import { backupJob, moveLimitMs } from './claim-work.ts';
import { type Cut, type MovedClaim, type PreparedClaim, recipeOf } from './method.ts';

export interface MoverWishes {
  /** Default: the run's own. */
  readonly signal?: AbortSignal;
  /** Awaited once the container runs. */
  onStarted?(): Promise<void>;
  /** Told of the pod with every new state. */
  onPod?(pod: KubeObject | undefined): void;
}

/** Lets the claim's Job go, and waits for its end. Throws MOVER_FAILED, CREDENTIALS_MISSING, and the signal's reason. */
export async function runMover(claim: PreparedClaim, cut: Cut, wishes: MoverWishes = {}): Promise<MovedClaim> {
  const { cluster, work, job, pod } = claim;
  const { timeouts, options } = work;
  await startMover(cluster, job, pod, backupJob(work, recipeOf(claim, cut), Date.parse(cut.time)), options.signal);
  let result: MoverResult;
  try {
    result = await awaitMover(cluster, job, pod, {
      queuedMs: timeouts.queuedMs,
      startTimeoutMs: timeouts.startMs,
      stalledMs: timeouts.stalledMs,
      runTimeoutMs: moveLimitMs(work),
      signal: wishes.signal ?? options.signal,
      onStarted: async () => wishes.onStarted?.(),
      onState: (state, found) => {
        wishes.onPod?.(found);
        claim.say('mover', state);
      },
    });
  } catch (error) {
    return findSaved(claim, error);
  }
  return confirm(claim, result);
}

/** The pod may have been lost after the backup was saved. */
async function findSaved(claim: PreparedClaim, error: unknown): Promise<MovedClaim> {
  const { finder, run } = claim.work.options;
  if (finder === undefined || !isHoldfastError(error, 'MOVER_FAILED')) throw error;
  const found = await finder.find(run, claim.work.plan.source.claim.metadata.uid);
  if (found === undefined) throw error;
  claim.warn(`the repository has the backup, though ${messageOf(error)}`);
  return { ...found, counts: {}, errorCount: 0, errors: [], node: undefined };
}

async function confirm({ work }: PreparedClaim, result: MoverResult): Promise<MovedClaim> {
  const { finder } = work.options;
  const { backupId, counts, errorCount, errors, node } = result;
  if (backupId === undefined || (finder !== undefined && !(await finder.has(backupId)))) {
    const reason = `it says it made the backup ${backupId ?? '(without id)'}, which is not in the repository`;
    throw new HoldfastError('MOVER_FAILED', { claim: work.plan.claim, reason });
  }
  return { backupId, state: result.exitCode === 0 ? 'complete' : 'incomplete', counts, errorCount, errors, node };
}
