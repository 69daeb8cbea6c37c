import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NodeHead } from '../../../src/repository/format/node-head.ts';
import { encodeNodeHead, type TreeNode } from '../../../src/repository/format/tree.ts';
import { holds } from '../../setup/properties.ts';

const users = new Map([
  [0, 'root'],
  [7, ''],
  [9, 'ä "<&>\u2028'],
]);
const names = { user: (uid: number) => users.get(uid) ?? '', group: (gid: number) => users.get(gid) ?? 'staff' };
const nsPerSecond = 1_000_000_000n;

const file = fc.record({
  name: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 255 }),
    fc.constantFrom(...['a', 'plain name.txt', 'q"<&>\\', 'ü', '\x00\x7f'].map((text) => Buffer.from(text))),
  ),
  mode: fc.constantFrom(0, 0o644, 0o777 + (1 << 23), 2 ** 31 + 0o755),
  mtimeSeconds: fc.oneof(
    fc.integer({ min: -70_000_000_000, max: 260_000_000_000 }),
    fc.constantFrom(0, -1, 1_790_000_000),
  ),
  mtimeNanoseconds: fc.oneof(
    fc.integer({ min: 0, max: 999_999_999 }),
    fc.constantFrom(0, 1, 10, 100_000_000, 120_000_000),
  ),
  ctimeSeconds: fc.constantFrom(1_790_000_000, 1_790_000_001, -5),
  ctimeNanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  uid: fc.constantFrom(0, 7, 9, 1000, 2 ** 32 - 2),
  gid: fc.constantFrom(0, 7, 9, 1000),
  inode: fc.oneof(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 1n, max: 5_000_000_000n })),
  sizeBytes: fc.oneof(fc.constantFrom(0, 1, 9, 10, 2 ** 31 - 1, 2 ** 31, 2 ** 40), fc.nat()),
});
type PlainFile = typeof file extends fc.Arbitrary<infer T> ? T : never;

function nodeOf(file: PlainFile): Omit<TreeNode, 'content' | 'subtree'> {
  const mtimeNs = BigInt(file.mtimeSeconds) * nsPerSecond + BigInt(file.mtimeNanoseconds);
  return {
    name: Buffer.from(file.name),
    type: 'file',
    mode: file.mode,
    mtimeNs,
    atimeNs: mtimeNs,
    ctimeNs: BigInt(file.ctimeSeconds) * nsPerSecond + BigInt(file.ctimeNanoseconds),
    uid: file.uid,
    gid: file.gid,
    user: names.user(file.uid),
    group: names.group(file.gid),
    inode: file.inode,
    deviceId: 0n,
    sizeBytes: file.sizeBytes,
    links: 1,
    extendedAttributes: [],
    device: 0,
  };
}

describe('the head of a node as bytes', () => {
  it('is that of encodeNodeHead, whatever was in the memory before', () => {
    const head = new NodeHead(names);
    holds(
      fc.property(file, (one) => {
        const latin1 = Buffer.from(one.name).toString('latin1');
        head.setPlainFile(latin1, one.mode, { ...one, inodeNumber: Number(one.inode) }, one.sizeBytes);
        expect(head.bytes.toString('utf8', 0, head.length)).toBe(encodeNodeHead(nodeOf(one)));
      }),
    );
  });

  it('takes a text of any length', () => {
    const head = new NodeHead(names);
    const text = 'ä'.repeat(100_000);
    head.setText(text);
    expect(head.bytes.toString('utf8', 0, head.length)).toBe(text);
  });
});
