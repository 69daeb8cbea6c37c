/**
 * Which backups a retention policy keeps: restic's rules to the letter (restic format v2, "forget policy"), over the
 * backups of one group. Pure: what is kept depends on the arguments alone.
 */
import { HoldfastError } from '../base/errors.ts';
import { type CalendarSpan, formatSpan, isZeroSpan, minusSpan } from './calendar-span.ts';

/** How many snapshots each rule keeps; -1 is without limit. Rules add up: one that keeps a snapshot is enough. */
export interface RetentionPolicy {
  readonly last?: number;
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
  /** Spans back from the newest snapshot, in which all are kept … */
  readonly within?: CalendarSpan;
  /** … or one an hour, a day, and so on. */
  readonly withinHourly?: CalendarSpan;
  readonly withinDaily?: CalendarSpan;
  readonly withinWeekly?: CalendarSpan;
  readonly withinMonthly?: CalendarSpan;
  readonly withinYearly?: CalendarSpan;
  /** Snapshots with all tags of any of these lists are kept; a list of only '' stands for those without tags. */
  readonly tags?: readonly (readonly string[])[];
}

/** What the rules look at in a snapshot. */
export interface RetentionItem {
  readonly id: string;
  readonly timeNs: bigint;
  /** The zone that its time is written in: days and weeks begin at its midnight. */
  readonly offsetSeconds: number;
  readonly tags: readonly string[];
}

export interface Retained<Item> {
  readonly item: Item;
  /** Why it is kept, in restic's words; empty: it goes. */
  readonly reasons: readonly string[];
}

interface Bucket {
  readonly name: string;
  readonly valueIn: (item: RetentionItem, position: number) => number;
  /** How many it still keeps; -1 without limit. */
  left: number;
  /** Where it ends, for buckets that are bounded by time instead of number. */
  readonly within?: CalendarSpan;
  last: number;
}

const unlimited = -1;

/** Whether no rule is given at all. */
export function isEmptyPolicy(policy: RetentionPolicy): boolean {
  return countedBuckets(policy).length === 0 && spansOf(policy).length === 0 && (policy.tags ?? []).length === 0;
}

/** Each item with the reasons to keep it, newest first. `nowNs` decides what is in the future. Throws POLICY_INVALID. */
export function applyRetention<Item extends RetentionItem>(
  items: readonly Item[],
  policy: RetentionPolicy,
  nowNs: bigint,
): Retained<Item>[] {
  const sorted = newestFirst(items);
  const newest = sorted.find(({ timeNs }) => timeNs <= nowNs);
  const isWithin = (item: RetentionItem, span: CalendarSpan): boolean =>
    // With every snapshot in the future there is nothing to count back from, and all are within.
    newest === undefined || item.timeNs > minusSpan(newest, span);
  const buckets = countedBuckets(policy);
  const windows = bucketWindows(policy);
  return sorted.map((item, position) => {
    const isOldest = position === sorted.length - 1;
    const reasons = tagReasons(item, policy);
    if (policy.within && !isZeroSpan(policy.within) && isWithin(item, policy.within)) {
      reasons.push(`within ${formatSpan(policy.within)}`);
    }
    for (const bucket of buckets) {
      const match = bucket.left === 0 ? undefined : take(bucket, item, position, isOldest);
      if (match) reasons.push(`${match} snapshot`);
    }
    for (const window of windows) {
      const match = isWithin(item, window.within!) ? take(window, item, position, isOldest) : undefined;
      if (match) reasons.push(`${match} within ${formatSpan(window.within!)}`);
    }
    return { item, reasons };
  });
}

export function newestFirst<Item extends RetentionItem>(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => (a.timeNs === b.timeNs ? 0 : a.timeNs > b.timeNs ? -1 : 1));
}

/** Whether all wanted tags are among the own ones. An empty wanted tag fits only where there are no tags at all. */
export function hasAllTags(own: readonly string[], wanted: readonly string[]): boolean {
  for (const tag of wanted) {
    if (tag === '' && own.length === 0) return true;
    if (!own.includes(tag)) return false;
  }
  return true;
}

