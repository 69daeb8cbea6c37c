/** Folders deeper than the 4096 bytes that Linux takes as a path. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { backupFolder } from '../../src/volume/backup.ts';
import { emptyFolder } from '../../src/volume/empty-folder.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { previewRestore } from '../../src/volume/restore-preview.ts';
import { craftedFolder, craftedNode } from '../fixtures/crafted-node.ts';
import { CraftedRepository } from '../fixtures/crafted-repository.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { newScene } from './restore-scene.ts';

const depth = 150;
const name = 'd'.repeat(100);

let crafted: CraftedRepository;
let snapshot: { id: string; tree: string };

beforeAll(async () => {
  crafted = await CraftedRepository.create(join(await tempDir(), 'repository'), 'secret');
  const content = Buffer.from('deep down');
  const file = { content: [crafted.add('data', content)], sizeBytes: content.length };
  const linked = { ...file, links: 2, inode: 5n, deviceId: 1n };
  let tree = '';
  for (let level = 0; level <= depth; level++) {
    const nodes = [
      craftedNode('file', file),
      craftedNode('link', { type: 'symlink', content: null, linkTarget: Buffer.from('file') }),
    ];
    if (level === 0 || level === depth) nodes.splice(1, 0, craftedNode('hard', linked));
    tree = crafted.addTree(level === 0 ? nodes : [craftedFolder(name, tree), ...nodes]);
  }
  snapshot = { id: await crafted.finish(tree), tree };
});

/** What find says, which goes down step by step. */
function found(target: string): string[] {
  const line = '%f %y %T@ %n %l\\n';
  const args = [
    '.',
    '-mindepth',
    '1',
    '-type',
    'd',
    '-printf',
    `%d - ${line}`,
    '-o',
    '-mindepth',
    '1',
    '-printf',
    `%d %s ${line}`,
  ];
  const text = execFileSync('find', args, { cwd: target, encoding: 'utf8', maxBuffer: 1 << 26 });
  return text
    .slice(0, -1)
    .split('\n')
    .map((one) => one.replace(name, 'd'));
}

test('are restored with all that is in them, corrected, verified, planned and deleted', async () => {
  const target = join(await tempDir(), 'target');
  // Node's rm knows no folders that deep.
  onTestFinished(() => void execFileSync('rm', ['-rf', target]));
  const restore = (options = {}) => restoreFolder(crafted.repository, { snapshot, target, workers: 2, ...options });
  expect(await restore({ verify: true })).toMatchObject({ errors: [], files: depth + 3, folders: depth });
  const after = found(target);
  expect(after).toHaveLength(3 * depth + 2 + 2);
  expect(after).toContain(`${depth + 1} 9 file f 1600000000.1234567890 1 `);
  expect(after).toContain(`${depth + 1} 9 hard f 1600000000.1234567890 2 `);
  expect(after).toContain(`${depth + 1} 4 link l 1600000000.1234567890 1 file`);

  execFileSync(
    'bash',
    [
      '-c',
      `for n in $(seq ${depth}); do cd -P ${name}; done; echo other > file; mkdir -p new/folder; echo x > new/folder/y`,
    ],
    { cwd: target },
  );
  const actions = new Map<string, number>();
  const onEntry = ({ action }: { action: string }) => actions.set(action, (actions.get(action) ?? 0) + 1);
  const onError = (path: Buffer, message: string) => expect.fail(`${path}: ${message}`);
  await previewRestore(crafted.repository, { snapshot, target, delete: true, onEntry, onError });
  expect([actions.get('update'), actions.get('delete'), actions.get('create')]).toEqual([1, 3, undefined]);
  expect(await restore({ delete: true })).toMatchObject({ errors: [], deleted: 3, filesUnchanged: depth + 1 });
  expect(found(target).sort()).toEqual(after.sort());
  await emptyFolder(target);
  expect(readdirSync(target)).toEqual([]);
});

test('are backed up with all that is in them, and come back equal', async () => {
  const scene = await newScene((source) => {
    mkdirSync(source);
    onTestFinished(() => void execFileSync('rm', ['-rf', source, join(source, '../target')]));
    // One step at a time: no path is longer than the kernel takes. The last file is large enough to be read in segments.
    const script = `for n in $(seq 60); do mkdir ${name}; cd -P ${name}; echo $n > file; ln -s file link; done
      head -c 5000000 /dev/urandom > large; setfattr -n user.x -v y large; touch skipped`;
    execFileSync('bash', ['-c', script], { cwd: source });
  });
  for (const round of [1, 2]) {
    const exclude = { patterns: ['skipped'], oneFileSystem: true };
    const { source, repository } = scene;
    const summary = await backupFolder(repository, { source, host: 'host', paths: [source], tags: [], exclude });
    expect(summary, `round ${round}`).toMatchObject({ errors: [], filesVanished: 0 });
  }
  expect((await scene.restore()).errors).toEqual([]);
  const expected = found(scene.source).filter((line) => !line.includes(' skipped '));
  expect(found(scene.target).sort()).toEqual(expected.sort());
  const digest = (folder: string) =>
    execFileSync('bash', ['-c', `for n in $(seq 60); do cd -P ${name}; done; sha256sum large; getfattr -d large`], {
      cwd: folder,
      encoding: 'utf8',
    });
  expect(digest(scene.target)).toBe(digest(scene.source));
});
