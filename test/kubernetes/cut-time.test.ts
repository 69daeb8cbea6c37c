import { expect, test } from 'vitest';
import { asObject, parseJson } from '../../src/cluster/object.ts';
import { cutTimeMs } from '../../src/cluster/volume-snapshot.ts';

/** A content as the API server sends it: nanoseconds do not fit into a double (R1.16). */
const content = (creationTime: string) =>
  asObject(parseJson(`{"metadata":{"name":"c"},"status":{"creationTime":${creationTime}}}`));

test('the time of a cut is finer than whole seconds, so that two cuts of one second can be told apart', () => {
  expect(cutTimeMs(content('1795400094123456789'))).toBe(1_795_400_094_123.456);
  const [one, other] = [cutTimeMs(content('1795400094100000000')), cutTimeMs(content('1795400094900000000'))];
  expect((other ?? 0) - (one ?? 0)).toBe(800);
});

test('where the storage tells no time there is none, not the year 1970', () => {
  expect(cutTimeMs(undefined)).toBeUndefined();
  expect(cutTimeMs(asObject({ metadata: { name: 'c' }, status: {} }))).toBeUndefined();
});
