/** Archives of real tar programs become the backups that a walk of the folder would have made; broken ones become none. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { type TarKind, tarCommand } from '../../src/backup/container-tar.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { ArchiveTree } from '../../src/volume/archive-tree.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { type ArchiveOptions, backupArchive } from '../../src/volume/backup-archive.ts';
import { encodeTarHeader, tarEnd } from '../../src/volume/tar-header.ts';
import { readTar } from '../../src/volume/tar-reader.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree } from '../fixtures/make-tree.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const password = 'secret';
const wellEnded = { problems: [], filesChangedWhileRead: 0, filesVanished: 0 };

function backUp(repository: Repository, archive: AsyncIterable<Uint8Array>, more: Partial<ArchiveOptions> = {}) {
  const labels = { host: 'test-host', paths: ['/shop/data'], tags: [], name: 'shop/data', workers: 1 };
  return backupArchive(repository, { ...labels, archive, ending: async () => wellEnded, ...more });
}

/** What the program of the machine makes of a folder. */
function tarOf(kind: TarKind, folder: string): AsyncIterable<Uint8Array> {
  const words = tarCommand(kind, folder).flatMap((word) =>
    kind === 'busybox' && word === 'tar' ? ['busybox', 'tar'] : [word],
  );
  const [program = '', ...args] = words;
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] }).stdout;
}

describeWith('restic', 'an archive of a folder', () => {
  let folder: string;
  beforeAll(async () => {
    folder = join(await tempDir(), 'source');
    makeTree(folder, { smallFiles: 100, rawLinkTargets: false });
  });

  for (const kind of ['gnu', 'busybox'] as const) {
    it(`of ${kind} tar is restored by restic as the folder was, as far as that tar keeps it`, async () => {
      const path = join(await tempDir(), 'repository');
      const repository = await initRepository(openFolderStore(path), password, { kdf: cheapKdf });
      const recipe = { name: 'manifest.json', content: Buffer.from('{}') };
      const summary = await backUp(repository, tarOf(kind, folder), {
        place: { dirs: ['shop', 'data'], name: 'volume', files: [recipe] },
      });
      expect(summary.errors).toEqual([]);
      const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
      const target = await tempDir();
      await restic(['restore', 'latest', '--target', target], { env });
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
      const differences = compareTrees(folder, join(target, 'shop/data/volume'), { root: true });
      expect(differences.filter((line) => kind === 'gnu' || !isLostByBusybox(line))).toEqual([]);
    });
  }

  it('holds the same blobs as a backup of the folder itself', async () => {
    const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
    await backupFolder(repository, { source: folder, host: 'h', paths: ['/f'], tags: [], workers: 1 });
    const summary = await backUp(repository, tarOf('gnu', folder));
    const trees = await backUp(repository, tarOf('gnu', folder));
    // Trees have other inodes; contents are the same.
    expect(trees.bytesAdded).toBe(0);
    expect(summary.bytesAdded).toBeLessThan(1_000_000);
  });
});

/** Whole seconds since 1970, and no extended attributes. */
function isLostByBusybox(line: string): boolean {
  const [, left = '', right = ''] = /: mtime is "(-?\d+)" on the left, "(\d+)" on the right$/.exec(line) ?? [];
  if (left !== '') return BigInt(right) === (BigInt(left) < 0n ? 0n : BigInt(left) - (BigInt(left) % 1_000_000_000n));
  return / attributes? /.test(line);
}

