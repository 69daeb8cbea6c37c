import { expect, test } from 'vitest';
import type { RetentionItem, RetentionPolicy } from '../../src/policy/retention.ts';
import { applyFloor, type RetentionFloor } from '../../src/policy/retention-floor.ts';

const dayNs = 86_400_000_000_000n;
const nowNs = 20_000n * dayNs + dayNs / 2n;

/** One backup a day, the newest first in the text: c complete, i incomplete. Each is named by its age in days. */
function backups(states: string): RetentionItem[] {
  return [...states].map((state, age) => ({
    id: String(age),
    timeNs: nowNs - BigInt(age) * dayNs,
    offsetSeconds: 0,
    tags: [state === 'c' ? 'state=complete' : 'state=incomplete'],
  }));
}

function kept(states: string, policy: RetentionPolicy, floor: Partial<RetentionFloor> = {}): string[] {
  return applyFloor(backups(states), policy, { nowNs, ...floor })
    .filter(({ reasons }) => reasons.length > 0)
    .map(({ item }) => item.id);
}

test('incomplete backups take no place from complete ones', () => {
  expect(kept('ciiccc', { last: 3 })).toEqual(['0', '3', '4']);
});

test('an incomplete backup goes once a complete one is newer', () => {
  expect(kept('cic', { last: 5 })).toEqual(['0', '2']);
});

test('the newest incomplete backup stays while no complete one is newer, others by the rules among them', () => {
  expect(kept('iiicc', { last: 1 })).toEqual(['0', '3']);
  expect(kept('iiicc', { last: 2 })).toEqual(['0', '1', '3', '4']);
  expect(kept('iii', { last: 1 })).toEqual(['0']);
});

test('the last complete backup stays, whatever the rules say', () => {
  expect(kept('iccc', { tags: [['none']] })).toEqual(['0', '1']);
  expect(kept('ccc', { tags: [['none']] }, { minimumCount: 2 })).toEqual(['0', '1']);
  expect(kept('ccc', { tags: [['none']] }, { minimumCount: 0 })).toEqual(['0']);
});

test('the last verified backup stays, and all that are young', () => {
  expect(kept('cccccc', { last: 1 }, { verified: new Set(['3', '4']) })).toEqual(['0', '3']);
  expect(kept('cicci', { last: 1 }, { minimumAgeMs: 2.5 * 86_400_000 })).toEqual(['0', '1', '2']);
});

test('a backup whose data is gone from the storage takes no place of a rule and is none of the last complete ones', () => {
  const gone = new Set(['0', '2']);
  expect(kept('ccccc', { last: 2 }, { gone })).toEqual(['0', '1', '3']);
  expect(kept('ccc', { tags: [['none']] }, { gone: new Set(['1', '2']), minimumCount: 2 })).toEqual(['0']);
  expect(kept('cc', { last: 1 }, { gone: new Set(['0', '1']) })).toEqual(['0']);
});
