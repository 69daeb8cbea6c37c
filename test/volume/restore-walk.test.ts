import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import type { TreeNode } from '../../src/repository/format/tree.ts';
import { OpenFolders } from '../../src/volume/open-folders.ts';
import { EntryMaker } from '../../src/volume/restore-maker.ts';
import { Selection } from '../../src/volume/restore-selection.ts';
import { createFile, problemWithName } from '../../src/volume/restore-target.ts';
import { RestoreWalk } from '../../src/volume/restore-walk.ts';
import { AttributeWriter } from '../../src/volume/write-attributes.ts';
import { craftedFolder, craftedNode } from '../fixtures/crafted-node.ts';
import { tempDir } from '../setup/temp-dir.ts';

let target: string;
let outside: string;

beforeEach(async () => {
  const folder = await tempDir();
  target = join(folder, 'target');
  outside = join(folder, 'outside');
  mkdirSync(target);
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'untouched');
});

function symlink(name: string, linkTarget: string): TreeNode {
  return craftedNode(name, { type: 'symlink', content: null, linkTarget: Buffer.from(linkTarget) });
}

/** Restores trees that no repository needs to hold; files get their name as content. `before`: what happens before each file. */
async function walked(trees: Record<string, TreeNode[]>, replace = false, before: (name: string) => void = () => {}) {
  const errors: string[] = [];
  const onError = (path: string, message: string) => errors.push(`${path}: ${message}`);
  const targetFd = openSync(target, 'r');
  const folders = new OpenFolders(targetFd);
  const maker = new EntryMaker({
    folders,
    attributes: new AttributeWriter({ isPrivileged: false, newOwner: undefined, newHaveAttributes: false }),
    overwrite: replace ? 'always' : undefined,
    deletes: undefined,
    addFile: async (path, { name }, start) => {
      before(name.toString());
      const fd = createFile(folders.entry(path.toString('latin1'), name), start !== 'make');
      writeFileSync(fd, name);
      closeSync(fd);
    },
    holdsContent: async () => false,
    onError,
    show: (path) => path,
  });
  const walk = new RestoreWalk({
    loadTree: async (id) => {
      const nodes = trees[id];
      if (!nodes) throw new HoldfastError('FILE_NOT_FOUND', { kind: 'tree blob', name: id });
      return nodes;
    },
    selection: new Selection(),
    visitor: maker,
    onError,
    throwIfEnded: () => undefined,
  });
  await walk.run('root');
  maker.finish(errors.length > 0);
  folders.close();
  closeSync(targetFd);
  return { errors, counts: maker.counts };
}

describe('a tree that means harm', () => {
  test.each(['', '.', '..', '../outside/new', '/etc/new', 'a/b', 'a\0b', '/'])(
    'cannot name an entry %j',
    async (name) => {
      const trees = { root: [craftedNode(name), craftedFolder(name, 'root'), symlink(name, 'x')] };
      const { errors } = await walked(trees);
      expect(errors).toHaveLength(3);
      expect(errors.every((error) => error.includes('left out'))).toBe(true);
      expect(readdirSync(target)).toEqual([]);
      expect(readdirSync(outside)).toEqual(['secret']);
    },
  );

  test.each(['...', '..a', ' ', '\n', '-', '~'])('may well name an entry %j', (name) => {
    expect(problemWithName(Buffer.from(name))).toBeUndefined();
  });

  test.each([false, true])(
    'cannot lead out of the target by a link and a folder of one name (replace: %s)',
    async (replace) => {
      const link = symlink('name', outside);
      const trees = {
        root: [link, craftedFolder('name', 'below')],
        below: [craftedNode('new'), craftedNode('secret')],
      };
      for (const root of [trees.root, trees.root.toReversed()]) {
        const { errors } = await walked({ ...trees, root }, replace);
        expect(errors).not.toEqual([]);
        expect(readdirSync(outside)).toEqual(['secret']);
        expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched');
      }
    },
  );

  test('cannot hide a second entry of a name by an order of its own', async () => {
    const { errors } = await walked({
      root: [craftedNode('b'), craftedNode('a'), symlink('b', outside), craftedNode('c'), craftedNode('a')],
    });
    expect(errors.map((error) => error.split(':')[0])).toEqual(['b', 'a']);
    expect(readdirSync(target)).toEqual(['a', 'b', 'c']);
    expect(lstatSync(join(target, 'b')).isFile()).toBe(true);
  });

  test('cannot have a file written through a link that is in the target', async () => {
    symlinkSync(join(outside, 'secret'), join(target, 'name'));
    expect((await walked({ root: [craftedNode('name')] })).errors[0]).toContain('EEXIST');
    expect((await walked({ root: [craftedNode('name')] }, true)).errors).toEqual([]);
    expect(lstatSync(join(target, 'name')).isFile()).toBe(true);
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched');
  });
});

