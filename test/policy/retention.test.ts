import { expect, test } from 'vitest';
import { parseSpan } from '../../src/policy/calendar-span.ts';
import {
  applyRetention,
  hasAllTags,
  isEmptyPolicy,
  type RetentionItem,
  type RetentionPolicy,
} from '../../src/policy/retention.ts';

const nowNs = BigInt(Date.UTC(2026, 10, 22)) * 1_000_000n;

function item(time: string, ...tags: string[]): RetentionItem {
  const offset = /([+-])(\d\d):(\d\d)$/.exec(time);
  const seconds = offset ? (Number(offset[2]) * 3600 + Number(offset[3]) * 60) * (offset[1] === '-' ? -1 : 1) : 0;
  return { id: time, timeNs: BigInt(Date.parse(time)) * 1_000_000n, offsetSeconds: seconds, tags };
}

function keptBy(policy: RetentionPolicy, ...times: (string | RetentionItem)[]): string[] {
  const items = times.map((time) => (typeof time === 'string' ? item(time) : time));
  return applyRetention(items, policy, nowNs)
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ item: { id }, reasons }) => `${id} ${reasons.join('; ')}`);
}

test('the newest of each hour, day, week, month and year is the one that is kept', () => {
  const times = ['2026-01-01T09:00:00Z', '2026-01-01T10:10:00Z', '2026-01-01T10:50:00Z', '2026-01-02T00:00:00Z'];
  expect(keptBy({ hourly: 2 }, ...times)).toEqual([
    '2026-01-02T00:00:00Z hourly snapshot',
    '2026-01-01T10:50:00Z hourly snapshot',
  ]);
  expect(keptBy({ daily: 2 }, ...times)).toEqual([
    '2026-01-02T00:00:00Z daily snapshot',
    '2026-01-01T10:50:00Z daily snapshot',
  ]);
  expect(keptBy({ last: 1 }, ...times)).toEqual(['2026-01-02T00:00:00Z last snapshot']);
});

test('a rule that still has room keeps the oldest snapshot, and says so', () => {
  expect(keptBy({ yearly: 2 }, '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z')).toEqual([
    '2026-03-01T00:00:00Z yearly snapshot',
    '2026-01-01T00:00:00Z oldest yearly snapshot',
  ]);
  expect(keptBy({ yearly: 1 }, '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z')).toHaveLength(1);
});

test('weeks are those of ISO 8601', () => {
  const times = [
    '2020-12-28T00:00:00Z',
    '2021-01-03T23:59:59Z',
    '2021-01-04T00:00:00Z',
    '2024-12-29T00:00:00Z',
    '2024-12-30T00:00:00Z',
  ];
  expect(keptBy({ weekly: 10 }, ...times, '2019-01-01T00:00:00Z').map((line) => line.slice(0, 10))).toEqual([
    '2024-12-30',
    '2024-12-29',
    '2021-01-04',
    '2021-01-03',
    '2019-01-01',
  ]);
});

test('days begin at midnight of the zone that each snapshot carries', () => {
  const times = ['2026-03-01T23:30:00+02:00', '2026-03-02T00:30:00+02:00'];
  expect(keptBy({ daily: 5 }, ...times)).toHaveLength(2);
  const same = ['2026-03-01T21:30:00Z', '2026-03-01T22:30:00Z', '2026-02-01T00:00:00Z'];
  expect(keptBy({ daily: 5 }, ...same)).toHaveLength(2);
});

test('a span counts back from the newest snapshot, its end excluded', () => {
  const times = ['2026-01-08T00:00:00Z', '2026-01-01T00:00:01Z', '2026-01-01T00:00:00Z'];
  expect(keptBy({ within: parseSpan('7d') }, ...times)).toEqual([
    '2026-01-08T00:00:00Z within 7d',
    '2026-01-01T00:00:01Z within 7d',
  ]);
});

