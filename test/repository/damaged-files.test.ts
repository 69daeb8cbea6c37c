/**
 * Files that decayed, or that somebody made to harm: reading them ends with a code of the catalogue, soon, and takes no
 * more memory than the file is worth.
 */
import { hash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { encodeMoverAnswer, type MoverAnswer, parseMoverAnswer, parseMoverJob } from '../../src/base/mover-protocol.ts';
import { encodeRecipe, parseRecipe } from '../../src/manifest/recipe.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';
import { createBlobCodec } from '../../src/repository/blob-codec.ts';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { open, seal } from '../../src/repository/crypto.ts';
import { decodeConfig, encodeConfig } from '../../src/repository/format/config.ts';
import { decodeIndexFile, type IndexedBlob } from '../../src/repository/format/index-file.ts';
import { readUsualIndex } from '../../src/repository/format/index-reader.ts';
import { decodeKeyFile, decodeKeyMaterial, encodeKeyMaterial } from '../../src/repository/format/key.ts';
import { decodeLock, encodeLock } from '../../src/repository/format/lock.ts';
import { decodePackHeader, encodePackHeader } from '../../src/repository/format/pack.ts';
import { decodeSnapshot, encodeSnapshot } from '../../src/repository/format/snapshot.ts';
import { decodeTree, encodeTree, type TreeNode } from '../../src/repository/format/tree.ts';
import { TreeScanner } from '../../src/repository/format/tree-scanner.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { loadFile, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { recipeOf } from '../restore/cluster-facts.ts';
import { Mutator } from '../setup/mutations.ts';
import { isFull, runsOf, seed } from '../setup/properties.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { makeRepository } from './restic-repository.ts';

const id = '00'.repeat(32);
const longestMs = isFull ? 5000 : 1000;
const mostBytes = 300 * 2 ** 20;

interface Sample {
  readonly bytes: Buffer;
  readonly isJson: boolean;
  readonly read: (bytes: Buffer) => unknown;
}

let repository: Repository;
let samples: ReadonlyMap<string, Sample>;

/** Real files of a small repository, and documents around it, each with what reads it. */
beforeAll(async () => {
  const folder = await tempDir();
  mkdirSync(join(folder, 'deep'));
  for (let n = 0; n < 5; n++) writeFileSync(join(folder, 'deep', `file "${n}" <&>`), `content ${n}`.repeat(n * 200));
  ({ repository } = await makeRepository());
  await backupFolder(repository, { source: folder, host: 'h', paths: ['/x'], tags: ['a'], workers: 1 });
  const [snapshot] = await listSnapshots(repository);
  const index: Buffer[] = [];
  for await (const { name } of repository.store.list('index')) index.push(await loadFile(repository, 'index', name));
  const keys: Buffer[] = [];
  for await (const { name } of repository.store.list('keys')) keys.push(await repository.store.get('keys', name));
  const reader = new BlobReader(repository, await loadIndex(repository, 'read'));
  const tree = await reader.load('tree', snapshot?.tree ?? '');
  const blobs = decodeIndexFile(index[0] ?? Buffer.alloc(0)).packs.flatMap((pack) => pack.blobs);
  samples = new Map(Object.entries(samplesOf({ snapshot, index: index[0], key: keys[0], tree, blobs })));
});

interface Found {
  readonly snapshot: Awaited<ReturnType<typeof listSnapshots>>[number] | undefined;
  readonly index: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly tree: Buffer;
  readonly blobs: readonly IndexedBlob[];
}

function samplesOf({ snapshot, index, key, tree, blobs }: Found): Record<string, Sample> {
  if (!snapshot || !index || !key) throw new Error('the repository lacks something');
  const lock = { time: '2026-11-22T10:00:00Z', exclusive: false, hostname: 'h', username: 'u', pid: 7, uid: 1, gid: 1 };
  const text = (bytes: Buffer): string => bytes.toString();
  const json = (bytes: Buffer, read: Sample['read']): Sample => ({ bytes, isJson: true, read });
  const raw = (bytes: Buffer, read: Sample['read']): Sample => ({ bytes, isJson: false, read });
  const plain = Buffer.from('a line that compresses\n'.repeat(300));
  const answer: MoverAnswer = {
    version: 1,
    kind: 'backup',
    exitCode: 0,
    counts: { files: 1 },
    errorCount: 0,
    errors: [],
  };
  const job = {
    version: 1,
    kind: 'restore',
    repository: 's3:x',
    backupId: id,
    subfolder: '/a',
    target: '/b',
    clusterUid: 'c',
  };
  const sealed = seal(repository.key, plain);
  return {
    config: json(encodeConfig(repository.config), (bytes) => decodeConfig(bytes, 'url')),
    key: json(key, (bytes) => decodeKeyFile(bytes, id)),
    'master key': json(encodeKeyMaterial(repository.key), (bytes) => decodeKeyMaterial(bytes, id)),
    snapshot: json(encodeSnapshot(snapshot), (bytes) => decodeSnapshot(bytes, id)),
    lock: json(encodeLock(lock), (bytes) => decodeLock(bytes, id)),
    index: json(index, readBothIndexes),
    tree: json(tree, readBothTrees),
    'tree with all fields': json(encodeTree([fullNode]), readBothTrees),
    'pack header': raw(encodePackHeader(blobs), (bytes) => decodePackHeader(bytes, id)),
    'sealed file': raw(sealed, (bytes) => open(repository.key, bytes, { kind: 'index', name: id })),
    'zstd frame': raw(zstdCompressSync(plain), readFrames(plain.length)),
    recipe: json(encodeRecipe(recipeOf()), (bytes) => parseRecipe(bytes)),
    policy: raw(Buffer.from(policy), (bytes) => parsePolicyFile(text(bytes), 'policy.yaml')),
    "mover's job": json(Buffer.from(JSON.stringify(job)), (bytes) => parseMoverJob(text(bytes))),
    "mover's answer": json(Buffer.from(encodeMoverAnswer(answer)), (bytes) => parseMoverAnswer(text(bytes))),
  };
}

const fullNode: TreeNode = {
  ...{ name: Buffer.from('a\xff'), type: 'file', mode: 420, mtimeNs: 1n, atimeNs: 2n, ctimeNs: 3n, uid: 1, gid: 2 },
  ...{ user: 'u', group: 'g', inode: 2n ** 63n, deviceId: 5n, sizeBytes: 7, links: 2, device: 259 },
  extendedAttributes: [{ name: 'user.x', value: Buffer.from('y') }],
  content: [id, 'ff'.repeat(32)],
};

const policy = `apiVersion: holdfast.dev/v1alpha1
kind: Repository
metadata: {name: main, namespace: shop}
spec: {url: "s3:https://s3.example.com/backups/shop", secretName: backup}
---
apiVersion: holdfast.dev/v1alpha1
kind: BackupPolicy
metadata: {name: nightly, namespace: shop}
spec:
  schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}
  select: {claims: {matchLabels: {app: shop}}}
  repository: {name: main}
  retention: {keepDaily: 7, keepWithin: 1y2m3d4h, minimumAge: 36h}
`;

/** The fast reader and the one of every form: where both read a file, they read the same. */
function readBothIndexes(bytes: Buffer): void {
  const fast: string[] = [];
  let pack = '';
  const sink = {
    pack: (name: string) => {
      pack = name;
    },
    blob: (...[type, blob, offset, length, plain]: [string, Uint8Array, number, number, number]) => {
      fast.push([pack, type, Buffer.from(blob).toString('hex'), offset, length, plain].join(' '));
    },
  };
  const isUsual = readUsualIndex(bytes, sink);
  const slow = decodeIndexFile(bytes).packs.flatMap(({ id: name, blobs }) =>
    blobs.map((blob) => [name, blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength].join(' ')),
  );
  if (isUsual) expect(fast.sort()).toEqual(slow.sort());
}

/** The reader of small trees and that of large ones. */
function readBothTrees(bytes: Buffer): void {
  const scanned: TreeNode[] = [];
  let failure: unknown;
  try {
    const scanner = new TreeScanner(id);
    for (let at = 0; at < bytes.length; at += 13) {
      for (const part of scanner.push(bytes.subarray(at, at + 13))) scanned.push(...part.nodes);
    }
    for (const part of scanner.end()) scanned.push(...part.nodes);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    failure = error;
  }
  const whole = decodeTree(bytes, id);
  if (failure === undefined) expect(scanned).toEqual(whole);
}

/** With the native half and without: a frame fills exactly its place, or is damaged. */
function readFrames(length: number): (bytes: Buffer) => void {
  const codecs = (['native', 'plain'] as const).map((kind) => createBlobCodec(repository.key, { kind }));
  return (bytes) => {
    for (const codec of codecs) codec.decompress(bytes, Buffer.alloc(length));
  };
}

/** What came of it: `read`, or the code of the error. */
function outcomeOf(sample: Sample, bytes: Buffer): string {
  try {
    sample.read(bytes);
    return 'read';
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

test.each([
  ['snapshots', 65],
  ['locks', 2],
] as const)('a file of %s that would unfold to %d MiB is damaged, and is not unfolded', async (type, mebibytes) => {
  const bomb = zstdCompressSync(Buffer.alloc(mebibytes << 20, ' '));
  const bytes = seal(repository.key, Buffer.concat([Buffer.of(2), bomb]));
  const name = hash('sha256', bytes);
  await repository.store.put(type, name, bytes, name);
  await expect(loadFile(repository, type, name)).rejects.toBeInstanceOf(HoldfastError);
});

test.each([
  ...[
    'config',
    'key',
    'master key',
    'snapshot',
    'lock',
    'index',
    'tree',
    'tree with all fields',
    'pack header',
    'sealed file',
  ],
  ...['zstd frame', 'recipe', 'policy', "mover's job", "mover's answer"],
])('a damaged %s ends with a code of the catalogue, soon and in little memory', { timeout: 600_000 }, (name) => {
  const sample = samples.get(name);
  if (!sample) throw new Error(`there is no ${name}`);
  expect(outcomeOf(sample, sample.bytes)).toBe('read');
  const mutator = new Mutator(seed);
  const before = process.memoryUsage().rss;
  const counts = new Map<string, number>();
  for (let round = 0; round < runsOf(400); round++) {
    const bytes = sample.isJson ? mutator.json(sample.bytes) : mutator.bytes(sample.bytes);
    const where = `seed ${seed}, round ${round}: ${bytes.toString('base64').slice(0, 2000)}`;
    const startMs = performance.now();
    let outcome: string;
    try {
      outcome = outcomeOf(sample, bytes);
    } catch (error) {
      throw new Error(where, { cause: error });
    }
    expect(performance.now() - startMs, where).toBeLessThan(longestMs);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  expect(process.memoryUsage().rss - before, `seed ${seed}`).toBeLessThan(mostBytes);
  // Damage that is never noticed would mean that nothing was damaged.
  if (name !== "mover's answer") expect([...counts.keys()], `seed ${seed}`).not.toEqual(['read']);
});
