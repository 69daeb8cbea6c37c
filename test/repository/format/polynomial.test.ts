import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { drawPolynomial, isIrreducible, remainder } from '../../../src/repository/format/polynomial.ts';

test('small polynomials are judged as the textbook does', () => {
  const irreducible = [0b10n, 0b11n, 0b111n, 0b1011n, 0b1101n, 0b10011n, 0b11001n, 0b11111n];
  for (let value = 0n; value < 32n; value++) {
    expect([value, isIrreducible(value)]).toEqual([value, irreducible.includes(value)]);
  }
});

test("restic's own polynomials are irreducible, and their neighbours are not", () => {
  expect(isIrreducible(0x3da3358b4dc173n)).toBe(true);
  expect(isIrreducible(0x3da3358b4dc172n)).toBe(false);
  expect(isIrreducible(0x3da3358b4dc173n ^ 0b10n)).toBe(false);
});

test('a drawn polynomial has degree 53 and is irreducible', () => {
  const polynomial = drawPolynomial(randomBytes);
  expect(polynomial >> 53n).toBe(1n);
  expect(isIrreducible(polynomial)).toBe(true);
});

test('a product is not irreducible, and its factor divides it', () => {
  const factor = 0b111n;
  const product = (0x3da3358b4dc173n << 2n) ^ (0x3da3358b4dc173n << 1n) ^ 0x3da3358b4dc173n;
  expect(isIrreducible(product)).toBe(false);
  expect(remainder(product, factor)).toBe(0n);
  expect(remainder(product ^ 1n, factor)).toBe(1n);
});
