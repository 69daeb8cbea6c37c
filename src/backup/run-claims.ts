/**
 * A run over all claims of a plan: several at a time within limits, one that fails is tried again by itself and stops no
 * other. Every claim of the plan comes out with what became of it.
 */
import { systemClock } from '../base/clock.ts';
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import { backupClaim } from './backup-claim.ts';
import { type CutMember, cutGroup, type GroupRun } from './group-run.ts';
import type { CutGroup } from './groups.ts';
import { allEnded, type Room, Rooms } from './limits.ts';
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
  const rooms = new Rooms();
  const meant = plan.claims.filter((claim) => claim.status !== 'uncovered');
  const works = meant.map((claim): Promise<ClaimOutcome[]> => {
    if (claim.status !== 'ready') return told(o, async () => outcomeOf(claim));
    const group = plan.groups.find(({ members }) => members.includes(claim.claim));
    if (group === undefined)
      return rooms.within(roomsOf(claim, o.limits), () => told(o, () => backUp(cluster, claim, o)));
    const members = meant.flatMap((one) => (one.status === 'ready' && group.members.includes(one.claim) ? [one] : []));
    // All members are the work of the first one.
    if (members[0] !== claim) return Promise.resolve([]);
    return backUpGroup(cluster, group, members, o, rooms);
  });
  const outcomes = new Map((await allEnded(works)).flat().map((outcome) => [outcome.claim, outcome]));
  return meant.flatMap(({ claim }) => outcomes.get(claim) ?? []);
}

async function told(o: ClaimsRun, work: () => Promise<ClaimOutcome>): Promise<ClaimOutcome[]> {
  const outcome = await work();
  o.onOutcome?.(outcome);
  return [outcome];
}

function outcomeOf({ claim, status, error }: LeftClaim): ClaimOutcome {
  return { claim, status: status === 'skipped' ? 'skipped' : 'failed', error };
}

function roomsOf({ source, usedOn, storageClass }: ReadyClaim, limits: RunLimits): Room[] {
  const rooms: readonly [string, string | undefined, number | undefined][] = [
    ['node', usedOn, limits.perNode],
    ['storage class', source.storageClassName ?? storageClass, limits.perStorageClass],
    ['driver', source.driver, limits.perDriver],
  ];
  const others = rooms.flatMap(([kind, name, limit]) =>
    name === undefined || limit === undefined ? [] : [{ key: `${kind} ${name}`, limit }],
  );
  return [allClaims(limits), ...others];
}

function allClaims({ claims }: RunLimits): Room {
  return { key: 'all claims', limit: claims };
}

async function backUp(cluster: Cluster, planned: ReadyClaim, o: ClaimsRun): Promise<ClaimOutcome> {
  const { claim } = planned;
  const done = await withRetries(claim, o, () => backupClaim(cluster, optionsOf(planned, o)));
  return 'error' in done ? failureOf(claim, done.error) : doneOf(claim, done.value);
}

/**
 * The cut of a group takes one place, whatever its size, and its claims then go first, each within the limits. One that
 * fails after the cut is not tried again: a copy from another instant would not be of the group.
 */
async function backUpGroup(
  cluster: Cluster,
  group: CutGroup,
  claims: readonly ReadyClaim[],
  o: ClaimsRun,
  rooms: Rooms,
): Promise<ClaimOutcome[]> {
  const options = claims.map((claim) => optionsOf(claim, o));
  const cutting = () => withRetries(`group ${group.name}`, o, () => cutGroup(cluster, group, options));
  const cut = await rooms.within([allClaims(o.limits)], cutting);
  if ('error' in cut) {
    const all = claims.map(({ claim }) => told(o, async () => failureOf(claim, cut.error)));
    return (await Promise.all(all)).flat();
  }
  try {
    const works = cut.value.members.map((member) =>
      rooms.within(roomsOf(member.planned, o.limits), () => told(o, () => finish(member, o)), 'first'),
    );
    return (await allEnded(works)).flat();
  } finally {
    await closeGroup(group, cut.value, o);
  }
}

async function finish(member: CutMember, { common }: ClaimsRun): Promise<ClaimOutcome> {
  const { claim } = member.planned;
  try {
    return doneOf(claim, await member.finish());
  } catch (error) {
    common.signal?.throwIfAborted();
    if (!isHoldfastError(error)) throw error;
    return failureOf(claim, error);
  }
}

async function closeGroup(group: CutGroup, run: GroupRun, { common }: ClaimsRun): Promise<void> {
  try {
    await run.close();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const message = `could not remove everything of this run, the next one will: ${error.message}`;
    common.onEvent?.({ claim: `group ${group.name}`, phase: 'warning', message });
  }
}

function optionsOf(planned: ReadyClaim, o: ClaimsRun): ClaimBackupRun {
  const { namespace = '', name } = planned.source.claim.metadata;
  return { ...o.common, namespace, claim: name, planned };
}

/** Tries again what may pass, as often as the limits allow. Throws the signal's reason, and bugs. */
async function withRetries<T>(
  title: string,
  { common, limits }: ClaimsRun,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly error: HoldfastError }> {
  const { signal, onEvent, clock = systemClock } = common;
  for (let left = limits.retries; ; left--) {
    signal?.throwIfAborted();
    try {
      return { value: await work() };
    } catch (error) {
      signal?.throwIfAborted();
      if (!isHoldfastError(error)) throw error;
      if (left === 0 || !mayPass(error)) return { error };
      onEvent?.({
        claim: title,
        phase: 'retry',
        message: `tries again in ${RETRY_AFTER_MS / 1000} s: ${error.message}`,
      });
      await clock.sleep(RETRY_AFTER_MS, signal);
    }
  }
}

function doneOf(claim: string, result: ClaimBackupResult): ClaimOutcome {
  return { claim, status: result.state === 'complete' ? 'done' : 'incomplete', result };
}

function failureOf(claim: string, error: HoldfastError): ClaimOutcome {
  return { claim, status: isNothingLeft(error) ? 'skipped' : 'failed', error };
}

/** Another run of the claim that is at work was watched for a minute already. */
function mayPass(error: HoldfastError): boolean {
  if (error.code === 'GROUP_NOT_CUT' && isHoldfastError(error.cause)) return mayPass(error.cause);
  return error.retryable && error.code !== 'BACKUP_RUNNING';
}

/** A claim that was deleted since the plan has nothing to back up. */
function isNothingLeft(error: HoldfastError): boolean {
  return error.code === 'CLAIM_NOT_FOUND';
}
