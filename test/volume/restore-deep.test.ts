/** Folders deeper than the 4096 bytes that Linux takes as a path. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { restoreFolder } from '../../src/volume/restore.ts';
import { previewRestore } from '../../src/volume/restore-preview.ts';
import { CraftedRepository, craftedFolder, craftedNode } from '../fixtures/crafted-repository.ts';
import { tempDir } from '../setup/temp-dir.ts';

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
  const text = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%d %f %y %s %T@ %n %l\\n'], {
    cwd: target,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(name, 'd'));
}

test('are restored with all that is in them, corrected, verified, planned and deleted', async () => {
  const target = join(await tempDir(), 'target');
  // Node's rm knows no folders that deep.
  onTestFinished(() => void execFileSync('rm', ['-rf', target]));
  const restore = (options = {}) => restoreFolder(crafted.repository, { snapshot, target, workers: 2, ...options });
  expect(await restore({ verify: true })).toMatchObject({ errors: [], files: depth + 3, folders: depth });
  const after = found(target);
  expect(after).toHaveLength(3 * depth + 2 + 2);
  expect(after).toContain(`${depth + 1} file f 9 1600000000.1234567890 1 `);
  expect(after).toContain(`${depth + 1} hard f 9 1600000000.1234567890 2 `);
  expect(after).toContain(`${depth + 1} link l 4 1600000000.1234567890 1 file`);

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
});
