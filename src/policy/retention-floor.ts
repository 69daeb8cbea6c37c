/**
 * What is kept whatever the rules say. Only complete backups count: an incomplete one takes no place of a rule and
 * stands in for none of the floor.
 */
import { formatDuration } from '../base/units.ts';
import { applyRetention, newestFirst, type Retained, type RetentionItem, type RetentionPolicy } from './retention.ts';

export interface RetentionFloor {
  readonly nowNs: bigint;
  /** Nothing younger goes. */
  readonly minimumAgeMs?: number;
  /** So many of the newest complete backups stay. Default 1. */
  readonly minimumCount?: number;
  /** Those of which a restore was verified: the newest of them stays. */
  readonly verified?: ReadonlySet<string>;
  /** Their data was a CSI snapshot that is not there any more: worth as little as incomplete ones. */
  readonly gone?: ReadonlySet<string>;
}

const incompleteTag = 'state=incomplete';

/** Whether a backup has everything that it should have. */
export function isComplete({ tags }: Pick<RetentionItem, 'tags'>): boolean {
  return !tags.includes(incompleteTag);
}

/** As applyRetention, over the complete backups, and with the reasons of the floor. */
export function applyFloor<Item extends RetentionItem>(
  items: readonly Item[],
  policy: RetentionPolicy,
  floor: RetentionFloor,
): Retained<Item>[] {
  const { nowNs, minimumCount = 1, verified } = floor;
  const isWhole = (item: Item): boolean => isComplete(item) && floor.gone?.has(item.id) !== true;
  const complete = newestFirst(items.filter(isWhole));
  const byRules = new Map(applyRetention(complete, policy, nowNs).map(({ item, reasons }) => [item.id, reasons]));
  const lacking = items.filter((item) => !isWhole(item));
  const pending = pendingReasons(lacking, complete[0], policy, nowNs);
  const last = new Set(complete.slice(0, Math.max(1, minimumCount)).map(({ id }) => id));
  const lastVerified = complete.find(({ id }) => verified?.has(id))?.id;
  return newestFirst(items).map((item) => {
    const reasons = [...(byRules.get(item.id) ?? pending.get(item.id) ?? [])];
    if (last.has(item.id))
      reasons.push(last.size === 1 ? 'last complete backup' : `one of the last ${last.size} complete backups`);
    if (item.id === lastVerified) reasons.push('last verified backup');
    const { minimumAgeMs = 0 } = floor;
    const isYoung = nowNs - item.timeNs < BigInt(minimumAgeMs) * 1_000_000n;
    if (isYoung) reasons.push(`younger than ${formatDuration(minimumAgeMs)}`);
    return { item, reasons };
  });
}

/**
 * Incomplete backups are worth keeping while no complete one is newer: by the rules, among themselves, and the newest
 * always. The others go.
 */
function pendingReasons<Item extends RetentionItem>(
  items: readonly Item[],
  newest: Item | undefined,
  policy: RetentionPolicy,
  nowNs: bigint,
): Map<string, readonly string[]> {
  const isNewer = (item: Item): boolean => newest === undefined || item.timeNs > newest.timeNs;
  const pending = newestFirst(items.filter(isNewer));
  const retained = applyRetention(pending, policy, nowNs).map(({ item, reasons }, position) => {
    const noted = reasons.map((reason) => `${reason} (incomplete)`);
    return [item.id, position === 0 ? [...noted, 'newer than any complete backup'] : noted] as const;
  });
  return new Map(retained);
}
