/** The secret polynomial must be one that restic accepts. */
import { expect, test } from 'vitest';
import { isIrreducible, modulo, randomPolynomial } from '../../../src/repository/chunker/polynomial.ts';
import { goldenPolynomial } from './test-data.ts';

function multiply(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 0n; 1n << bit <= b; bit++) if ((b >> bit) & 1n) product ^= a << bit;
  return product;
}

test('polynomials of restic repositories are irreducible', () => {
  expect(isIrreducible(goldenPolynomial)).toBe(true);
});

test('the irreducible polynomials up to degree 4 are told from the others', () => {
  const found = Array.from({ length: 30 }, (_, i) => BigInt(i + 2)).filter(isIrreducible);
  expect(found).toEqual([0b10n, 0b11n, 0b111n, 0b1011n, 0b1101n, 0b10011n, 0b11001n, 0b11111n]);
});

test('a product is not irreducible, and its factors divide it', () => {
  const product = multiply(goldenPolynomial, 0b111n);
  expect(isIrreducible(product)).toBe(false);
  expect(isIrreducible(multiply(goldenPolynomial, goldenPolynomial))).toBe(false);
  expect(modulo(product, 0b111n)).toBe(0n);
  expect(modulo(product ^ 1n, 0b111n)).toBe(1n);
});

test('neither zero nor one is irreducible', () => {
  expect([0n, 1n].map(isIrreducible)).toEqual([false, false]);
});

test('new polynomials are irreducible, of degree 53, and differ', () => {
  const drawn = Array.from({ length: 5 }, randomPolynomial);
  for (const polynomial of drawn) {
    expect(polynomial >> 53n).toBe(1n);
    expect(isIrreducible(polynomial)).toBe(true);
  }
  expect(new Set(drawn).size).toBe(drawn.length);
});
