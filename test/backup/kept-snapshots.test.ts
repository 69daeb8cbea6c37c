import { expect, test } from 'vitest';
import { outnumbered } from '../../src/backup/expire-kept.ts';
import type { KeptSnapshot } from '../../src/cluster/kept-snapshot.ts';

function kept(claimUid: string, day: number, as: KeptSnapshot['as'] = 'beside'): KeptSnapshot {
  const madeAt = `2026-11-${String(day).padStart(2, '0')}T02:00:00Z`;
  const metadata = { name: `${claimUid}-${day}`, uid: '', resourceVersion: '', creationTimestamp: madeAt };
  const content = { apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshotContent', metadata };
  return { content, run: `run-${day}`, claimUid, as, policy: 'nightly', claim: `shop/${claimUid}`, madeAt };
}

const surplus = (all: readonly KeptSnapshot[], keepLast: number) =>
  outnumbered(all, keepLast)
    .map(({ content }) => content.metadata.name)
    .toSorted();

test('of each claim the newest stay, whatever order they come in', () => {
  const all = [kept('a', 2), kept('b', 1), kept('a', 3), kept('a', 1), kept('a', 10)];
  expect(surplus(all, 2)).toEqual(['a-1', 'a-2']);
  expect(surplus(all, 1)).toEqual(['a-1', 'a-2', 'a-3']);
  expect(surplus(all, 0)).toHaveLength(5);
});

test('what a backup has as its only data, and what is not settled, is no surplus', () => {
  expect(surplus([kept('a', 1, 'backup'), kept('a', 2, 'pending'), kept('a', 3), kept('a', 4)], 1)).toEqual(['a-3']);
});
