/**
 * Polynomials over GF(2), as bits of an integer: the secret that restic's chunker cuts by.
 * Used once per repository, so clearness goes before speed.
 */

/** The degree of every repository's polynomial. */
export const polynomialDegree = 53;

/** An irreducible polynomial of degree 53, from random bytes. About one candidate in 27 is irreducible. */
export function drawPolynomial(random: (bytes: number) => Uint8Array): bigint {
  const mask = (1n << BigInt(polynomialDegree + 1)) - 1n;
  const fixedBits = (1n << BigInt(polynomialDegree)) | 1n;
  for (;;) {
    const candidate = (Buffer.from(random(8)).readBigUInt64BE() & mask) | fixedBits;
    if (isIrreducible(candidate)) return candidate;
  }
}

/** Ben-Or's test: no factor of degree i divides P when gcd(P, x^(2^i) - x) is 1, for each i up to half the degree. */
export function isIrreducible(polynomial: bigint): boolean {
  const degree = degreeOf(polynomial);
  if (degree < 1) return false;
  let power = 2n;
  for (let i = 1; i <= degree / 2; i++) {
    power = remainder(square(power), polynomial);
    if (gcd(polynomial, power ^ 2n) !== 1n) return false;
  }
  return true;
}

function degreeOf(polynomial: bigint): number {
  return polynomial === 0n ? -1 : polynomial.toString(2).length - 1;
}

/** Squaring over GF(2) puts a zero between any two bits. */
function square(polynomial: bigint): bigint {
  return BigInt(`0b${polynomial.toString(2).split('').join('0')}`);
}

/** The remainder of a division. */
export function remainder(dividend: bigint, divisor: bigint): bigint {
  const degree = degreeOf(divisor);
  let rest = dividend;
  for (let shift = degreeOf(rest) - degree; shift >= 0; shift = degreeOf(rest) - degree)
    rest ^= divisor << BigInt(shift);
  return rest;
}

function gcd(a: bigint, b: bigint): bigint {
  let [larger, smaller] = [a, b];
  while (smaller !== 0n) [larger, smaller] = [smaller, remainder(larger, smaller)];
  return larger;
}
