import { expect, test } from 'vitest';
import { formatQuantity, parseQuantity } from '../../src/base/quantity.ts';

test.each([
  ['200Mi', 209_715_200],
  ['1.5Gi', 1_610_612_736],
  ['1e3', 1000],
  ['1.5e3', 1500],
  ['1E', 1e18],
  ['12E2', 1200],
  ['500M', 500_000_000],
  ['2k', 2000],
  ['100m', 1],
  ['1500m', 2],
  ['0.1', 1],
  ['.5Ki', 512],
  ['+5', 5],
  ['0', 0],
  [1073741824, 1_073_741_824],
])('the quantity %s is %d bytes', (quantity, bytes) => {
  expect(parseQuantity(quantity)).toBe(bytes);
});

test.each(['', 'Gi', '1KiB', '-1', '1 Gi', '1e', 'one'])('"%s" is no size', (quantity) => {
  expect(parseQuantity(quantity)).toBeUndefined();
});

test.each([
  [209_715_200, '200Mi'],
  [1_610_612_736, '1536Mi'],
  [1000, '1000'],
  [0, '0'],
  [2 ** 40, '1Ti'],
])('%d bytes are written as %s', (bytes, quantity) => {
  expect(formatQuantity(bytes)).toBe(quantity);
  expect(parseQuantity(quantity)).toBe(bytes);
});
