/** Forgetting: which snapshots the rules let go, as a plan, and then removing them. Data goes with prune, later. */
import { type Clock, systemClock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { applyRetention, isEmptyPolicy, type RetentionItem, type RetentionPolicy } from '../policy/retention.ts';
import { applyFloor, type RetentionFloor } from '../policy/retention-floor.ts';
import { refuseAppendOnly } from './append-only.ts';
import { isInStorage } from './claim-layout.ts';
import { encodeSnapshot, type StoredSnapshot } from './format/snapshot.ts';
import { parseTime, parseTimeOffset } from './format/time.ts';
import { sweepRecords } from './ledger/sweep.ts';
import type { Repository } from './repository.ts';
import { isLedger, matchesFilter, type SnapshotFilter, timeOf } from './snapshots.ts';

/** What snapshots of one group have in common. */
export type GroupKey = 'host' | 'paths' | 'tags';

export interface ForgetOptions {
  /** Default host and paths; an empty list makes one group of all. */
  readonly groupBy?: readonly GroupKey[];
  /** Only these are looked at. */
  readonly filter?: SnapshotFilter;
  readonly nowMs: number;
  /** What is kept whatever the policy says. Without it, the rules act exactly as restic's. */
  readonly floor?: Omit<RetentionFloor, 'nowNs'>;
  /** By backup why it stays until somebody releases it. */
  readonly held?: ReadonlyMap<string, readonly string[]>;
}

export interface KeptSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly reasons: readonly string[];
}

export interface ForgetGroup {
  /** '' and [] where the snapshots were not grouped by it. */
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  /** Newest first, both. */
  readonly keep: readonly KeptSnapshot[];
  readonly remove: readonly StoredSnapshot[];
}

export interface ForgetPlan {
  readonly groups: readonly ForgetGroup[];
}

export interface ForgetResult {
  readonly removed: readonly string[];
  readonly errors: readonly { readonly id: string; readonly message: string }[];
  /** Records of Holdfast's own that were about these backups alone. */
  readonly records: readonly string[];
}

const removalsAtOnce = 8;
const defaultGrouping: readonly GroupKey[] = ['host', 'paths'];

interface Candidate extends RetentionItem {
  readonly snapshot: StoredSnapshot;
}

/**
 * Applies a policy to each group of snapshots. Ledger entries are never touched.
 * Throws POLICY_EMPTY without any rule, FORGET_REFUSED when the rules would keep nothing of a group.
 */
export function planForget(
  snapshots: readonly StoredSnapshot[],
  policy: RetentionPolicy,
  options: ForgetOptions,
): ForgetPlan {
  if (isEmptyPolicy(policy)) throw new HoldfastError('POLICY_EMPTY');
  const wanted = snapshots.filter((snapshot) => !isLedger(snapshot) && matchesFilter(snapshot, options.filter ?? {}));
  const groups = groupSnapshots(wanted, options.groupBy ?? defaultGrouping);
  return { groups: groups.map((group) => planGroup(group, policy, options)) };
}

/** A plan that removes exactly these snapshots, whatever any policy says. */
export function planRemoval(snapshots: readonly StoredSnapshot[]): ForgetPlan {
  return { groups: [{ host: '', paths: [], tags: [], keep: [], remove: snapshots }] };
}

/**
 * Removes what the plan lets go, then the records that were about it alone. What could not be removed is in the result;
 * the rest is done. Throws REPOSITORY_APPEND_ONLY.
 */
export async function executeForget(
  repository: Repository,
  plan: ForgetPlan,
  options: {
    readonly signal?: AbortSignal;
    readonly clock?: Clock;
    /** Removes what a backup has outside of the repository; its own snapshot file goes only after that. */
    readonly release?: (snapshot: StoredSnapshot) => Promise<void>;
  } = {},
): Promise<ForgetResult> {
  const removed: string[] = [];
  const errors: { id: string; message: string }[] = [];
  const { release = refuseKept } = options;
  const doomed = plan.groups.flatMap(({ remove }) => remove);
  if (doomed.length > 0) refuseAppendOnly(repository, 'nothing may be removed');
  await mapLimited(doomed, removalsAtOnce, async (snapshot) => {
    options.signal?.throwIfAborted();
    const { id } = snapshot;
    try {
      await release(snapshot);
      await repository.store.remove('snapshots', id);
      removed.push(id);
    } catch (error) {
      errors.push({ id, message: messageOf(error) });
    }
  });
  const { signal, clock = systemClock } = options;
  const sweeping = { nowMs: clock.nowMs(), ...(signal === undefined ? {} : { signal }) };
  return { removed, errors, records: removed.length === 0 ? [] : await sweepRecords(repository, sweeping) };
}

