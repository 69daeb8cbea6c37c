/**
 * restic's own forty policies over its own list of snapshots, from the golden files of its source. On request only, as
 * they are not ours: RESTIC_SOURCE=<folder> is a checkout of restic.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseSpan } from '../../src/policy/calendar-span.ts';
import { applyRetention, type RetentionPolicy } from '../../src/policy/retention.ts';
import { parseTime } from '../../src/repository/format/time.ts';
import { describeWith } from '../setup/needs.ts';

const long = parseSpan('1y2m3d3h');
const within = (...spans: string[]): RetentionPolicy[] => spans.map((span) => ({ within: parseSpan(span) }));

/** In the order of the golden files. */
const policies: readonly RetentionPolicy[] = [
  {},
  ...[10, 15, 99, 200].map((last) => ({ last })),
  { hourly: 20 },
  ...[3, 10, 30].map((daily) => ({ daily })),
  { last: 5, daily: 5 },
  { last: 2, daily: 10 },
  { weekly: 2 },
  { weekly: 4 },
  { daily: 3, weekly: 4 },
  { monthly: 6 },
  { daily: 2, weekly: 2, monthly: 6 },
  { yearly: 10 },
  { daily: 7, weekly: 2, monthly: 3, yearly: 10 },
  { tags: [['foo']] },
  { tags: [['foo', 'bar']] },
  { tags: [['foo'], ['bar']] },
  ...within('1d', '2d', '7d', '1m', '1m14d', '1y1d1m', '13d23h', '2m2h', '1y2m3d3h'),
  { withinHourly: long },
  { withinDaily: long },
  { withinWeekly: long },
  { withinMonthly: long },
  { withinYearly: long },
  {
    within: parseSpan('1h'),
    withinHourly: parseSpan('1d'),
    withinDaily: parseSpan('7d'),
    withinWeekly: parseSpan('1m'),
    withinMonthly: parseSpan('1y'),
    withinYearly: parseSpan('9999y'),
  },
  { last: -1 },
  { last: -1, hourly: -1 },
  { hourly: -1 },
  { daily: 3, weekly: 2, monthly: -1, yearly: -1 },
];
/** Keeps all, so that its golden file has the whole list. */
const keepsAll = 36;

interface GoldenSnapshot {
  readonly time: string;
  readonly tags?: readonly string[];
}

interface Golden {
  readonly keep: readonly GoldenSnapshot[] | null;
  readonly reasons: readonly { readonly matches: readonly string[] }[] | null;
}

function golden(number: number): Golden {
  const folder = join(process.env.RESTIC_SOURCE ?? '', 'internal/data/testdata');
  return JSON.parse(readFileSync(join(folder, `policy_keep_snapshots_${number}`), 'utf8'));
}

describeWith('restic-source', "restic's golden policies", () => {
  test('keep what restic keeps, for the same reasons', () => {
    expect(policies).toHaveLength(40);
    const items = (golden(keepsAll).keep ?? []).map(({ time, tags = [] }, at) => ({
      id: `${at} ${time}`,
      timeNs: parseTime(time) ?? 0n,
      offsetSeconds: 0,
      tags,
    }));
    expect(items).toHaveLength(103);
    const counts: number[] = [];
    for (const [number, policy] of policies.entries()) {
      const { keep, reasons } = golden(number);
      const kept = applyRetention(items, policy, BigInt(Date.UTC(2026, 10, 22)) * 1_000_000n).filter(
        (one) => one.reasons.length > 0,
      );
      const expected = (keep ?? []).map(({ time }, at) => [parseTime(time), reasons?.[at]?.matches]);
      expect(
        kept.map((one) => [one.item.timeNs, one.reasons]),
        `policy ${number}`,
      ).toEqual(expected);
      counts.push(kept.length);
    }
    const known = {
      0: 0,
      1: 10,
      3: 99,
      5: 20,
      8: 30,
      11: 2,
      16: 4,
      17: 11,
      18: 18,
      20: 19,
      21: 1,
      30: 57,
      35: 10,
      36: 103,
      38: 90,
      39: 12,
    };
    expect(Object.fromEntries(Object.keys(known).map((number) => [number, counts[Number(number)]]))).toEqual(known);
  });
});
