import { expect, test } from 'vitest';
import type { Snapshot } from '../../src/repository/format/snapshot.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { changeTags, planTags, retag, type TagChange } from '../../src/repository/tag.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { cheapKdf, password } from './restic-repository.ts';

const snapshot: Snapshot = {
  time: '2026-11-22T10:00:00Z',
  tree: '11'.repeat(32),
  paths: ['/a'],
  hostname: 'h',
  tags: ['a', 'b'],
  other: { label: 'of rustic' },
};

async function repositoryWith(...snapshots: readonly Snapshot[]): Promise<Repository> {
  const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
  for (const one of snapshots) await saveSnapshot(repository, one);
  return repository;
}

test.each<[TagChange, string[] | undefined]>([
  [{ add: ['c'] }, ['a', 'b', 'c']],
  [{ add: ['c', 'c', 'a'] }, ['a', 'b', 'c']],
  [{ add: ['a'] }, undefined],
  [{ remove: ['a'] }, ['b']],
  [{ remove: ['a', 'b'] }, []],
  [{ remove: ['c'] }, undefined],
  [{ remove: ['a'], add: ['c'] }, ['b', 'c']],
  [{ set: ['x', 'x'] }, ['x']],
  [{ set: [] }, []],
  [{ set: ['a', 'b'] }, undefined],
])('%j of the tags a and b gives %j', (change, expected) => {
  expect(changeTags(['a', 'b'], change)).toEqual(expected);
});

test('a snapshot with other tags differs in nothing else, and knows its first id', async () => {
  const repository = await repositoryWith(snapshot);
  const before = await listSnapshots(repository);
  expect(planTags(before, { add: ['c'] })).toEqual([{ id: before[0]!.id, tags: ['a', 'b', 'c'] }]);
  const [changed] = await retag(repository, before, { add: ['c'] });
  const [after, ...more] = await listSnapshots(repository);
  expect(more).toEqual([]);
  expect(after).toEqual({ ...before[0], id: changed!.to, tags: ['a', 'b', 'c'], original: before[0]!.id });
  await retag(repository, [after!], { remove: ['c'] });
  const [again] = await listSnapshots(repository);
  expect(again).toMatchObject({ tags: ['a', 'b'], original: before[0]!.id });
});

test('after a run that was killed before the old one was removed, there is one of each again', async () => {
  const repository = await repositoryWith(snapshot);
  const [old] = await listSnapshots(repository);
  const { id, ...rest } = old!;
  const copy = await saveSnapshot(repository, { ...rest, tags: ['a', 'b', 'c'], original: id });
  await retag(repository, await listSnapshots(repository), { add: ['c'] });
  expect((await listSnapshots(repository)).map((one) => one.id)).toEqual([copy]);
});

test('nothing is written where no tag changes, or where the run is to end', async () => {
  const repository = await repositoryWith(snapshot, { ...snapshot, hostname: 'other' });
  const before = await listSnapshots(repository);
  expect(await retag(repository, before, { add: ['a'] })).toEqual([]);
  await expect(retag(repository, before, { add: ['c'] }, AbortSignal.abort(new Error('lost')))).rejects.toThrow('lost');
  expect(await listSnapshots(repository)).toEqual(before);
});

test('a repository that is marked append-only keeps its snapshots as they are', async () => {
  const made = await repositoryWith(snapshot);
  const repository = { ...made, config: { ...made.config, append_only: true } };
  const before = await listSnapshots(made);
  await expect(retag(repository, before, { add: ['c'] })).rejects.toMatchObject({ code: 'REPOSITORY_APPEND_ONLY' });
  expect(await listSnapshots(made)).toEqual(before);
});
