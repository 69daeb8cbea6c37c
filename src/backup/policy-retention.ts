/** What the retention of a policy removes: its own backups, of this cluster and of those that it adopted. */
import { type Clock, systemClock } from '../base/clock.ts';
import { floorOf, retentionOf } from '../policy/rules.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import { isInStorage } from '../repository/claim-layout.ts';
import { executeForget, type ForgetPlan, type ForgetResult, planForget } from '../repository/forget.ts';
import { heldBackups } from '../repository/ledger/ledger.ts';
import type { Repository } from '../repository/repository.ts';
import { matchesFilter } from '../repository/snapshots.ts';
import type { KeptHere } from './expire-kept.ts';
import { type History, ledgerOf, ownBackups, readHistory } from './history.ts';
import { findShrunken } from './shrunken.ts';

export interface PolicyRetention {
  readonly policy: BackupPolicy;
  readonly clusterUid: string;
  readonly clock?: Clock | undefined;
  /** What is in the storage; without it no backup goes whose data is there. */
  readonly kept?: KeptHere | undefined;
}

/**
 * What would be removed now: complete backups by the rules, never the last one, none that is held. Throws
 * LEDGER_UNREADABLE, since what cannot be read may be a hold.
 */
export async function planPolicyRetention(
  repository: Repository,
  { policy, clusterUid, clock = systemClock, kept }: PolicyRetention,
): Promise<ForgetPlan> {
  const rules = policy.spec.retention;
  const history = await readHistory(repository);
  const held = heldReasons(history, clusterUid);
  const { namespace, name } = policy.metadata;
  const tags = [[`namespace=${namespace}`, `policy=${name}`]];
  const backups = ownBackups(history, clusterUid).filter((backup) => matchesFilter(backup, { tags }));
  if (rules === undefined || backups.length === 0) return { groups: [] };
  const gone = new Set(backups.filter((one) => isInStorage(one) && kept?.stateOf(one) === 'gone').map(({ id }) => id));
  // By claim alone: the name of the cluster may change, its uid does not.
  const options = { groupBy: ['paths'] as const, nowMs: clock.nowMs(), floor: { ...floorOf(rules), gone }, held };
  return planForget(backups, retentionOf(rules), options);
}

/** The caller holds a lock. */
export async function applyPolicyRetention(
  repository: Repository,
  retention: PolicyRetention,
  signal: AbortSignal,
): Promise<ForgetResult> {
  if (retention.policy.spec.retention === undefined) return { removed: [], errors: [], records: [] };
  const plan = await planPolicyRetention(repository, retention);
  const { clock, kept } = retention;
  return executeForget(repository, plan, {
    signal,
    ...(clock === undefined ? {} : { clock }),
    ...(kept === undefined ? {} : { release: kept.release }),
  });
}

/** What is held, and what is to be held for a volume that shrank, though a run was killed before it could say so. */
function heldReasons(history: History, clusterUid: string): ReadonlyMap<string, readonly string[]> {
  const ledger = ledgerOf(history);
  const held = new Map<string, readonly string[]>();
  for (const [id, holds] of heldBackups(ledger, history.backups))
    held.set(
      id,
      holds.map(({ reason }) => reason),
    );
  for (const { earlier, claim } of findShrunken(ownBackups(history, clusterUid), ledger.holds)) {
    for (const id of earlier) held.set(id, [...(held.get(id) ?? []), `the volume of ${claim} shrank suddenly`]);
  }
  return held;
}
