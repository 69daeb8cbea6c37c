import { createHash } from 'node:crypto';
import { chmod, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CheckOptions, type CheckReport, checkRepository } from '../../src/repository/check.ts';
import { parseSubset, selectPacks } from '../../src/repository/check-subset.ts';
import { decodeIndexFile, encodeIndex, type IndexedPack } from '../../src/repository/format/index-file.ts';
import { encodeNode, type TreeNode } from '../../src/repository/format/tree.ts';
import { initRepository, loadFile, saveFile } from '../../src/repository/repository.ts';
import { listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { createPackVerifier } from '../../src/repository/verify-pack.ts';
import { openStore } from '../../src/store/open-store.ts';
import { craftedNode } from '../fixtures/crafted-node.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticResult } from '../setup/restic.ts';
import { addObject, newS3Place } from '../setup/s3-place.ts';
import { filesIn, flip, indexedPacks, packPath, packWith } from './damage.ts';
import { storePack } from './hand-made.ts';
import {
  cheapKdf,
  makeRepository,
  makeResticRepository,
  makeSource,
  password,
  type TestRepository,
} from './restic-repository.ts';

const readAll: CheckOptions = { readData: true, workers: 0 };

/** A repository with two snapshots that restic made. */
async function makeFilled(made?: TestRepository, ...args: string[]): Promise<TestRepository> {
  const test = made ?? (await makeRepository());
  const source = await makeSource(1);
  await restic(['backup', '.', ...args], { env: test.env, cwd: source });
  await writeFile(join(source, 'later.txt'), 'later');
  await restic(['backup', '.', ...args], { env: test.env, cwd: source });
  return test;
}

function messages({ errors }: CheckReport): string {
  return errors.map(({ kind, id, message }) => `${kind} ${id}: ${message}`).join('\n');
}

describeWith('restic', 'a check', () => {
  test.each([
    ['format 1', () => makeResticRepository(1), []],
    ['format 2', () => makeResticRepository(2), []],
    ['no compression', () => makeResticRepository(2), ['--compression', 'off']],
    ['much compression', () => makeResticRepository(2), ['--compression', 'max']],
  ] as const)('finds no fault in what restic made with %s', async (_, make, args) => {
    const { repository } = await makeFilled(await make(), ...args);
    const report = await checkRepository(repository, readAll);
    expect(messages(report)).toBe('');
    expect(report).toMatchObject({ snapshots: 2, errorCount: 0, hintCount: 0 });
    expect(report.packsRead).toBe(report.packs);
    expect(report.trees).toBeGreaterThanOrEqual(4);
    expect(report.blobs).toBeGreaterThan(report.trees);
  });

  test('finds the same with threads as without', async () => {
    const { repository, folder } = await makeFilled();
    expect(await checkRepository(repository, { readData: true, workers: 2 })).toEqual(
      await checkRepository(repository, readAll),
    );
    for (const path of filesIn(join(folder, 'data'))) await flip(path, 40);
    const damaged = await checkRepository(repository, { readData: true, workers: 2 });
    expect(damaged.errorCount).toBeGreaterThan(0);
    expect(messages(damaged).split('\n').sort()).toEqual(
      messages(await checkRepository(repository, readAll))
        .split('\n')
        .sort(),
    );
  });

  test('tells how far it is, and stops when asked', async () => {
    const { repository } = await makeFilled();
    const steps: string[] = [];
    await checkRepository(repository, { ...readAll, onProgress: ({ step }) => steps.push(step) });
    expect([...new Set(steps)]).toEqual(['snapshots', 'index', 'packs', 'trees', 'data']);
    await expect(checkRepository(repository, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
  });

  test('reports a missing pack, and which folders or files need it', async () => {
    const { repository, folder } = await makeFilled();
    const data = await packWith(repository, 'data');
    await rm(packPath(folder, data.id));
    expect(messages(await checkRepository(repository))).toBe(`pack ${data.id}: it is missing`);
    const tree = await packWith(repository, 'tree');
    await rm(packPath(folder, tree.id));
    const report = await checkRepository(repository, readAll);
    expect(messages(report)).toContain(`pack ${tree.id}: it is missing`);
    expect(report.errors.some(({ kind }) => kind === 'tree')).toBe(true);
  });

  test('reports a pack that was cut, by its size and by what it lacks', async () => {
    const { repository, folder } = await makeFilled();
    const { id } = await packWith(repository, 'data');
    const path = packPath(folder, id);
    await chmod(path, 0o600);
    await truncate(path, 100);
    expect(messages(await checkRepository(repository))).toMatch(/it has 100 bytes, and must have \d+/);
    expect(messages(await checkRepository(repository, readAll))).toContain('its content does not fit its name');
    await truncate(path, 0);
    expect(messages(await checkRepository(repository, readAll))).toContain('it is too short for its header');
  });

  test.each([
    ['a blob', 40, /blob [0-9a-f]{64}/i],
    ['the header', -20, /its header is damaged/],
    ['the length of the header', -1, /it is too short for its header/],
  ])('reports a flipped bit in %s of a pack', async (_, at, expected) => {
    const { repository, folder } = await makeFilled();
    const { id } = await packWith(repository, 'data');
    await flip(packPath(folder, id), at);
    expect((await checkRepository(repository)).errorCount).toBe(0);
    const report = await checkRepository(repository, readAll);
    expect(messages(report)).toContain('its content does not fit its name');
    expect(messages(report)).toMatch(expected);
  });

  test('reports a damaged tree with the path at which it was met', async () => {
    const { repository, folder } = await makeFilled();
    for (const { id, blobs } of await indexedPacks(repository))
      if (blobs[0]!.type === 'tree') await flip(packPath(folder, id), 40);
    const report = await checkRepository(repository);
    expect(report.errorCount).toBeGreaterThan(0);
    expect(report.errors[0]).toMatchObject({ kind: 'tree', message: expect.stringContaining('(snapshot ') });
  });

  test('reports damaged index and snapshot files, and goes on with the others', async () => {
    const { repository, folder } = await makeFilled();
    const [index] = filesIn(join(folder, 'index'));
    const [snapshot] = filesIn(join(folder, 'snapshots'));
    await flip(index!, 30);
    const kinds = (await checkRepository(repository, readAll)).errors.map(({ kind }) => kind);
    expect(kinds[0]).toBe('index');
    expect(kinds).toContain('blob');
    await flip(index!, 30);
    await flip(snapshot!, 30);
    expect(messages(await checkRepository(repository))).toMatch(/^snapshot .* is damaged/);
    await truncate(snapshot!, 0);
    await truncate(index!, 10);
    expect((await checkRepository(repository, readAll)).errorCount).toBeGreaterThan(1);
  });

  test('reports a blob that a file needs and the index lacks', async () => {
    const { repository, folder } = await makeFilled();
    const { id: gone } = (await packWith(repository, 'data')).blobs[0]!;
    const packs = (await indexedPacks(repository)).map((pack) => ({
      ...pack,
      blobs: pack.blobs.filter(({ id }) => id !== gone),
    }));
    for (const path of filesIn(join(folder, 'index'))) await rm(path);
    await saveFile(repository, 'index', encodeIndex(packs));
    const report = await checkRepository(repository, readAll);
    expect(messages(report)).toContain(`the data blob ${gone} is not in the index, but snapshot`);
    expect(messages(report)).toContain(`the index lacks its data blob ${gone}`);
    expect(messages(report)).toMatch(/the index has blob|it has \d+ bytes, and must have/);
  });

  test('reports index files that contradict each other or cannot be true', async () => {
    const { repository } = await makeFilled();
    const { id, blobs } = await packWith(repository, 'data');
    await saveFile(
      repository,
      'index',
      encodeIndex([{ id, blobs: [{ ...blobs[0]!, length: 20 }, ...blobs.slice(1)] }]),
    );
    expect(messages(await checkRepository(repository))).toContain('two index files list different blobs for it');
  });

  test('takes what is left over, doubled or mixed for what it is: a hint', async () => {
    const { repository, folder } = await makeFilled();
    for (const path of filesIn(join(folder, 'index'))) {
      const packs = decodeIndexFile(await loadFile(repository, 'index', path.slice(-64))).packs;
      await saveFile(repository, 'index', encodeIndex(packs));
    }
    const bytes = Buffer.from('no pack at all');
    const name = createHash('sha256').update(bytes).digest('hex');
    await repository.store.put('data', name, bytes);
    const report = await checkRepository(repository, readAll);
    expect(report.errorCount).toBe(0);
    expect(report.hints.map(({ message }) => message)).toContain('the index lists it more than once');
    expect(report.hints.find(({ id }) => id === name)?.message).toContain('no index lists it');
  });

  test('agrees with restic on whether a repository is sound, whatever file is damaged or lost', {
    timeout: 120_000,
  }, async () => {
    const { repository, folder, env } = await makeFilled();
    const paths: string[] = [];
    for (const type of ['data', 'index', 'snapshots']) paths.push(...filesIn(join(folder, type)));
    let judged = 0;
    for (const path of paths) {
      for (const damage of ['flip', 'lose'] as const) {
        // restic 0.14 looks for a lost pack for a quarter of an hour.
        if (damage === 'lose' && path.includes('/data/')) continue;
        const saved = await readFile(path);
        if (damage === 'flip') await flip(path, Math.floor(saved.length / 2));
        else await rename(path, `${folder}-lost`);
        const theirs = await resticResult(['check', '--read-data'], { env });
        const ours = await checkRepository(repository, readAll);
        expect(ours.errorCount > 0, `${damage} ${path}: ${theirs.stderr}`).toBe(theirs.exitCode !== 0);
        await rm(path, { force: true });
        await writeFile(path, saved);
        judged += 1;
      }
    }
    expect(judged).toBeGreaterThanOrEqual(10);
    expect((await checkRepository(repository, readAll)).errorCount).toBe(0);
  });
});

describeWith('s3', 'a check on object storage', () => {
  test('reads all data in threads that have stores of their own, and finds a changed object', async () => {
    const place = newS3Place();
    const repository = await initRepository(await openStore(place.url, { env: place.env }), password, {
      kdf: cheapKdf,
    });
    for (let pack = 0; pack < 5; pack++) await storePack(repository, 'data', [Buffer.alloc(50_000, pack)]);
    const options = { readData: true, workers: 2, env: place.env };
    expect(await checkRepository(repository, options)).toMatchObject({ errors: [], packs: 5, packsRead: 5 });
    const [{ id }] = (await indexedPacks(repository)) as [IndexedPack];
    const path = join('data', id.slice(0, 2), id);
    const bytes = await repository.store.get('data', id);
    bytes[20_000]! ^= 1;
    await addObject(place, path, bytes);
    const report = await checkRepository(repository, options);
    expect(report.errors.map((error) => error.id)).toEqual([id, id]);
    expect(messages(report)).toContain('its content does not fit its name');
    await repository.store.close();
  });

  test('ends with the reason when the store is out of reach, instead of calling everything damaged', async () => {
    const place = newS3Place();
    const repository = await initRepository(await openStore(place.url, { env: place.env }), password, {
      kdf: cheapKdf,
    });
    await storePack(repository, 'data', [Buffer.alloc(50_000, 1)]);
    const wrong = { ...place.env, AWS_SECRET_ACCESS_KEY: 'wrong' };
    await expect(checkRepository(repository, { readData: true, workers: 1, env: wrong })).rejects.toMatchObject({
      code: 'CREDENTIALS_REJECTED',
    });
    await repository.store.close();
  });
});

test.each<[string, Partial<TreeNode>, string]>([
  ['an unknown type', { type: 'irregular' as TreeNode['type'] }, 'has the unknown type "irregular"'],
  ['a file without content', { content: null }, 'is a file without a list of content'],
  ['a folder without a tree', { type: 'dir', content: null }, 'is a folder without a tree'],
  ['no name', { name: Buffer.alloc(0) }, 'has no name'],
  ['a name that leads out', { name: Buffer.from('../etc') }, 'has a slash or a zero byte in its name'],
  ['the name of the folder above', { name: Buffer.from('..') }, 'means another folder'],
  ['content that nobody has', { content: ['ab'.repeat(32)] }, 'is not in the index'],
])('an entry with %s is an error', async (_, change, expected) => {
  const { repository } = await makeRepository();
  const tree = Buffer.from(`{"nodes":[${encodeNode(craftedNode('x', change))}]}\n`);
  const [root] = await storePack(repository, 'tree', [tree]);
  await saveSnapshot(repository, { time: '2026-01-01T00:00:00Z', tree: root!, paths: ['/'] });
  const report = await checkRepository(repository, readAll);
  expect(messages(report)).toContain(expected);
});

test('entries out of order are a hint; trees that are no trees are errors', async () => {
  const { repository } = await makeRepository();
  const nodes = [encodeNode(craftedNode('b')), encodeNode(craftedNode('a'))];
  const trees = [Buffer.from(`{"nodes":[${nodes.join(',')}]}\n`), Buffer.from('[]'), Buffer.alloc(0)];
  const roots = await storePack(repository, 'tree', trees);
  for (const tree of roots) await saveSnapshot(repository, { time: '2026-01-01T00:00:00Z', tree, paths: ['/'] });
  const report = await checkRepository(repository);
  expect(report.hints.map(({ message }) => message)).toEqual([expect.stringContaining('not in order at "a"')]);
  expect(report.errorCount).toBe(2);
  expect(await listSnapshots(repository)).toHaveLength(3);
});

test('whatever byte of a pack is changed, its check fails and never throws', async () => {
  const { repository } = await makeRepository();
  const contents = [Buffer.from('one'), Buffer.alloc(200, 2), Buffer.alloc(0)];
  await storePack(repository, 'data', contents);
  const [pack] = await indexedPacks(repository);
  const bytes = await repository.store.get('data', pack!.id);
  const verify = createPackVerifier(repository.key);
  expect(verify(pack!.id, bytes, pack!.blobs)).toEqual([]);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 0x81;
    for (const wrong of [changed, bytes.subarray(0, at)]) {
      const name = createHash('sha256').update(wrong).digest('hex');
      expect(verify(name, wrong, pack!.blobs)).not.toEqual([]);
    }
  }
});

test('part n of t has the packs whose first byte says so, and all parts together have each once', () => {
  const packs = new Map(
    Array.from({ length: 256 }, (_, i) => [`${i.toString(16).padStart(2, '0')}${'0'.repeat(62)}`, { sizeBytes: 100 }]),
  );
  const parts = [1, 2, 3].map((part) => selectPacks(packs, parseSubset(`${part}/3`)));
  expect(parts[0]!.has('00'.repeat(32))).toBe(true);
  expect(parts.map(({ size }) => size)).toEqual([86, 85, 85]);
  expect(new Set(parts.flatMap((part) => [...part])).size).toBe(256);
  expect(selectPacks(packs, parseSubset('10%')).size).toBe(25);
  expect(selectPacks(packs, parseSubset('0.1%')).size).toBe(1);
  expect(selectPacks(packs, parseSubset('100%')).size).toBe(256);
  expect(selectPacks(packs, parseSubset('1K')).size).toBe(10);
  expect(selectPacks(packs, parseSubset('1T')).size).toBe(256);
  expect(selectPacks(new Map(), parseSubset('5%')).size).toBe(0);
});

test.each(['', '0/3', '4/3', '1/257', '0%', '101%', '5', '1.5M', 'x'])('"%s" is no part of the data', (text) => {
  expect(() => parseSubset(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});
