/**
 * Polynomials over GF(2), as restic keeps one secret in its config: bit i is the coefficient of x^i.
 * Source: restic format, chunker; irreducibility by Ben-Or's test.
 */
import { randomBytes } from 'node:crypto';

const degreeOfOurs = 53;

/** A random irreducible polynomial of degree 53, for the config of a new repository. */
export function randomPolynomial(): bigint {
  const top = 1n << BigInt(degreeOfOurs);
  while (true) {
    const candidate = (randomBytes(8).readBigUInt64LE() & (top - 1n)) | top | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
}

/** restic refuses to open a repository whose polynomial is not irreducible. */
export function isIrreducible(polynomial: bigint): boolean {
  const degree = degreeOf(polynomial);
  if (degree < 1) return false;
  // x^(2^i) by repeated squaring: every factor of degree i divides x^(2^i) - x.
  let power = 2n;
  for (let i = 1; i <= degree >> 1; i++) {
    power = modulo(square(power), polynomial);
    if (degreeOf(greatestCommonDivisor(polynomial, power ^ 2n)) > 0) return false;
  }
  return true;
}

/** The remainder of `value` divided by `polynomial`. */
export function modulo(value: bigint, polynomial: bigint): bigint {
  const degree = degreeOf(polynomial);
  let rest = value;
  for (let d = degreeOf(rest); d >= degree; d = degreeOf(rest)) rest ^= polynomial << BigInt(d - degree);
  return rest;
}

/** -1 for zero. */
function degreeOf(polynomial: bigint): number {
  return polynomial === 0n ? -1 : polynomial.toString(2).length - 1;
}

/** Squaring over GF(2) puts a zero between any two bits: base 2 digits read as base 4. */
function square(value: bigint): bigint {
  return BigInt(`0b${[...value.toString(2)].join('0')}`);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [high, low] = [a, b];
  while (low !== 0n) [high, low] = [low, modulo(high, low)];
  return high;
}
