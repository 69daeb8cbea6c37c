/** Sizes, durations and quantities mean one thing, and what means nothing is refused by a code. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { formatQuantity, parseQuantity } from '../../src/base/quantity.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/base/units.ts';
import { holds } from '../setup/properties.ts';

const factors = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
const unit = fc.constantFrom(...(Object.keys(factors) as (keyof typeof factors)[]));

test('a size is its number times its unit, with or without a space and a B', () => {
  holds(
    fc.property(fc.nat(8000), unit, fc.constantFrom('', ' '), fc.constantFrom('', 'B'), (amount, suffix, space, b) => {
      expect(parseSize(`${amount}${space}${suffix}${b}`)).toBe(amount * factors[suffix]);
      expect(parseQuantity(`${amount}${suffix}`)).toBe(amount * factors[suffix]);
    }),
  );
});

test('a size that is shown reads back to within what is shown of it', () => {
  holds(
    fc.property(
      fc.maxSafeNat().map((sizeBytes) => Math.floor(sizeBytes / 2)),
      (sizeBytes) => {
        expect(Math.abs(parseSize(formatSize(sizeBytes)) - sizeBytes)).toBeLessThanOrEqual(
          0.051 * Math.max(sizeBytes, 1),
        );
      },
    ),
  );
});

test('a quantity is written in the shortest form that is exact', () => {
  holds(
    fc.property(fc.maxSafeNat(), (sizeBytes) => {
      expect(parseQuantity(formatQuantity(sizeBytes))).toBe(sizeBytes);
    }),
  );
});

test('a duration is the sum of its parts, in any order', () => {
  const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
  const parts = fc.uniqueArray(
    fc.tuple(fc.nat(500), fc.constantFrom(...(Object.keys(milliseconds) as (keyof typeof milliseconds)[]))),
    {
      minLength: 1,
      selector: ([, name]) => name,
    },
  );
  holds(
    fc.property(parts, fc.nat(10 ** 10), (given, shownMs) => {
      const expected = given.reduce((sum, [amount, name]) => sum + amount * milliseconds[name], 0);
      expect(parseDuration(given.map(([amount, name]) => `${amount}${name}`).join(''))).toBe(expected);
      const shown = parseDuration(formatDuration(shownMs));
      expect(Math.abs(shown - shownMs)).toBeLessThanOrEqual(Math.max(50, shownMs / 24));
    }),
  );
});

test('any other text is refused with a code, at once', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.kKMGTPiBsmhdw ]{0,30}$/));
  holds(
    fc.property(text, (given) => {
      for (const parse of [parseSize, parseDuration]) {
        try {
          expect(parse(given)).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
        }
      }
      const quantity = parseQuantity(given);
      if (quantity !== undefined) expect(quantity).toBeGreaterThanOrEqual(0);
    }),
    1000,
  );
});
