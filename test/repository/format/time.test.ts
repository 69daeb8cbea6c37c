import { expect, test } from 'vitest';
import { formatTime, parseTime, parseTimeOffset, zeroTimeNs } from '../../../src/repository/format/time.ts';

const pairs: readonly [string, bigint][] = [
  ['1970-01-01T00:00:00Z', 0n],
  ['2014-08-08T10:20:30.123456789Z', 1_407_493_230_123_456_789n],
  ['2026-11-22T18:00:00.5Z', 1_795_370_400_500_000_000n],
  ['1969-12-31T23:59:59.999999999Z', -1n],
  ['2000-02-29T23:59:59.00000001Z', 951_868_799_000_000_010n],
  ['0001-01-01T00:00:00Z', zeroTimeNs],
  ['9999-12-31T23:59:59.999999999Z', 253_402_300_799_999_999_999n],
];

test.each(pairs)('%s is written and read without loss', (text, ns) => {
  expect(formatTime(ns)).toBe(text);
  expect(parseTime(text)).toBe(ns);
});

test('a year that JSON times cannot hold is held at the nearest one', () => {
  expect(formatTime(253_402_300_800_000_000_000n)).toBe('9999-01-01T00:00:00Z');
  expect(formatTime(-62_167_219_201_000_000_000n)).toBe('0000-12-31T23:59:59Z');
  expect(formatTime(9_223_372_036_854_775_807_000_000_000n)).toBe('9999-12-31T23:59:59Z');
});

test('times with an offset name the same instant, and the offset is known', () => {
  expect(parseTime('2014-08-08T12:20:30.123456789+02:00')).toBe(1_407_493_230_123_456_789n);
  expect(parseTimeOffset('2014-08-08T12:20:30+02:00')).toBe(7200);
  expect(parseTimeOffset('2014-08-08T12:20:30-09:30')).toBe(-34_200);
  expect(parseTimeOffset('2014-08-08T12:20:30Z')).toBe(0);
});

test.each([
  '',
  '2014-08-08',
  '2014-08-08T10:20:30',
  '2014-13-08T10:20:30Z',
  '2014-02-29T10:20:30Z',
  '2014-08-08T24:20:30Z',
  '2014-08-08T10:20:30.Z',
  '2014-08-08 10:20:30Z',
  '2014-08-08T10:20:30Zx',
  '2014-08-08T10:20:30+0200',
])('"%s" is no time', (text) => {
  expect(parseTime(text)).toBeUndefined();
});

test('times of all ages agree with Date', () => {
  for (let ms = -62_000_000_000_000; ms < 250_000_000_000_000; ms += 777_777_777_777) {
    const text = formatTime(BigInt(ms) * 1_000_000n);
    expect(Date.parse(text)).toBe(ms);
    expect(parseTime(text)).toBe(BigInt(ms) * 1_000_000n);
  }
});
