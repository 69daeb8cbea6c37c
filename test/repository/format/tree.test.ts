import { expect, test } from 'vitest';
import { zeroTimeNs } from '../../../src/repository/format/time.ts';
import {
  decodeTree,
  encodeNode,
  encodeNodeHead,
  encodeNodeTail,
  encodeTree,
  type TreeNode,
} from '../../../src/repository/format/tree.ts';

const idA = 'a1'.repeat(32);
const idB = 'b2'.repeat(32);

const file: TreeNode = {
  name: Buffer.from('a.txt'),
  type: 'file',
  mode: 420,
  mtimeNs: 1_407_493_230_123_456_700n,
  atimeNs: 1_407_493_230_123_456_700n,
  ctimeNs: 1_407_493_231_000_000_000n,
  uid: 1000,
  gid: 100,
  user: 'anna',
  group: 'users',
  inode: 17n,
  deviceId: 0n,
  sizeBytes: 5,
  links: 1,
  extendedAttributes: [],
  device: 0,
  content: [idA, idB],
};

test('a file is written in the order and with the omissions of restic', () => {
  expect(encodeNode(file)).toBe(
    '{"name":"a.txt","type":"file","mode":420,"mtime":"2014-08-08T10:20:30.1234567Z",' +
      '"atime":"2014-08-08T10:20:30.1234567Z","ctime":"2014-08-08T10:20:31Z","uid":1000,"gid":100,"user":"anna",' +
      `"group":"users","inode":17,"size":5,"links":1,"content":["${idA}","${idB}"]}`,
  );
});

test('an empty file has an empty list of content, and zero fields are left out', () => {
  const bare = { ...file, name: Buffer.from('e'), mode: 0, user: '', group: '', inode: 0n, sizeBytes: 0, links: 0 };
  expect(encodeNode({ ...bare, uid: 0, gid: 0, content: [] })).toBe(
    '{"name":"e","type":"file","mtime":"2014-08-08T10:20:30.1234567Z","atime":"2014-08-08T10:20:30.1234567Z",' +
      '"ctime":"2014-08-08T10:20:31Z","uid":0,"gid":0,"content":[]}',
  );
});

test('a directory has no content and a subtree', () => {
  const node: TreeNode = {
    ...file,
    type: 'dir',
    mode: 2_147_484_141,
    sizeBytes: 0,
    links: 0,
    content: null,
    subtree: idB,
  };
  expect(encodeNode(node)).toMatch(/"inode":17,"content":null,"subtree":"(b2){32}"}$/);
});

test('a link target that is not UTF-8 is there readable and raw', () => {
  const node: TreeNode = { ...file, type: 'symlink', linkTarget: Buffer.from('000102fafbfc', 'hex'), content: null };
  expect(encodeNode(node)).toContain(
    '"linktarget":"\\u0000\\u0001\\u0002\\ufffd\\ufffd\\ufffd","linktarget_raw":"AAEC+vv8","content":null',
  );
  expect(encodeNode({ ...node, linkTarget: Buffer.from('ok<\ufffd>') })).toContain(
    '"linktarget":"ok\\u003c\ufffd\\u003e","content":null',
  );
  expect(decodeTree(encodeTree([node]))).toEqual([node]);
});

test('extended attributes keep order, and empty values stay', () => {
  const extendedAttributes = [
    { name: 'user.b', value: Buffer.from('x') },
    { name: 'user.a', value: Buffer.alloc(0) },
  ];
  const node = { ...file, extendedAttributes };
  expect(encodeNode(node)).toContain(
    '"extended_attributes":[{"name":"user.b","value":"eA=="},{"name":"user.a","value":""}],"content"',
  );
  expect(decodeTree(encodeTree([node]))).toEqual([node]);
});

test('head, ids and tail together are the node', () => {
  const node: TreeNode = { ...file, type: 'dir', content: null, subtree: idA };
  expect(`${encodeNodeHead(node)}null${encodeNodeTail(node)}`).toBe(encodeNode(node));
});

test('a tree reads back as it was written', () => {
  const nodes: TreeNode[] = [
    { ...file, name: Buffer.from([0xff, 0x0a, 0x22]), deviceId: 2n ** 64n - 1n, inode: 2n ** 63n + 1n, links: 2 },
    { ...file, type: 'chardev', mode: 69_206_436, device: 259, content: null, sizeBytes: 0 },
  ];
  const bytes = encodeTree(nodes);
  expect(bytes.toString()).toMatch(/^\{"nodes":\[.*\]\}\n$/);
  expect(decodeTree(bytes)).toEqual(nodes);
});

test('integers of 64 bits stay exact, also with blanks and beside strings that look like fields', () => {
  const text =
    '{"nodes":[{"name":"\\\\\\"inode\\\\\\":1234567890123456789","type":"file",' +
    '"inode" : 18446744073709551615,"device_id":9007199254740993,"size":9007199254740991,"content":null}]}';
  const [node] = decodeTree(Buffer.from(text));
  expect(node?.inode).toBe(2n ** 64n - 1n);
  expect(node?.deviceId).toBe(9_007_199_254_740_993n);
  expect(node?.sizeBytes).toBe(9_007_199_254_740_991);
  expect(node?.name.toString()).toBe('"inode":1234567890123456789');
});

test('trees of other tools are read: any order, unknown fields, missing times, null lists', () => {
  const text = ` {"extra":1, "nodes": [ {"content":null,"new":{"a":[1]},"type":"fifo","extended_attributes":null,"name":"p"} ] } `;
  const [node] = decodeTree(Buffer.from(text));
  expect(node).toMatchObject({
    type: 'fifo',
    mtimeNs: zeroTimeNs,
    atimeNs: zeroTimeNs,
    uid: 0,
    content: null,
    inode: 0n,
  });
  expect(decodeTree(Buffer.from('{"nodes":null}'))).toEqual([]);
});

test.each([
  ['no JSON', '{"nodes":'],
  ['no object', '[]'],
  ['nodes that are no objects', '{"nodes":[1]}'],
  ['content that is no id', '{"nodes":[{"name":"a","type":"file","content":["xyz"]}]}'],
  ['a subtree that is no id', '{"nodes":[{"name":"a","type":"dir","subtree":"../x"}]}'],
  ['a time that is none', '{"nodes":[{"name":"a","type":"file","mtime":"yesterday"}]}'],
  ['a size beyond 2^53', '{"nodes":[{"name":"a","type":"file","size":18446744073709551615}]}'],
  ['a fraction for a size', '{"nodes":[{"name":"a","type":"file","size":1.5}]}'],
  ['a broken name', '{"nodes":[{"name":"a\\\\","type":"file"}]}'],
])('a tree with %s is reported as damaged', (_, text) => {
  expect(() => decodeTree(Buffer.from(text), idA)).toThrow(expect.objectContaining({ code: 'TREE_DAMAGED' }));
});
