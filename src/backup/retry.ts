/** Running again what failed in an earlier run, and nothing else. Pure. */
import { HoldfastError } from '../base/errors.ts';
import type { RunRecord } from '../repository/ledger/documents.ts';
import type { BackupPlan, LeftClaim } from './plan.ts';

export interface Retry {
  /** The earlier run. */
  readonly run: string;
  /** namespace/name of what failed in it, or was backed up in part. */
  readonly claims: readonly string[];
}

export function retryOf({ run, claims }: RunRecord): Retry {
  const failed = claims.filter(({ status }) => status === 'failed' || status === 'incomplete');
  return { run, claims: failed.map(({ claim }) => claim) };
}

/**
 * Of a plan what is to be retried; claims that are cut together are only worth something together. A claim that is gone
 * since then has nothing to back up.
 */
export function onlyRetried({ claims, groups }: BackupPlan, retry: Retry): BackupPlan {
  const together = groups.filter(({ members }) => members.some((member) => retry.claims.includes(member)));
  const wanted = new Set([...retry.claims, ...together.flatMap(({ members }) => members)]);
  const planned = claims.filter(({ claim }) => wanted.has(claim));
  const gone = retry.claims.filter((one) => !planned.some(({ claim }) => claim === one));
  const left = gone.map(
    (claim): LeftClaim => ({ status: 'skipped', claim, error: new HoldfastError('CLAIM_NOT_FOUND', { claim }) }),
  );
  return { claims: [...planned, ...left], groups: together };
}
