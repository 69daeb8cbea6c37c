/** Folders as tar archives, unpacked by GNU tar, the judge of what is in them. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { beforeAll, expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { findEntry } from '../../src/repository/find-entry.ts';
import type { StoredSnapshot } from '../../src/repository/format/snapshot.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { type DumpSource, dumpFile, dumpFolder } from '../../src/volume/dump.ts';
import { encodeTarHeader, tarEnd } from '../../src/volume/tar-header.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree } from '../fixtures/make-tree.ts';
import { backedUp, opened, runRestic } from '../fixtures/restic-backup.ts';
import { tempDir } from '../setup/temp-dir.ts';

let backup: Awaited<ReturnType<typeof backedUp>>;
let source: DumpSource;
let snapshot: StoredSnapshot;

beforeAll(async () => {
  backup = await backedUp((folder) => {
    mkdirSync(join(folder, 'top'));
    makeTree(join(folder, 'top'), { smallFiles: 300, rawLinkTargets: false });
  });
  const found = await opened(backup);
  snapshot = found.snapshot;
  const index = await loadIndex(found.repository, 'read');
  source = { index, reader: new BlobReader(found.repository, index) };
}, 120_000);

async function unpacked(archive: AsyncIterable<Uint8Array>): Promise<string> {
  const target = await tempDir();
  const args = ['-x', '-p', '--xattrs', '--xattrs-include=*', '--numeric-owner', '--warning=all', '-C', target];
  const tar = spawn('tar', args, { stdio: ['pipe', 'ignore', 'pipe'] });
  const messages: Buffer[] = [];
  tar.stderr.on('data', (part: Buffer) => messages.push(part));
  const ended = new Promise((resolve) => tar.on('close', resolve));
  await pipeline(Readable.from(archive), tar.stdin);
  expect([await ended, Buffer.concat(messages).toString()]).toEqual([0, expect.not.stringMatching(/keyword|header/)]);
  return target;
}

test('a whole backup comes out of tar as it went in: names, times, owners, links, attributes, devices', async () => {
  const target = await unpacked(dumpFolder(source, await findEntry(source.reader, snapshot, '/')));
  expect(compareTrees(backup.source, target)).toEqual([]);
}, 120_000);

test('a folder comes with its own attributes, under its path', async () => {
  const target = await unpacked(dumpFolder(source, await findEntry(source.reader, snapshot, 'top/modes')));
  const differences = compareTrees(join(backup.source, 'top/modes'), join(target, 'top/modes'), { root: true });
  expect(differences).toEqual([]);
});

test("restic's own archive has the same files with the same content", async () => {
  const theirs = await tempDir();
  const folder = await findEntry(source.reader, snapshot, '/top/contents');
  const restic = join(theirs, 'x.tar');
  execFileSync('sh', ['-c', 'exec restic --no-cache dump latest /top/contents > "$0"', restic], {
    env: { ...process.env, RESTIC_REPOSITORY: backup.url, RESTIC_PASSWORD: 'secret' },
  });
  execFileSync('tar', ['-xf', restic, '-C', theirs]);
  const target = await unpacked(dumpFolder(source, folder));
  // restic writes whole seconds.
  const differences = compareTrees(join(theirs, 'top/contents'), join(target, 'top/contents'));
  expect(differences.filter((line) => !line.includes(': mtime is '))).toEqual([]);
});

test('a file comes out byte for byte, as from restic', async () => {
  for (const path of ['/top/contents/large', '/top/contents/empty', '/top/contents/sparse', '/top/names/with space']) {
    const parts: Buffer[] = [];
    for await (const part of dumpFile(source, await findEntry(source.reader, snapshot, path))) parts.push(part);
    const local = execFileSync('cat', [join(backup.source, path)], { maxBuffer: 1 << 28 });
    expect(Buffer.concat(parts).equals(local), path).toBe(true);
  }
  expect(await runRestic(backup, ['dump', 'latest', '/top/names/with space'])).toMatch(/^content of /);
});

test('what is neither file nor folder, or not there, is refused', async () => {
  const fifo = await findEntry(source.reader, snapshot, '/top/specials/fifo');
  expect(() => dumpFile(source, fifo)).toThrow(expect.objectContaining({ code: 'ENTRY_NOT_DUMPABLE' }));
  const missing = findEntry(source.reader, snapshot, '/top/none');
  await expect(missing).rejects.toMatchObject({ code: 'PATH_NOT_IN_BACKUP' });
  const throughFile = findEntry(source.reader, snapshot, '/top/contents/empty/x');
  await expect(throughFile).rejects.toMatchObject({ code: 'PATH_NOT_IN_BACKUP' });
});

test('a path as listings show it, with escapes, is taken back', async () => {
  const { node } = await findEntry(source.reader, snapshot, 'top/names/bad\\xff\\xfen');
  expect(node?.name).toEqual(Buffer.from([0x62, 0x61, 0x64, 0xff, 0xfe, 0x6e]));
  expect((await findEntry(source.reader, snapshot, 'top/names/quote"back\\slash')).node?.type).toBe('file');
});

test('a missing blob ends an archive without an end', async () => {
  const blobs = { find: () => -1, size: 0 };
  const broken = { ...source, index: Object.assign(Object.create(source.index), { blobs }) };
  const parts: Buffer[] = [];
  const read = async (): Promise<void> => {
    for await (const part of dumpFolder(broken, await findEntry(source.reader, snapshot, '/top/names')))
      parts.push(part);
  };
  await expect(read()).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(Buffer.concat(parts).subarray(-tarEnd.length).equals(tarEnd)).toBe(false);
});

test('an archive has the numbers that the plain header cannot hold', async () => {
  const header = encodeTarHeader({
    path: Buffer.from('x'.repeat(300)),
    type: 'symlink',
    mode: 0o777,
    uid: 3_000_000_000,
    gid: 2 ** 21,
    user: 'ü',
    group: '',
    mtimeNs: 5_000_000_000_123_456_789n,
    sizeBytes: 0,
    target: Buffer.from('y'.repeat(200)),
    device: 0,
    extendedAttributes: [{ name: 'user.a=b%', value: Buffer.from('v') }],
  });
  expect(header.length % 512).toBe(0);
  const entries: unknown[] = [];
  const reader = extract();
  reader.on('entry', (entry, stream, next) => {
    entries.push(entry);
    stream.resume();
    next();
  });
  await pipeline(Readable.from([Buffer.concat([header, tarEnd])]), reader);
  expect(entries).toMatchObject([
    {
      name: 'x'.repeat(300),
      linkname: 'y'.repeat(200),
      type: 'symlink',
      pax: {
        uid: '3000000000',
        gid: '2097152',
        uname: 'ü',
        mtime: '5000000000.123456789',
        'SCHILY.xattr.user.a%3Db%25': 'v',
      },
    },
  ]);
});