describe('an archive that is not whole', () => {
  let whole: Buffer;
  beforeAll(async () => {
    const folder = await tempDir();
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'x'.repeat(150)), 'long');
    writeFileSync(join(folder, 'file'), Buffer.alloc(1300, 'f'));
    linkSync(join(folder, 'file'), join(folder, 'link'));
    const hole = openSync(join(folder, 'hole'), 'w');
    ftruncateSync(hole, 1 << 20);
    writeSync(hole, 'data', 300_000);
    closeSync(hole);
    const chunks: Buffer[] = [];
    for await (const chunk of tarOf('gnu', folder)) chunks.push(Buffer.from(chunk));
    whole = Buffer.concat(chunks);
  });

  it('is an error wherever it ends', async () => {
    const end = whole.length - trailingZeros(whole);
    const cuts = [...Array(Math.ceil(end / 512) + 2).keys()].flatMap((block) => [512 * block, 512 * block + 100]);
    for (const cut of cuts.filter((at) => at < end + 1024)) {
      await expect(read(whole.subarray(0, cut)), `cut at ${cut}`).rejects.toThrow();
    }
    expect(await read(whole)).toBe(5);
    // Two zero blocks are an end, whether the record is filled up or not.
    expect(await read(whole.subarray(0, 512 * Math.ceil(end / 512) + 1024))).toBe(5);
  });

  it('is an error where a header is damaged, or anything follows its end', async () => {
    for (const at of [0, 100, 124, 156, 512]) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      await expect(read(damaged), `byte ${at}`).rejects.toThrow();
    }
    await expect(read(Buffer.concat([whole, Buffer.from('more')]))).rejects.toThrow('something follows its end');
    await expect(read(Buffer.from('cat: write error: No space left'.repeat(20)))).rejects.toThrow(
      'a number in a header is not octal',
    );
  });

  it('becomes no backup, and how its maker ended is told rather than where it broke off', async () => {
    const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
    const half = inPieces(whole.subarray(0, whole.length >> 1));
    await expect(backUp(repository, half)).rejects.toMatchObject({
      code: 'STREAM_BROKEN',
      message: expect.stringContaining('it ends before the end of the archive'),
    });
    const killed = new HoldfastError('STREAM_BROKEN', { name: 'shop/data', reason: 'tar ended with exit code 137' });
    const ending = () => Promise.reject(killed);
    await expect(backUp(repository, inPieces(whole.subarray(0, 2048)), { ending })).rejects.toBe(killed);
    // Even when all of it is there.
    await expect(backUp(repository, inPieces(whole), { ending })).rejects.toBe(killed);
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('is marked incomplete where its maker left files out', async () => {
    const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
    const problems = [{ path: './secret', message: 'Permission denied' }];
    const ending = async () => ({ problems, filesChangedWhileRead: 2, filesVanished: 1 });
    const summary = await backUp(repository, inPieces(whole), { ending });
    expect(summary).toMatchObject({ errors: problems, filesChangedWhileRead: 2, filesVanished: 1 });
    expect((await listSnapshots(repository))[0]?.tags).toContain('state=incomplete');
  });

  it('is refused where a path leads out of the folder', async () => {
    const repository = await initRepository(openMemoryStore(), password, { kdf: cheapKdf });
    const folder = await tempDir();
    writeFileSync(join(folder, 'file'), 'x');
    const archive = execFileSync('tar', ['-c', '-P', '-C', folder, '--transform', 's,^,../,', 'file']);
    await expect(backUp(repository, inPieces(archive))).rejects.toMatchObject({ code: 'STREAM_BROKEN' });
  });
});

it('takes little memory for each entry, whatever came with it', async () => {
  const entries = 10_000;
  const plain = { mode: 0o644, uid: 1, gid: 1, user: '', group: '', device: 0, extendedAttributes: [] };
  async function* archive() {
    for (let i = 0; i < entries; i++) {
      const path = Buffer.from(`./some-folder/some-file-name-${i}.txt`);
      yield encodeTarHeader({ ...plain, type: 'symlink', path, target: Buffer.from('x'), mtimeNs: 1n, sizeBytes: 0 });
    }
    yield tarEnd;
  }
  const tree = new ArchiveTree(0n);
  const before = heldBytes();
  for await (const member of readTar(archive())) tree.addLeaf(member.path.toString().split('/'), member, null);
  expect((heldBytes() - before) / entries).toBeLessThan(1500);
  expect(tree.rootAttributes.type).toBe('dir');
});

function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

/** How many entries it has, without a look at their contents. */
async function read(archive: Buffer): Promise<number> {
  let entries = 0;
  for await (const _ of readTar(inPieces(archive))) entries += 1;
  return entries - 1;
}

function trailingZeros(bytes: Buffer): number {
  let count = 0;
  while (bytes[bytes.length - 1 - count] === 0) count += 1;
  return count;
}