/** The name of the bucket where it keeps the item. The oldest snapshot is kept as long as a bucket has room. */
function take(bucket: Bucket, item: RetentionItem, position: number, isOldest: boolean): string | undefined {
  const value = bucket.valueIn(item, position);
  const isSame = value === bucket.last;
  if (isSame && !isOldest) return undefined;
  bucket.last = value;
  if (bucket.left > 0) bucket.left -= 1;
  return isSame ? `oldest ${bucket.name}` : bucket.name;
}

function tagReasons({ tags }: RetentionItem, policy: RetentionPolicy): string[] {
  const matching = (policy.tags ?? []).filter((wanted) => hasAllTags(tags, wanted));
  return matching.map((wanted) => `has tags [${wanted.join(', ')}]`);
}

function countedBuckets({ last, hourly, daily, weekly, monthly, yearly }: RetentionPolicy): Bucket[] {
  return [
    bucket('last', last, (_, position) => position),
    bucket('hourly', hourly, hourOf),
    bucket('daily', daily, dayOf),
    bucket('weekly', weekly, weekOf),
    bucket('monthly', monthly, monthOf),
    bucket('yearly', yearly, yearOf),
  ].filter(({ left }) => left !== 0);
}

function bucket(name: string, count: number | undefined, valueIn: Bucket['valueIn']): Bucket {
  const left = count ?? 0;
  if (!Number.isInteger(left) || left < unlimited) {
    throw new HoldfastError('POLICY_INVALID', { source: `keep ${name}`, problem: `${left} is no number of backups` });
  }
  return { name, valueIn, left, last: -1 };
}

function bucketWindows(policy: RetentionPolicy): Bucket[] {
  const { withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly } = policy;
  return [
    ...bucketWindow('hourly', withinHourly, hourOf),
    ...bucketWindow('daily', withinDaily, dayOf),
    ...bucketWindow('weekly', withinWeekly, weekOf),
    ...bucketWindow('monthly', withinMonthly, monthOf),
    ...bucketWindow('yearly', withinYearly, yearOf),
  ];
}

function bucketWindow(name: string, within: CalendarSpan | undefined, valueIn: Bucket['valueIn']): Bucket[] {
  return within && !isZeroSpan(within) ? [{ name, valueIn, left: unlimited, within, last: -1 }] : [];
}

function spansOf(policy: RetentionPolicy): CalendarSpan[] {
  const { within, withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly } = policy;
  return [within, withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly].filter(
    (span) => span !== undefined && !isZeroSpan(span),
  ) as CalendarSpan[];
}

/** A Date whose UTC fields are the local ones of the snapshot. */
function localDate({ timeNs, offsetSeconds }: RetentionItem): Date {
  return new Date(Math.floor(Number(timeNs / 1_000_000_000n)) * 1000 + offsetSeconds * 1000);
}

function yearOf(item: RetentionItem): number {
  return localDate(item).getUTCFullYear();
}

function monthOf(item: RetentionItem): number {
  return yearOf(item) * 100 + localDate(item).getUTCMonth() + 1;
}

function dayOf(item: RetentionItem): number {
  return monthOf(item) * 100 + localDate(item).getUTCDate();
}

function hourOf(item: RetentionItem): number {
  return dayOf(item) * 100 + localDate(item).getUTCHours();
}

/** ISO 8601: weeks begin on Monday, and belong to the year that has their Thursday. */
function weekOf(item: RetentionItem): number {
  const date = localDate(item);
  const weekday = (date.getUTCDay() + 6) % 7;
  date.setUTCDate(date.getUTCDate() - weekday + 3);
  const year = date.getUTCFullYear();
  const dayOfYear = (date.getTime() - Date.UTC(year, 0, 1)) / 86_400_000;
  return year * 100 + Math.floor(dayOfYear / 7) + 1;
}