/** Without its recipe nobody would find such a snapshot again. */
async function refuseKept(snapshot: StoredSnapshot): Promise<void> {
  if (isInStorage(snapshot)) throw new HoldfastError('KEPT_SNAPSHOT_STAYS', { backup: snapshot.id.slice(0, 8) });
}

/** The plan in the shape that `restic forget --json` prints. */
export function forgetJson(plan: ForgetPlan): unknown[] {
  return plan.groups.map(({ host, paths, tags, keep, remove }) => ({
    tags: tags.length > 0 ? tags : null,
    host,
    paths: paths.length > 0 ? paths : null,
    keep: keep.map(({ snapshot }) => snapshotJson(snapshot)),
    remove: remove.length > 0 ? remove.map(snapshotJson) : null,
    reasons: keep.map(({ snapshot, reasons }) => ({ snapshot: snapshotJson(snapshot), matches: reasons })),
  }));
}

/** As it is stored, then its id. */
function snapshotJson(snapshot: StoredSnapshot): unknown {
  const stored: Record<string, unknown> = JSON.parse(encodeSnapshot(snapshot).toString());
  return { ...stored, id: snapshot.id, short_id: snapshot.id.slice(0, 8) };
}

function planGroup(group: Group, policy: RetentionPolicy, options: ForgetOptions): ForgetGroup {
  const nowNs = BigInt(options.nowMs) * 1_000_000n;
  const { floor } = options;
  const items = group.snapshots.map(candidateOf);
  const retained = floor ? applyFloor(items, policy, { ...floor, nowNs }) : applyRetention(items, policy, nowNs);
  const keep: KeptSnapshot[] = [];
  const remove: StoredSnapshot[] = [];
  for (const { item, reasons } of retained) {
    const held = (options.held?.get(item.id) ?? []).map((reason) => `held: ${reason}`);
    const all = [...reasons, ...held, ...deleteMarkReasons(item.snapshot, nowNs)];
    if (all.length > 0) keep.push({ snapshot: item.snapshot, reasons: all });
    else remove.push(item.snapshot);
  }
  if (keep.length === 0) throw new HoldfastError('FORGET_REFUSED', { group: describeGroup(group) });
  return { host: group.host, paths: group.paths, tags: group.tags, keep, remove };
}

/** rustic lets a snapshot be marked against removal. */
function deleteMarkReasons({ delete: mark }: StoredSnapshot, nowNs: bigint): string[] {
  if (mark === undefined || mark === 'NotSet') return [];
  if (mark === 'Never') return ['marked never to be deleted'];
  const afterNs = parseTime(mark.After);
  return afterNs === undefined || afterNs > nowNs ? [`marked not to be deleted before ${mark.After}`] : [];
}

function candidateOf(snapshot: StoredSnapshot): Candidate {
  return {
    id: snapshot.id,
    timeNs: timeOf(snapshot),
    offsetSeconds: parseTimeOffset(snapshot.time) ?? 0,
    tags: snapshot.tags ?? [],
    snapshot,
  };
}

interface Group {
  readonly host: string;
  readonly paths: readonly string[];
  readonly tags: readonly string[];
  readonly snapshots: StoredSnapshot[];
}

function groupSnapshots(snapshots: readonly StoredSnapshot[], by: readonly GroupKey[]): Group[] {
  const groups = new Map<string, Group>();
  for (const snapshot of snapshots) {
    const host = by.includes('host') ? (snapshot.hostname ?? '') : '';
    const paths = by.includes('paths') ? [...snapshot.paths].sort() : [];
    const tags = by.includes('tags') ? [...(snapshot.tags ?? [])].sort() : [];
    const key = JSON.stringify([host, paths, tags]);
    const group = groups.get(key) ?? { host, paths, tags, snapshots: [] };
    group.snapshots.push(snapshot);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function describeGroup({ host, paths, tags }: Group): string {
  const parts = [host && `host ${host}`, paths.length > 0 && `paths ${paths.join(', ')}`];
  return [...parts, tags.length > 0 && `tags ${tags.join(', ')}`].filter(Boolean).join(', ') || 'all backups';
}
