import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { goModeFromPosix, permissionsFromGo, posixTypeBits, typeFromPosix } from '../../src/volume/attributes.ts';
import { getAttribute, listAttributeNames, setTimes } from '../../src/volume/libc.ts';
import { type EntryAttributes, readAttributes } from '../../src/volume/read-attributes.ts';
import { AttributeWriter, type TargetConditions } from '../../src/volume/write-attributes.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree } from '../fixtures/make-tree.ts';

const isRoot = process.getuid?.() === 0;
const conditions: TargetConditions = { isPrivileged: isRoot, newOwner: undefined, newHaveAttributes: false };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attributes-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('modes', () => {
  // Values that restic 0.14 wrote for real entries.
  test.each([
    [0o040755, 2147484141, 'dir'],
    [0o041777, 2148532735, 'dir'],
    [0o120777, 134218239, 'symlink'],
    [0o010644, 33554852, 'fifo'],
    [0o060644, 67109284, 'dev'],
    [0o020644, 69206436, 'chardev'],
    [0o106755, 12583405, 'file'],
    [0o100644, 420, 'file'],
  ] as const)('st_mode %o is %i in a tree and comes back', (posix, go, type) => {
    expect(goModeFromPosix(posix)).toBe(go);
    expect(typeFromPosix(posix)).toBe(type);
    expect(posixTypeBits(type) + permissionsFromGo(go)).toBe(posix);
  });
});

describe('readAttributes', () => {
  test('keeps times to the nanosecond, also before 1970', () => {
    for (const mtimeNs of [0n, 1n, -1n, -1_500_000_000n, 1_700_000_000_999_999_999n, 4_000_000_000_100_000_000n]) {
      const path = place('file');
      writeFileSync(path, '');
      setTimes(path, 5n, mtimeNs);
      expect(execFileSync('stat', ['-c', '%.9Y', path.toString()], { encoding: 'utf8' }).trim()).toBe(decimal(mtimeNs));
      expect(read('file')).toMatchObject({ mtimeNs, atimeNs: mtimeNs });
    }
  });

  test('keeps size and links of files, links but no size of symbolic links, neither of folders and FIFOs', () => {
    writeFileSync(place('file'), 'four');
    linkSync(place('file'), place('file-again'));
    symlinkSync(Buffer.from([0xff, 0x2f, 0x61]), place('link'));
    mkdirSync(place('folder'));
    execFileSync('mkfifo', [place('fifo').toString()]);
    const { dev, ino } = lstatSync(place('file'), { bigint: true });
    expect(read('file')).toMatchObject({ type: 'file', sizeBytes: 4, links: 2, deviceId: dev, inode: ino });
    expect(read('link')).toMatchObject({ type: 'symlink', sizeBytes: 0, links: 1, deviceId: 0n });
    expect(read('link')?.linkTarget).toEqual(Buffer.from([0xff, 0x2f, 0x61]));
    expect(read('folder')).toMatchObject({ type: 'dir', sizeBytes: 0, links: 0, deviceId: 0n });
    expect(read('fifo')).toMatchObject({ type: 'fifo', sizeBytes: 0, links: 0 });
  });

  test('names the owner where the system knows a name', () => {
    writeFileSync(place('file'), '');
    const name = execFileSync('stat', ['-c', '%U %G', place('file').toString()], { encoding: 'utf8' }).trim();
    const { user, group } = read('file') as EntryAttributes;
    expect(`${user} ${group}`).toBe(name);
  });

  test('leaves sockets out', async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(place('socket').toString(), listening));
    expect(read('socket')).toBeUndefined();
    await new Promise((closed) => server.close(closed));
  });
});

