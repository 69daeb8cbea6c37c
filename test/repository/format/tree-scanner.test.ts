import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decodeTree, encodeTree, type TreeNode } from '../../../src/repository/format/tree.ts';
import { TreeScanner } from '../../../src/repository/format/tree-scanner.ts';
import { openLargeTree } from '../../../src/repository/large-tree.ts';

function node(name: string, fields: Partial<TreeNode> = {}): TreeNode {
  const times = { mtimeNs: 1n, atimeNs: 1n, ctimeNs: 1n };
  const ids = { uid: 1, gid: 2, user: 'ann', group: '', inode: 2n ** 63n, deviceId: 0n };
  const rest = { sizeBytes: 0, links: 1, extendedAttributes: [], device: 0, content: [] };
  return { name: Buffer.from(name, 'latin1'), type: 'file', mode: 0o644, ...times, ...ids, ...rest, ...fields };
}

const id = (digit: number) => createHash('sha256').update(String(digit)).digest('hex');

/** Some nodes of every kind that could confuse a reader of bytes, one with a long list of blobs. */
const nodes = [
  node('"nodes":[{}]', { extendedAttributes: [{ name: 'content', value: Buffer.from('[') }] }),
  node('content', { content: [id(1), id(2), id(2)] }),
  node('long', { content: [...Array<string>(3000).fill(id(1)), id(2), ...Array<string>(2000).fill(id(3))] }),
  node('x\xff\\"', { type: 'symlink', content: null, linkTarget: Buffer.from('},{"content":["') }),
  node('z', { type: 'dir', content: null, subtree: id(9) }),
];

function scanned(bytes: Buffer, pieceBytes: number) {
  const scanner = new TreeScanner('tree');
  const found: { node: TreeNode; content: string[] | null }[] = [];
  const parts = [];
  for (let at = 0; at < bytes.length; at += pieceBytes)
    parts.push(...scanner.push(bytes.subarray(at, at + pieceBytes)));
  parts.push(...scanner.end());
  for (const part of parts) {
    part.nodes.forEach((one, index) => {
      const runs = part.long.get(index);
      const content = runs ? [...runs].flatMap((run) => Array<string>(run.count).fill(run.id)) : one.content;
      found.push({ node: { ...one, content: null }, content: content as string[] | null });
    });
  }
  return found;
}

describe('a tree read from pieces', () => {
  const expected = nodes.map((one) => ({ node: { ...one, content: null }, content: one.content }));

  test.each([1, 2, 3, 7, 64, 65, 66, 67, 1000, 65_536, 10_000_000])('of %i bytes has all its nodes', (pieceBytes) => {
    expect(scanned(encodeTree(nodes), pieceBytes)).toEqual(expected);
  });

  test('may have spaces, other fields around the nodes, and no nodes at all', () => {
    const foreign = JSON.stringify(
      { before: [{ nodes: [1] }], ...JSON.parse(String(encodeTree(nodes.slice(1, 4)))), z: 1 },
      null,
      2,
    );
    expect(scanned(Buffer.from(foreign), 50).map((found) => found.content?.length)).toEqual([3, 5001, undefined]);
    expect(scanned(Buffer.from('{"nodes": []}\n'), 3)).toEqual([]);
  });

  test('has many nodes in several parts, each decoded as decodeTree does it', () => {
    const many = Array.from({ length: 5000 }, (_, at) =>
      node(`file-${String(at).padStart(5, '0')}`, { content: [id(at)] }),
    );
    const bytes = encodeTree(many);
    expect(scanned(bytes, 100_000).map(({ node: one, content }) => ({ ...one, content }))).toEqual(decodeTree(bytes));
  });

  test.each([
    ['is cut off', encodeTree(nodes).subarray(0, -5)],
    ['is cut off within a list of ids', encodeTree(nodes).subarray(0, 200_000)],
    ['has no nodes', Buffer.from('{"nodes":null}')],
    ['closes more than it opens', Buffer.from('{"nodes":[]}}')],
    [
      'has ids that are none',
      Buffer.from(`{"nodes":[{"name":"x","content":["${id(1)}"${`,"${'x'.repeat(64)}"`.repeat(2000)}]}]}`),
    ],
  ])('that %s is damaged', (_, bytes) => {
    expect(() => scanned(bytes, 1000)).toThrow(expect.objectContaining({ code: 'TREE_DAMAGED' }));
  });
});

describe('a large tree', () => {
  const plain = encodeTree(nodes);
  const name = createHash('sha256').update(plain).digest('hex');

  test('is read as often as it is asked for, compressed or not', async () => {
    for (const [opened, length] of [
      [zstdCompressSync(plain), plain.length],
      [plain, 0],
    ] as const) {
      const tree = await openLargeTree(name, opened, length);
      for (let round = 0; round < 2; round++) {
        let count = 0;
        for await (const part of tree.parts()) count += part.nodes.length;
        expect(count).toBe(nodes.length);
      }
    }
  });

  test('that is damaged, too long or too short is refused before any of it is used', async () => {
    const frame = zstdCompressSync(plain);
    const cut = frame.subarray(0, -10);
    const flipped = Buffer.from(frame);
    flipped[40]! ^= 4;
    for (const [opened, length] of [
      [frame, plain.length - 1],
      [frame, plain.length + 1],
      [cut, plain.length],
      [flipped, plain.length],
    ] as const) {
      await expect(openLargeTree(name, opened, length)).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
    }
    await expect(openLargeTree(id(1), frame, plain.length)).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
  });
});
