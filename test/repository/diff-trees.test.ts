/** Trees that no file system makes, and differences that restic does not tell. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import type { BlobReader } from '../../src/repository/blob-reader.ts';
import { diffTrees, type TreeChange } from '../../src/repository/diff-trees.ts';
import { encodeTree, type TreeNode } from '../../src/repository/format/tree.ts';
import { LoadedIndex } from '../../src/repository/load-index.ts';
import { walkTree } from '../../src/repository/walk-tree.ts';

const plain = {
  mode: 0o644,
  mtimeNs: 0n,
  atimeNs: 0n,
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
};

function file(name: string, more: Partial<TreeNode> = {}): TreeNode {
  return { ...plain, name: Buffer.from(name), type: 'file', content: [], ...more };
}

function folder(name: string, subtree: string): TreeNode {
  return { ...plain, name: Buffer.from(name), type: 'dir', mode: 2 ** 31 + 0o755, content: null, subtree };
}

/** Trees in memory, by the ids that a repository would give them. */
class Forest {
  readonly #trees = new Map<string, readonly TreeNode[]>();
  readonly index = new LoadedIndex(BlobIndex.create(5000), ['aa']);
  loads = 0;

  add(...nodes: TreeNode[]): string {
    const hash = createHash('sha256').update(encodeTree(nodes)).digest();
    this.index.blobs.add('tree', hash, { pack: 0, offset: 0, length: 132, uncompressedLength: 0 });
    this.#trees.set(hash.toString('hex'), nodes);
    return hash.toString('hex');
  }

  get reader(): BlobReader {
    const loadTree = (id: string) => {
      this.loads += 1;
      return Promise.resolve(this.#trees.get(id));
    };
    return { loadTree } as unknown as BlobReader;
  }

  async diff(before: string, after: string) {
    const changes: string[] = [];
    const onChange = ({ change, path, fields }: TreeChange): void => {
      changes.push([change, path.toString(), ...fields].join(' '));
    };
    const summary = await diffTrees(this.reader, this.index, { before, after }, { onChange });
    return { changes, summary };
  }
}

test('a folder in the place of a file tells the new type, and all that is new below it', async () => {
  const forest = new Forest();
  const below = forest.add(file('inside'), folder('more', forest.add(file('deep'))));
  const before = forest.add(file('a'), file('x'));
  const after = forest.add(file('a'), folder('x', below));
  expect((await forest.diff(before, after)).changes).toEqual([
    'type /x',
    'added /x/inside',
    'added /x/more',
    'added /x/more/deep',
  ]);
  const { changes, summary } = await forest.diff(after, before);
  expect(changes).toEqual(['type /x', 'removed /x/inside', 'removed /x/more', 'removed /x/more/deep']);
  expect(summary).toMatchObject({
    removed: { files: 2, folders: 1, treeBlobs: 3, bytes: 300 },
    added: { treeBlobs: 1 },
  });
});

test('what copying a volume changes is no difference: inode, device, ctime, order of attributes', async () => {
  const forest = new Forest();
  const attributes = ['user.a', 'user.b'].map((name) => ({ name, value: Buffer.from(name) }));
  const before = forest.add(file('x', { extendedAttributes: attributes }));
  const copy = { inode: 99n, deviceId: 7n, ctimeNs: 5n, atimeNs: 6n, extendedAttributes: attributes.toReversed() };
  expect((await forest.diff(before, forest.add(file('x', copy)))).changes).toEqual([]);
  const changed = forest.add(file('x', { ...copy, mode: 0o600, uid: 1, extendedAttributes: attributes.slice(1) }));
  expect((await forest.diff(before, changed)).changes).toEqual(['metadata /x mode uid extendedAttributes']);
});

test('another target of a link and another device are other content', async () => {
  const forest = new Forest();
  const link = (target: string): TreeNode =>
    file('l', { type: 'symlink', content: null, linkTarget: Buffer.from(target) });
  const device = (number: number): TreeNode => file('d', { type: 'dev', content: null, device: number });
  const { changes } = await forest.diff(forest.add(device(1), link('a')), forest.add(device(2), link('b')));
  expect(changes).toEqual(['modified /d', 'modified /l']);
});

test('equal folders are not compared, and a tree is read once however often it is used', async () => {
  const forest = new Forest();
  let tree = forest.add(file('leaf'));
  for (let level = 0; level < 200; level++) tree = forest.add(folder('a', tree), folder('b', tree));
  const { changes } = await forest.diff(forest.add(folder('x', tree)), forest.add(folder('x', tree), file('y')));
  expect(changes).toEqual(['added /y']);
  expect(forest.loads).toBeLessThan(500);
});

test.each(['..', '.', 'a/b', 'zero\0', ''])('an entry called %j stops the walk', async (name) => {
  const forest = new Forest();
  const walk = async (): Promise<string[]> => {
    const paths: string[] = [];
    for await (const { path } of walkTree(forest.reader, forest.add(file('ok'), file(name))))
      paths.push(path.toString());
    return paths;
  };
  await expect(walk()).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
});

test('a walk ends at a depth that no file system has, and can be stopped anywhere', async () => {
  const loadTree = () => Promise.resolve([folder('d', '00'.repeat(32))]);
  let deepest = 0;
  const walk = async (signal?: AbortSignal): Promise<void> => {
    const options = signal === undefined ? {} : { signal };
    for await (const { path } of walkTree({ loadTree }, '00', options)) deepest = path.length / 2;
  };
  await expect(walk()).rejects.toMatchObject({ code: 'TREE_DAMAGED' });
  expect(deepest).toBeGreaterThan(10_000);
  await expect(walk(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
