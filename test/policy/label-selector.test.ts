import { expect, test } from 'vitest';
import { parseLabelSelector } from '../../src/policy/label-selector.ts';

test('label selectors mean what they mean to kubectl', () => {
  expect(
    parseLabelSelector('tier=data, env!=test,app in (shop, web),zone notin (a),owner,!temporary,x==y,empty='),
  ).toEqual([
    { key: 'tier', operator: 'In', values: ['data'] },
    { key: 'env', operator: 'NotIn', values: ['test'] },
    { key: 'app', operator: 'In', values: ['shop', 'web'] },
    { key: 'zone', operator: 'NotIn', values: ['a'] },
    { key: 'owner', operator: 'Exists' },
    { key: 'temporary', operator: 'DoesNotExist' },
    { key: 'x', operator: 'In', values: ['y'] },
    { key: 'empty', operator: 'In', values: [''] },
  ]);
});

test('what is no condition is refused by name', () => {
  for (const text of ['', 'a=b,', 'a in b', 'a in (b', '!a=b', 'a b']) {
    expect(() => parseLabelSelector(text), text).toThrow(/is no condition on labels/);
  }
});