test('a span of months counts in the calendar, and runs over where a month is short', () => {
  const within = parseSpan('1m');
  expect(keptBy({ within }, '2025-03-31T00:00:00Z', '2025-03-03T00:00:01Z', '2025-03-03T00:00:00Z')).toHaveLength(2);
  expect(keptBy({ within }, '2024-03-31T00:00:00Z', '2024-03-02T00:00:01Z', '2024-03-02T00:00:00Z')).toHaveLength(2);
});

test('a snapshot from the future does not move the span; when all are from there, all are within', () => {
  const within = parseSpan('1d');
  expect(
    keptBy({ within }, '2030-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-01T12:00:00Z', '2025-01-01T00:00:00Z'),
  ).toHaveLength(3);
  expect(keptBy({ within }, '2030-01-01T00:00:00Z', '2028-01-01T00:00:00Z')).toHaveLength(2);
});

test('one an hour, day, week, month or year within a span is kept, without a limit to their number', () => {
  const times = ['2026-01-10T12:00:00Z', '2026-01-10T11:00:00Z', '2026-01-09T12:00:00Z', '2026-01-01T00:00:00Z'];
  expect(keptBy({ withinDaily: parseSpan('2d') }, ...times)).toEqual([
    '2026-01-10T12:00:00Z daily within 2d',
    '2026-01-09T12:00:00Z daily within 2d',
  ]);
  expect(keptBy({ withinYearly: parseSpan('1y') }, ...times)).toEqual([
    '2026-01-10T12:00:00Z yearly within 1y',
    '2026-01-01T00:00:00Z oldest yearly within 1y',
  ]);
});

test('an unlimited rule keeps one of each of its periods, however many', () => {
  const times = Array.from({ length: 60 }, (_, year) => `${1960 + year}-06-01T00:00:00Z`);
  expect(keptBy({ yearly: -1 }, ...times)).toHaveLength(60);
  expect(keptBy({ last: -1 }, ...times)).toHaveLength(60);
});

test('all tags of a list must be there; an empty one asks for no tags', () => {
  const items = [
    item('2026-01-01T00:00:00Z', 'a', 'b'),
    item('2026-01-02T00:00:00Z', 'a'),
    item('2026-01-03T00:00:00Z'),
  ];
  expect(keptBy({ tags: [['b', 'a']] }, ...items)).toEqual(['2026-01-01T00:00:00Z has tags [b, a]']);
  expect(keptBy({ tags: [['a'], ['b']] }, ...items)).toEqual([
    '2026-01-02T00:00:00Z has tags [a]',
    '2026-01-01T00:00:00Z has tags [a]; has tags [b]',
  ]);
  expect(keptBy({ tags: [['']] }, ...items)).toEqual(['2026-01-03T00:00:00Z has tags []']);
  expect(hasAllTags(['a'], ['', 'a'])).toBe(false);
  expect(hasAllTags([], ['', 'a'])).toBe(true);
});

test('several reasons stand in the order of the rules', () => {
  const policy = {
    last: 1,
    hourly: 1,
    yearly: 1,
    within: parseSpan('1d'),
    withinMonthly: parseSpan('1m'),
    tags: [['t']],
  };
  expect(keptBy(policy, item('2026-01-01T00:00:00Z', 't'))).toEqual([
    '2026-01-01T00:00:00Z has tags [t]; within 1d; last snapshot; hourly snapshot; yearly snapshot; monthly within 1m',
  ]);
});

test('a policy without any rule is empty, whatever zeros it has', () => {
  expect(isEmptyPolicy({})).toBe(true);
  expect(isEmptyPolicy({ last: 0, tags: [], within: parseSpan('0d') })).toBe(true);
  expect(isEmptyPolicy({ withinDaily: parseSpan('1d') })).toBe(false);
  expect(isEmptyPolicy({ last: -1 })).toBe(false);
});

test.each([-2, 1.5, Number.NaN])('%d is no number of backups', (last) => {
  expect(() => applyRetention([], { last }, nowNs)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
});

test.each(['', '7', '7w', '-1d', '1d ', 'd', '1.5h'])('"%s" is no span', (text) => {
  expect(() => parseSpan(text)).toThrow(expect.objectContaining({ code: 'POLICY_INVALID' }));
});
