import { expect, test } from 'vitest';
import { parseClaim, parsePairs } from '../../src/cli/claim-options.ts';

test('a claim is given as namespace and name', () => {
  expect(parseClaim('shop/data')).toEqual({ namespace: 'shop', name: 'data' });
});

test.each(['data', '/data', 'shop/', 'a/b/c', ''])('"%s" is no claim', (given) => {
  expect(() => parseClaim(given)).toThrow(/NAMESPACE\/CLAIM/);
});

test('zones are mapped by pairs', () => {
  expect(parsePairs(['eu-1a=us-1a', 'eu-1b=us-1c'], 'zones')).toEqual({ 'eu-1a': 'us-1a', 'eu-1b': 'us-1c' });
  expect(parsePairs([], 'zones')).toEqual({});
});

test.each(['eu-1a', 'eu-1a=', '=us-1a', 'a=b=c'])('"%s" is no pair of zones', (given) => {
  expect(() => parsePairs(['x=y', given], 'zones')).toThrow(/OLD=NEW/);
});