describe('AttributeWriter', () => {
  test('gives a bare copy of a tree all that the original has', () => {
    const original = join(folder, 'original');
    const copy = join(folder, 'copy');
    makeTree(original, { smallFiles: 10 });
    execFileSync('cp', ['-r', '--preserve=links', original, copy]);
    expect(compareTrees(original, copy, { root: true })).not.toEqual([]);
    const writer = new AttributeWriter(conditions);
    copyAttributes(writer, Buffer.from(original), Buffer.from(copy));
    expect(compareTrees(original, copy, { root: true })).toEqual([]);
    expect(writer.warnings).toEqual([]);
  });

  test('removes attributes that the entry should not have', () => {
    writeFileSync(place('file'), '');
    execFileSync('setfattr', ['-n', 'user.old', '-v', 'x', place('file').toString()]);
    execFileSync('setfacl', ['-m', 'u:1234:rw', place('file').toString()]);
    const wanted = { ...(read('file') as EntryAttributes), extendedAttributes: [] };
    new AttributeWriter(conditions).write(at(place('file')), wanted);
    expect(listAttributeNames(place('file'))).toEqual([]);
  });

  test('leaves the time as it is where the tree has none', () => {
    writeFileSync(place('file'), '');
    const before = read('file') as EntryAttributes;
    const zero = -62_135_596_800_000_000_000n;
    new AttributeWriter(conditions).write(at(place('file')), { ...before, mtimeNs: zero, atimeNs: zero });
    expect(read('file')?.mtimeNs).toBe(before.mtimeNs);
  });

  test.runIf(isRoot)('warns and drops setuid where it may not set the owner', () => {
    writeFileSync(place('file'), '');
    execFileSync('chown', ['1000:1000', folder, place('file').toString()]);
    const wanted = { ...(read('file') as EntryAttributes), uid: 0, gid: 0, mode: goModeFromPosix(0o104755) };
    const writer = new AttributeWriter({ ...conditions, isPrivileged: false });
    asUser(1000, () => {
      writer.write(at(place('file')), {
        ...wanted,
        extendedAttributes: [{ name: 'trusted.x', value: Buffer.from('y') }],
      });
      writer.write(at(place('file')), wanted);
    });
    const stat = lstatSync(place('file'));
    expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([1000, 1000, 0o755]);
    expect(writer.warnings.map(({ message, count }) => [message.split(' ').slice(0, 2).join(' '), count])).toEqual([
      ['attribute trusted.x', 1],
      ['the owner', 2],
      ['setuid and', 2],
    ]);
  });

  test('fails where the path is gone', () => {
    writeFileSync(place('file'), '');
    const wanted = read('file') as EntryAttributes;
    expect(() => new AttributeWriter(conditions).write(at(place('other')), wanted)).toThrow('ENOENT');
    expect(() => getAttribute(place('other'), 'user.x')).toThrow('ENOENT');
  });
});

function at(path: Buffer) {
  return { at: path, isNew: false, shown: () => path.toString() };
}

function place(name: string): Buffer {
  return Buffer.from(join(folder, name));
}

function read(name: string): EntryAttributes | undefined {
  return readAttributes(place(name), Buffer.from(name));
}

function decimal(ns: bigint): string {
  const digits = (ns < 0n ? -ns : ns).toString().padStart(10, '0');
  return `${ns < 0n ? '-' : ''}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Deepest first, as a restore does it. */
function copyAttributes(writer: AttributeWriter, from: Buffer, to: Buffer): void {
  if (lstatSync(from).isDirectory()) {
    const names = process.getBuiltinModule('node:fs').readdirSync(from, { encoding: 'buffer' });
    for (const name of names) copyAttributes(writer, joined(from, name), joined(to, name));
  }
  const attributes = readAttributes(from, from);
  if (attributes === undefined) throw new Error('no attributes');
  if (attributes.linkTarget) expect(readlinkSync(to, 'buffer')).toEqual(attributes.linkTarget);
  writer.write(at(to), attributes);
}

function joined(parent: Buffer, name: Buffer): Buffer {
  return Buffer.concat([parent, Buffer.from('/'), name]);
}

/** The thread group acts as this user meanwhile. */
function asUser(uid: number, act: () => void): void {
  process.setegid?.(uid);
  process.seteuid?.(uid);
  try {
    act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
