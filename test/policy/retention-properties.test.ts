/** What rules of retention promise, whatever the rules and the backups. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { formatSpan, parseSpan } from '../../src/policy/calendar-span.ts';
import { applyRetention, isEmptyPolicy, type RetentionItem, type RetentionPolicy } from '../../src/policy/retention.ts';
import { applyFloor, isComplete } from '../../src/policy/retention-floor.ts';
import { holds } from '../setup/properties.ts';

const nowNs = BigInt(Date.UTC(2026, 10, 22)) * 1_000_000n;
const dayNs = 86_400_000_000_000n;

const tag = fc.constantFrom('red', 'blue', 'state=incomplete');
/** Of five years, close together at times, the future too; no two at the same instant, as their order would be chance. */
const items: fc.Arbitrary<RetentionItem[]> = fc
  .uniqueArray(fc.bigInt({ min: nowNs - 1800n * dayNs, max: nowNs + 3n * dayNs }), { maxLength: 30 })
  .chain((times) =>
    fc.tuple(
      ...times.map((timeNs) =>
        fc.record({
          id: fc.constant(String(timeNs)),
          timeNs: fc.constant(timeNs),
          offsetSeconds: fc.constantFrom(0, 7200, -27_000),
          tags: fc.uniqueArray(tag, { maxLength: 2 }),
        }),
      ),
    ),
  );

const count = fc.integer({ min: -1, max: 12 });
const span = fc
  .record({ years: fc.nat(2), months: fc.nat(14), days: fc.nat(40), hours: fc.nat(50) })
  .filter((one) => formatSpan(one) !== '');
const rules = {
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
  within: span,
  withinHourly: span,
  withinDaily: span,
  withinWeekly: span,
  withinMonthly: span,
  withinYearly: span,
  tags: fc.array(fc.uniqueArray(tag, { minLength: 1, maxLength: 2 }), { maxLength: 2 }),
};
const policy = fc.record(rules, { requiredKeys: [] }) as fc.Arbitrary<RetentionPolicy>;

function keptBy(list: readonly RetentionItem[], one: RetentionPolicy): Map<string, readonly string[]> {
  const kept = applyRetention(list, one, nowNs).filter(({ reasons }) => reasons.length > 0);
  return new Map(kept.map(({ item, reasons }) => [item.id, reasons]));
}

test('every backup is judged once, newest first, and the order in which they are given is of no account', () => {
  holds(
    fc.property(
      items.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      policy,
      ([list, shuffled], one) => {
        const judged = applyRetention(list, one, nowNs);
        expect(judged.map(({ item }) => item.id)).toEqual(
          list.toSorted((a, b) => (a.timeNs > b.timeNs ? -1 : 1)).map(({ id }) => id),
        );
        expect(applyRetention(shuffled, one, nowNs)).toEqual(judged);
      },
    ),
  );
});

test('keep-last n keeps the n newest, and no rule keeps more than it has a number for', () => {
  holds(
    fc.property(
      items,
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom('hourly', 'daily', 'weekly', 'monthly', 'yearly'),
      (list, n, rule) => {
        const newest = list.toSorted((a, b) => (a.timeNs > b.timeNs ? -1 : 1)).slice(0, n);
        expect([...keptBy(list, { last: n }).keys()]).toEqual(newest.map(({ id }) => id));
        expect(keptBy(list, { [rule]: n }).size).toBeLessThanOrEqual(Math.min(n, list.length));
        if (list.length > 0) expect(keptBy(list, { [rule]: n }).has(newest[0]?.id ?? '')).toBe(true);
      },
    ),
  );
});

test('one more rule, or a larger number, never lets go of what was kept', () => {
  holds(
    fc.property(items, policy, policy, fc.nat(5), (list, one, other, more) => {
      const kept = keptBy(list, one);
      const added = keptBy(list, { ...other, ...one });
      for (const [id, reasons] of kept) expect(added.get(id)).toEqual(expect.arrayContaining([...reasons]));
      const counted = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
      const raised = counted.filter((name) => (one[name] ?? -1) >= 0).map((name) => [name, (one[name] ?? 0) + more]);
      // The oldest one is kept while a rule has room, and a higher number may use that room for a real period.
      const larger = keptBy(list, { ...one, ...Object.fromEntries(raised) });
      for (const id of kept.keys()) expect(larger.has(id)).toBe(true);
    }),
  );
});

test('without any rule nothing is kept, and what is kept has a reason of a rule that is there', () => {
  holds(
    fc.property(items, policy, (list, one) => {
      const kept = keptBy(list, one);
      if (isEmptyPolicy(one)) expect(kept.size).toBe(0);
      for (const reasons of kept.values()) {
        for (const reason of reasons) {
          const [, rule = ''] = /^(?:oldest )?(last|hourly|daily|weekly|monthly|yearly) snapshot$/.exec(reason) ?? [];
          const [, window = ''] = /^(?:oldest )?(hourly|daily|weekly|monthly|yearly) within /.exec(reason) ?? [];
          if (rule !== '') expect(one[rule as 'last']).not.toBe(0);
          else if (window !== '')
            expect(Object.keys(one)).toContain(`within${window[0]?.toUpperCase()}${window.slice(1)}`);
          else expect(reason).toMatch(/^(within \d|has tags \[)/);
        }
      }
    }),
  );
});

test('with a floor the newest complete backup always stays, and whatever is young', () => {
  const ageMs = 36 * 3_600_000;
  holds(
    fc.property(items, policy, fc.integer({ min: 1, max: 4 }), (list, one, minimumCount) => {
      const judged = applyFloor(list, one, { nowNs, minimumCount, minimumAgeMs: ageMs });
      const gone = judged.filter(({ reasons }) => reasons.length === 0).map(({ item }) => item);
      const complete = list.filter(isComplete).toSorted((a, b) => (a.timeNs > b.timeNs ? -1 : 1));
      for (const item of complete.slice(0, minimumCount)) expect(gone).not.toContain(item);
      for (const item of gone) expect(nowNs - item.timeNs).toBeGreaterThanOrEqual(BigInt(ageMs) * 1_000_000n);
    }),
  );
});

test('a span reads back as it was written, and other text is refused by its code', () => {
  holds(
    fc.property(span, fc.string(), (one, other) => {
      expect(parseSpan(formatSpan(one))).toEqual(one);
      try {
        expect(other).toMatch(/^(\d+[ymdh])+$/);
        parseSpan(other);
      } catch (error) {
        if (/^(\d+[ymdh])+$/.test(other)) throw error;
        expect(() => parseSpan(other)).toThrow(HoldfastError);
      }
    }),
  );
});
