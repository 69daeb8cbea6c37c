import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { BlobSink } from '../../src/repository/blob-sink.ts';
import { checkRepository } from '../../src/repository/check.ts';
import { encodeIndex } from '../../src/repository/format/index-file.ts';
import type { TreeNode } from '../../src/repository/format/tree.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/repository/repair-index.ts';
import { executeSnapshotRepair, planSnapshotRepair } from '../../src/repository/repair-snapshots.ts';
import { type Repository, saveFile } from '../../src/repository/repository.ts';
import { listSnapshots, loadSnapshot } from '../../src/repository/snapshots.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { contentOf, findBlob, flip, indexedPacks, namesOf, packPath } from './damage.ts';
import { hastyClock } from './prune-scene.ts';
import { makeRepository, makeResticRepository, type TestRepository } from './restic-repository.ts';

/** A folder with some of everything that may be lost. */
async function makeSource(): Promise<string> {
  const source = join(await tempDir(), 'source');
  await mkdir(join(source, 'deep', 'inner'), { recursive: true });
  await mkdir(join(source, 'other'), { recursive: true });
  // Three chunks at least.
  await writeFile(join(source, 'deep', 'large'), noise('large', 20_000_000));
  await writeFile(join(source, 'deep', 'inner', 'one'), noise('one', 3000));
  await writeFile(join(source, 'other', 'two & <three>'), noise('two', 3000));
  await writeFile(join(source, 'whole'), noise('whole', 3000));
  return source;
}

async function filled(made?: TestRepository): Promise<TestRepository & { source: string; id: string }> {
  const place = made ?? (await makeRepository());
  const source = await makeSource();
  const tags = ['state=complete', 'mine'];
  const options = { source, host: 'test', paths: ['/source'], tags, workers: 1 };
  const { backupId } = await backupFolder(place.repository, options);
  return { ...place, source, id: backupId };
}

async function nodeAt(repository: Repository, snapshot: string, ...names: string[]): Promise<TreeNode> {
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  let tree = (await loadSnapshot(repository, snapshot)).tree;
  for (const [at, name] of names.entries()) {
    const node = (await reader.loadTree(tree)).find((candidate) => candidate.name.toString() === name)!;
    if (at === names.length - 1) return node;
    tree = node.subtree!;
  }
  throw new TypeError('give a name');
}

/** Lets the index forget a blob, as it does when the only pack with it is gone. */
async function loseBlob({ repository }: TestRepository, id: string): Promise<void> {
  const { pack } = await findBlob(repository, id);
  const packs = await indexedPacks(repository);
  const others = packs.map((other) => (other.id === pack.id ? { ...other, blobs: [] } : other));
  // The others of its pack move into one of their own, so that the sizes of packs stay true.
  const kept = pack.blobs.filter((blob) => blob.id !== id);
  const contents = new BlobReader(repository, await loadIndex(repository, 'read'));
  const saved = await Promise.all(kept.map(async (blob) => ({ blob, plain: await contents.load(blob.type, blob.id) })));
  for (const name of await namesOf(repository, 'index')) await repository.store.remove('index', name);
  await saveFile(repository, 'index', encodeIndex(others.filter(({ blobs }) => blobs.length > 0)));
  await repository.store.remove('data', pack.id);
  const sink = new BlobSink(repository, { packSizeBytes: 16 << 20, clock: hastyClock });
  for (const { blob, plain } of saved) {
    await sink.roomFor(blob.type);
    sink.add(blob.type, blob.id, plain, 0);
  }
  await sink.finish();
}

async function repair(repository: Repository, options: { forget?: boolean } = {}) {
  const all = await listSnapshots(repository);
  const plan = await planSnapshotRepair(repository, all, all);
  return { plan, repaired: await executeSnapshotRepair(repository, plan, options) };
}

function lostIn(plan: Awaited<ReturnType<typeof planSnapshotRepair>>): string[] {
  return plan.repairs.flatMap(({ lost }) => lost.map(({ path, kind }) => `${kind} ${path}`));
}

