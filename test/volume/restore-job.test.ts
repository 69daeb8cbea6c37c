import { expect, test } from 'vitest';
import type { TreeNode } from '../../src/repository/format/tree.ts';
import { JobBuilder, JobFiles } from '../../src/volume/restore-job.ts';

const zeroTimeNs = -62_135_596_800_000_000_000n;

function node(name: Buffer, mtimeNs: bigint, atimeNs: bigint, fields: Partial<TreeNode> = {}): TreeNode {
  return {
    name,
    type: 'file',
    mode: 0o644,
    mtimeNs,
    atimeNs,
    ctimeNs: 0n,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    inode: 1n,
    deviceId: 0n,
    sizeBytes: 0,
    links: 1,
    extendedAttributes: [],
    device: 0,
    content: [],
    ...fields,
  };
}

test('the files of a job arrive in a thread as they were planned', () => {
  const times = [
    0n,
    1n,
    -1n,
    -1_000_000_000_000_000_001n,
    1_700_000_000_123_456_789n,
    253_402_300_799_999_999_999n,
    zeroTimeNs,
  ];
  const builder = new JobBuilder('a'.repeat(64));
  const folders = [Buffer.from(''), Buffer.from('a/\xff', 'latin1')];
  const starts = ['make', 'replace', 'compare'] as const;
  const attributes = [{ name: 'user.x', value: Buffer.from([0, 255]) }];
  times.forEach((mtimeNs, index) => {
    const fields = {
      mode: 0o644 + 2 ** 23,
      uid: 2 ** 32 - 1,
      gid: index,
      extendedAttributes: index === 2 ? attributes : [],
    };
    const file = node(Buffer.from(`n\xe4me-${index}`, 'latin1'), mtimeNs, index % 2 ? mtimeNs : 7n, fields);
    builder.addFile({
      folder: folders[index % 2]!,
      start: starts[index % 3]!,
      node: file,
      sizeBytes: 2 ** 40 + index,
      isWhole: index !== 3,
      splitNumber: index === 3 ? 5 : -1,
    });
  });
  const files = new JobFiles(structuredClone(builder.build(1)));
  expect(files.count).toBe(times.length);
  times.forEach((mtimeNs, index) => {
    expect(files.folder(index)).toBe(index % 2 ? 'a/\xff' : '');
    expect(files.name(index).toString('latin1')).toBe(`n\xe4me-${index}`);
    expect(files.start(index)).toBe(starts[index % 3]);
    expect(files.sizeBytes(index)).toBe(2 ** 40 + index);
    expect([files.isWhole(index), files.splitNumber(index)]).toEqual(index === 3 ? [false, 5] : [true, -1]);
    const { extendedAttributes, ...others } = files.attributes(index);
    expect(others).toEqual({
      type: 'file',
      mode: 0o644 + 2 ** 23,
      uid: 2 ** 32 - 1,
      gid: index,
      mtimeNs,
      atimeNs: index % 2 ? mtimeNs : 7n,
    });
    expect(extendedAttributes.map(({ name, value }) => [name, ...value])).toEqual(
      index === 2 ? [['user.x', 0, 255]] : [],
    );
  });
});

test('the blobs of a job are in the order of the pack, and one that is used twice is there once', () => {
  const builder = new JobBuilder('a'.repeat(64));
  const [first, second] = ['1'.repeat(64), '2'.repeat(64)];
  const found = (offset: number) => ({
    packId: 'a'.repeat(64),
    offset,
    length: 132,
    uncompressedLength: offset === 0 ? 0 : 500,
  });
  const folder = Buffer.from('/target');
  for (const name of ['x', 'y']) {
    const file = builder.addFile({
      folder,
      start: 'make',
      node: node(Buffer.from(name), 0n, 0n),
      sizeBytes: 600,
      isWhole: true,
      splitNumber: -1,
    });
    builder.addUse(second, found(132), file, 0);
    builder.addUse(first, found(0), file, 500);
  }
  expect(builder.storedBytes).toBe(264);
  expect(builder.writtenBytes).toBe(1200);
  const { blobIds, blobSpans, uses, positions } = builder.build(0);
  expect(Buffer.from(blobIds).toString('hex')).toBe(first + second);
  expect([...blobSpans]).toEqual([0, 132, 0, 132, 132, 500]);
  expect([...uses]).toEqual([0, 0, 0, 1, 1, 0, 1, 1]);
  expect([...positions]).toEqual([500, 500, 0, 0]);
});
