/** Restores the claims of a set by their plans, a bounded number at once. One that fails stops no other. */
import { mapLimited } from '../base/concurrency.ts';
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import type { RestorePlan } from './plan.ts';
import { type RestoreOptions, type RestoreResult, restoreClaim } from './restore-claim.ts';
import type { RestoreEvent } from './run.ts';

export type RestoreOutcome = {
  /** namespace/name */
  readonly claim: string;
  readonly plan: RestorePlan;
} & (
  | { readonly status: 'done'; readonly result: RestoreResult }
  | { readonly status: 'failed'; readonly error: HoldfastError }
);

export interface SetRun {
  /** Claims at a time. */
  readonly parallel: number;
  /** The same for all claims. */
  readonly common: Omit<RestoreOptions, 'plan' | 'onEvent'>;
  readonly onEvent?: (claim: string, event: RestoreEvent) => void;
  /** Told of each claim as soon as it is through. */
  readonly onOutcome?: (outcome: RestoreOutcome) => void;
}

/** The outcomes in the order of the plans. Throws only the signal's reason, and bugs. */
export function restoreSet(cluster: Cluster, plans: readonly RestorePlan[], run: SetRun): Promise<RestoreOutcome[]> {
  return mapLimited(plans, run.parallel, async (plan) => {
    const claim = `${plan.target.namespace}/${plan.target.name}`;
    const outcome = { claim, plan, ...(await restoreOne(cluster, plan, claim, run)) };
    run.onOutcome?.(outcome);
    return outcome;
  });
}

async function restoreOne(cluster: Cluster, plan: RestorePlan, claim: string, { common, onEvent }: SetRun) {
  common.signal?.throwIfAborted();
  try {
    const options = { ...common, plan, onEvent: (event: RestoreEvent) => onEvent?.(claim, event) };
    return { status: 'done' as const, result: await restoreClaim(cluster, options) };
  } catch (error) {
    common.signal?.throwIfAborted();
    if (!isHoldfastError(error)) throw error;
    return { status: 'failed' as const, error };
  }
}