describeWith('restic', 'repairing snapshots', () => {
  test('that are whole changes nothing', async () => {
    const { repository, folder } = await filled();
    const before = contentOf(folder);
    const { plan, repaired } = await repair(repository, { forget: true });
    expect([plan.wholeCount, plan.repairs, repaired]).toEqual([1, [], []]);
    expect(contentOf(folder)).toEqual(before);
  });

  test('leaves out the lost part of a file and keeps all the rest, to the byte', async () => {
    const made = await filled();
    const { repository, env, source, id } = made;
    const { content, sizeBytes } = await nodeAt(repository, id, 'deep', 'large');
    expect(content!.length).toBeGreaterThan(2);
    const lostBytes = (await findBlob(repository, content![1]!)).blob.length - 32;
    await loseBlob(made, content![1]!);
    expect((await resticResult(['check'], { env })).exitCode).not.toBe(0);
    const { plan, repaired } = await repair(repository, { forget: true });
    expect(plan.repairs[0]!.lost).toEqual([{ path: Buffer.from('/deep/large'), kind: 'parts', lostBytes }]);
    await restic(['check', '--read-data'], { env });
    const [snapshot, ...others] = await listSnapshots(repository);
    expect(others).toEqual([]);
    expect(snapshot).toMatchObject({ id: repaired[0]!.to, original: id, paths: ['/source'], hostname: 'test' });
    expect(snapshot!.tags).toEqual(['state=incomplete', 'mine', 'repaired']);
    const file = await nodeAt(repository, snapshot!.id, 'deep', 'large');
    expect(file).toMatchObject({ sizeBytes: sizeBytes - lostBytes, content: content!.filter((_, at) => at !== 1) });
    const target = join(await tempDir(), 'restored');
    await restic(['restore', 'latest', '--target', target], { env });
    const differences = compareTrees(source, target);
    expect(differences.length).toBeGreaterThan(0);
    expect(differences.filter((line) => !line.startsWith('deep/large'))).toEqual([]);
  });

  test('makes a folder empty whose tree cannot be read, and lists it in every backup that had it', async () => {
    const made = await filled();
    const { repository, folder, env, source } = made;
    await writeFile(join(source, 'later'), 'later');
    await backupFolder(repository, { source, host: 'test', paths: ['/source'], tags: [], workers: 1 });
    const { subtree } = await nodeAt(repository, made.id, 'deep');
    const { pack, blob } = await findBlob(repository, subtree!);
    await flip(packPath(folder, pack.id), blob.offset + 20);
    const { plan } = await repair(repository, { forget: true });
    expect(lostIn(plan)).toEqual(['folder /deep', 'folder /deep']);
    const target = join(await tempDir(), 'restored');
    await restic(['restore', 'latest', '--target', target], { env });
    await rm(join(source, 'deep'), { recursive: true });
    await rm(join(target, 'deep'), { recursive: true });
    expect(compareTrees(source, target)).toEqual([]);
    // What is left of the damage is in no backup any more.
    const { errors } = await checkRepository(repository);
    expect(errors).toEqual([]);
  });

  test('without --forget keeps the damaged backups, and does not repair them twice', async () => {
    const made = await filled();
    const { content } = await nodeAt(made.repository, made.id, 'other', 'two & <three>');
    await loseBlob(made, content![0]!);
    const first = await repair(made.repository);
    expect(lostIn(first.plan)).toEqual(['parts /other/two & <three>']);
    const before = contentOf(made.folder);
    const second = await repair(made.repository);
    expect(second.repaired.map(({ to }) => to)).toEqual(first.repaired.map(({ to }) => to));
    expect(contentOf(made.folder)).toEqual(before);
    expect(await listSnapshots(made.repository)).toHaveLength(2);
    await restic(['restore', first.repaired[0]!.to!, '--target', await tempDir()], { env: made.env });
  });

  test('of which nothing can be read removes them only with --forget', async () => {
    const made = await filled();
    const { tree } = await loadSnapshot(made.repository, made.id);
    const { pack, blob } = await findBlob(made.repository, tree);
    await flip(packPath(made.folder, pack.id), blob.offset + 20);
    const before = contentOf(made.folder);
    const kept = await repair(made.repository);
    expect(kept.plan.repairs.map(({ next }) => next)).toEqual([undefined]);
    expect(contentOf(made.folder)).toEqual(before);
    expect((await repair(made.repository, { forget: true })).repaired).toEqual([
      { from: made.id, to: undefined, removed: true },
    ]);
    expect(await listSnapshots(made.repository)).toEqual([]);
  });

  test('is refused while the index forgets packs that are there, and finds nothing lost once it is repaired', async () => {
    const made = await filled();
    for (const name of await namesOf(made.repository, 'index')) await made.repository.store.remove('index', name);
    await expect(repair(made.repository, { forget: true })).rejects.toMatchObject({ code: 'INDEX_UNTRUE' });
    await executeIndexRepair(made.repository, await planIndexRepair(made.repository));
    expect((await repair(made.repository, { forget: true })).plan).toMatchObject({ wholeCount: 1, repairs: [] });
    await restic(['check', '--read-data'], { env: made.env });
  });

  test('does for a backup of restic what restic does, and the one finds nothing to do after the other', async () => {
    const made = await makeResticRepository();
    const source = await makeSource();
    await restic(['backup', '.'], { env: made.env, cwd: source });
    const { id } = (await listSnapshots(made.repository))[0]!;
    const { content } = await nodeAt(made.repository, id, 'deep', 'large');
    await loseBlob(made, content![0]!);
    const { plan } = await repair(made.repository, { forget: true });
    expect(lostIn(plan)).toEqual(['parts /deep/large']);
    await restic(['check', '--read-data'], { env: made.env });
    await restic(['backup', '.'], { env: made.env, cwd: source });
    const target = await tempDir();
    await restic(['restore', 'latest', '--target', target], { env: made.env });
    expect(compareTrees(source, target)).toEqual([]);
  });
});