describe('somebody who swaps folders for links while they are filled', () => {
  const trees = {
    root: [craftedFolder('f', 'below')],
    below: [craftedNode('first'), craftedFolder('g', 'deep')],
    deep: [craftedNode('secret')],
  };

  test.each(['f', 'f/g'])('gets nothing written or changed outside of the target (%s)', async (swapped) => {
    const moved = join(target, 'moved');
    const swap = (name: string) => {
      if (name !== 'secret') return;
      renameSync(join(target, swapped), moved);
      symlinkSync(outside, join(target, swapped));
    };
    mkdirSync(join(outside, 'g'));
    const modeBefore = lstatSync(outside).mode;
    const { errors } = await walked(trees, false, swap);
    // Where it was held open, the file is in the folder that was meant, wherever that is now; else there is an error.
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('untouched');
    expect(readdirSync(outside).sort()).toEqual(['g', 'secret']);
    expect(readdirSync(join(outside, 'g'))).toEqual([]);
    expect(lstatSync(outside).mode).toBe(modeBefore);
    expect(errors).not.toEqual([]);
  });

  test('gets no attributes changed of what a file or folder was swapped for', async () => {
    const root = [
      { ...craftedNode('file'), mode: 0o777 },
      craftedFolder('f', 'below'),
      { ...craftedNode('z'), mode: 0o600 },
    ];
    const secretMode = lstatSync(join(outside, 'secret')).mode;
    const { errors } = await walked({ root, below: [] }, false, (name) => {
      if (name !== 'z') return;
      renameSync(join(target, 'f'), join(target, 'moved'));
      symlinkSync(outside, join(target, 'f'));
    });
    expect(errors.map((error) => error.split(':')[0])).toEqual(['f']);
    expect(lstatSync(outside).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(outside, 'secret')).mode).toBe(secretMode);
  });
});

describe('a tree that is broken', () => {
  test('costs only the entries that are broken', async () => {
    const { errors, counts } = await walked({
      root: [
        craftedNode('a'),
        craftedFolder('gone', 'not there'),
        { ...craftedFolder('no-subtree', ''), subtree: undefined } as unknown as TreeNode,
        craftedNode('odd', { type: 'irregular' as TreeNode['type'], content: null }),
        craftedNode('socket', { type: 'socket', content: null }),
        craftedNode('z'),
      ],
    });
    expect(errors.map((error) => error.split(':')[0])).toEqual(['no-subtree', 'odd', 'gone']);
    expect(counts).toMatchObject({ files: 2, skipped: 1 });
    expect(readdirSync(target)).toEqual(['a', 'gone', 'z']);
  });
});

describe('hard links', () => {
  const linked = { links: 2, inode: 7n, deviceId: 1n, content: ['c'.repeat(64)] };

  test('are made again across folders', async () => {
    const trees = { root: [craftedNode('a', linked), craftedFolder('f', 'f')], f: [craftedNode('b', linked)] };
    const { counts } = await walked(trees);
    expect(counts).toMatchObject({ files: 2, hardLinks: 1 });
    expect(lstatSync(join(target, 'f', 'b')).ino).toBe(lstatSync(join(target, 'a')).ino);
  });

  test('are not made of files whose content differs, whatever their inode says', async () => {
    await walked({ root: [craftedNode('a', linked), craftedNode('b', { ...linked, content: ['d'.repeat(64)] })] });
    expect(readFileSync(join(target, 'b'), 'utf8')).toBe('b');
  });

  test('are made of symbolic links, too', async () => {
    const link = { links: 2, inode: 9n, deviceId: 1n };
    const root = [
      { ...symlink('a', 'x'), ...link },
      { ...symlink('b', 'x'), ...link },
    ];
    expect((await walked({ root })).errors).toEqual([]);
    expect(lstatSync(join(target, 'b')).ino).toBe(lstatSync(join(target, 'a')).ino);
    expect(existsSync(join(target, 'x'))).toBe(false);
  });
});
