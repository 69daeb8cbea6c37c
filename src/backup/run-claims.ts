/**
 * A run over all claims of a plan: several at a time within limits, one that fails is tried again by itself and stops no
 * other. Every claim of the plan comes out with what became of it.
 */
import { systemClock } from '../base/clock.ts';
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import { backupClaim } from './backup-claim.ts';
import { type Room, runInRooms } from './limits.ts';
import type { BackupPlan, LeftClaim, ReadyClaim } from './plan.ts';
import type { ClaimBackupResult, ClaimBackupRun } from './run.ts';

export type ClaimOutcome =
  | { readonly claim: string; readonly status: 'done' | 'incomplete'; readonly result: ClaimBackupResult }
  | { readonly claim: string; readonly status: 'skipped' | 'failed'; readonly error: HoldfastError };

export interface RunLimits {
  /** Claims at a time. */
  readonly claims: number;
  /** Of them such as are used on one node, are of one storage class or driver. */
  readonly perNode?: number | undefined;
  readonly perStorageClass?: number | undefined;
  readonly perDriver?: number | undefined;
  /** How often a claim is tried again whose failure may pass. */
  readonly retries: number;
}

export interface ClaimsRun {
  readonly limits: RunLimits;
  /** The same for all claims. */
  readonly common: Omit<ClaimBackupRun, 'namespace' | 'claim' | 'planned'>;
  /** Told of each claim as soon as it is through. */
  readonly onOutcome?: ((outcome: ClaimOutcome) => void) | undefined;
}

/** Between two tries; what is broken for longer is not mended by more of them. */
const RETRY_AFTER_MS = 20_000;

export const defaultLimits: RunLimits = { claims: 3, retries: 1 };

export function limitsOf({ spec }: BackupPolicy): RunLimits {
  const { claims, perNode, perStorageClass, perDriver, retries } = spec.limits ?? {};
  return {
    claims: claims ?? defaultLimits.claims,
    retries: retries ?? defaultLimits.retries,
    ...{ perNode, perStorageClass, perDriver },
  };
}

/** The outcomes in the order of the plan, without the claims that no rule covers. Throws only the signal's reason, and bugs. */
export async function runClaims(cluster: Cluster, plan: BackupPlan, o: ClaimsRun): Promise<ClaimOutcome[]> {
  const meant = plan.claims.filter((claim) => claim.status !== 'uncovered');
  return runInRooms(
    meant,
    (claim) => (claim.status === 'ready' ? roomsOf(claim, o.limits) : []),
    async (claim) => {
      const outcome = claim.status === 'ready' ? await backUp(cluster, claim, o) : outcomeOf(claim);
      o.onOutcome?.(outcome);
      return outcome;
    },
  );
}

function outcomeOf({ claim, status, error }: LeftClaim): ClaimOutcome {
  return { claim, status: status === 'skipped' ? 'skipped' : 'failed', error };
}

function roomsOf({ source, usedOn, storageClass }: ReadyClaim, limits: RunLimits): Room[] {
  const rooms: readonly [string, string | undefined, number | undefined][] = [
    ['claims', 'all', limits.claims],
    ['node', usedOn, limits.perNode],
    ['storage class', source.storageClassName ?? storageClass, limits.perStorageClass],
    ['driver', source.driver, limits.perDriver],
  ];
  return rooms.flatMap(([kind, name, limit]) =>
    name === undefined || limit === undefined ? [] : [{ key: `${kind} ${name}`, limit }],
  );
}

async function backUp(cluster: Cluster, planned: ReadyClaim, o: ClaimsRun): Promise<ClaimOutcome> {
  const { claim, source } = planned;
  const { namespace = '', name } = source.claim.metadata;
  const { signal, onEvent, clock = systemClock } = o.common;
  for (let left = o.limits.retries; ; left--) {
    signal?.throwIfAborted();
    try {
      const result = await backupClaim(cluster, { ...o.common, namespace, claim: name, planned });
      return { claim, status: result.state === 'complete' ? 'done' : 'incomplete', result };
    } catch (error) {
      signal?.throwIfAborted();
      if (!isHoldfastError(error)) throw error;
      if (left === 0 || !mayPass(error)) return { claim, status: isNothingLeft(error) ? 'skipped' : 'failed', error };
      onEvent?.({ claim, phase: 'retry', message: `tries again in ${RETRY_AFTER_MS / 1000} s: ${error.message}` });
      await clock.sleep(RETRY_AFTER_MS, signal);
    }
  }
}

/** Another run of the claim that is at work was watched for a minute already. */
function mayPass(error: HoldfastError): boolean {
  return error.retryable && error.code !== 'BACKUP_RUNNING';
}

/** A claim that was deleted since the plan has nothing to back up. */
function isNothingLeft(error: HoldfastError): boolean {
  return error.code === 'CLAIM_NOT_FOUND';
}
