import { expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/base/units.ts';

test.each([
  ['0', 0],
  ['100', 100],
  ['200Mi', 200 * 1024 ** 2],
  ['16 MiB', 16 * 1024 ** 2],
  ['1.5G', 1_500_000_000],
  ['1k', 1000],
  ['1K', 1000],
  ['1Ki', 1024],
  ['2TiB', 2 * 1024 ** 4],
  ['0.3Ki', 308],
  [' 5MB ', 5_000_000],
])('the size %j is %d bytes', (text, sizeBytes) => {
  expect(parseSize(text)).toBe(sizeBytes);
});

test.each(['', 'Mi', '-1', '1.', '5X', '1e9', '1i', '10 m', '99999P', '1,5G'])('%j is no size', (text) => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536 * 1024 ** 2, '1.5 GiB'],
  [1024 ** 3 - 1, '1.0 GiB'],
  [2 ** 53, '8.0 PiB'],
])('%d bytes are printed as %s', (sizeBytes, text) => {
  expect(formatSize(sizeBytes)).toBe(text);
});

test.each([
  ['0', 0],
  ['30s', 30_000],
  ['5m', 300_000],
  ['250ms', 250],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
  ['1w', 604_800_000],
  ['1.5h', 5_400_000],
])('the duration %j is %d ms', (text, durationMs) => {
  expect(parseDuration(text)).toBe(durationMs);
});

test.each(['', '5', 's', '5x', '1h 30m', '-5s', '1s1s', '1h30'])('%j is no duration', (text) => {
  expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [4200, '4.2s'],
  [9999, '10s'],
  [60_000, '1m'],
  [192_000, '3m12s'],
  [3_600_000, '1h'],
  [3_605_000, '1h'],
  [7_500_000, '2h5m'],
  [273_600_000, '3d4h'],
])('%d ms are printed as %s', (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});
