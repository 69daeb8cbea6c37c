import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Selection, type SelectionRules } from '../../src/volume/restore-selection.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { testWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { newScene, password, type Scene } from './restore-scene.ts';

const files = [
  'a.txt',
  'b.log',
  'docs/a.txt',
  'docs/B.TXT',
  'docs/deep/er/c.txt',
  'docs/deep/d.log',
  'other/x/y.txt',
  'z/z',
];

function make(root: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), path);
  }
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return all.filter((path) => !lstatSync(join(folder, path)).isDirectory()).sort();
}

describe('what is restored', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await newScene((source) => make(source, files));
  });

  const cases: [SelectionRules, string[]][] = [
    [{ include: ['*.txt'] }, ['a.txt', 'docs/a.txt', 'docs/deep/er/c.txt', 'other/x/y.txt']],
    [{ includeIgnoringCase: ['*.TxT'] }, ['a.txt', 'docs/B.TXT', 'docs/a.txt', 'docs/deep/er/c.txt', 'other/x/y.txt']],
    [{ include: ['/docs/deep'] }, ['docs/deep/d.log', 'docs/deep/er/c.txt']],
    [{ include: ['/docs/**/*.log', '/z'] }, ['docs/deep/d.log', 'z/z']],
    [{ include: ['docs', '!*.log'] }, ['docs/B.TXT', 'docs/a.txt', 'docs/deep/er/c.txt']],
    [{ exclude: ['*.txt'] }, ['b.log', 'docs/B.TXT', 'docs/deep/d.log', 'z/z']],
    [{ exclude: ['/docs'] }, ['a.txt', 'b.log', 'other/x/y.txt', 'z/z']],
    [{ excludeIgnoringCase: ['*.txt'], exclude: ['z'] }, ['b.log', 'docs/deep/d.log']],
  ];

  test.each(cases)('by %j is what restic would restore', async (select, expected) => {
    const target = join(await tempDir(), 'target');
    const { errors } = await scene.restore({ target, select });
    expect(errors).toEqual([]);
    expect(filesIn(target)).toEqual(expected);
  });

  testWith('restic', 'is the same that restic restores of our backup, pattern by pattern', async () => {
    const env = { RESTIC_REPOSITORY: scene.url, RESTIC_PASSWORD: password };
    const flags = {
      include: '--include',
      includeIgnoringCase: '--iinclude',
      exclude: '--exclude',
      excludeIgnoringCase: '--iexclude',
    };
    // Those with a `!` are for restic 0.15 and later.
    for (const [rules, expected] of cases.filter(([{ include }]) => !include?.some((text) => text.startsWith('!')))) {
      const target = join(await tempDir(), 'target');
      const args = Object.entries(rules).flatMap(([name, patterns]) =>
        patterns.flatMap((pattern: string) => [flags[name as keyof typeof flags], pattern]),
      );
      await restic(['restore', 'latest', '--target', target, ...args], { env });
      expect(filesIn(target), JSON.stringify(rules)).toEqual(expected);
    }
  });

  test('makes no folders in which nothing is selected, and gives those on the way their attributes', async () => {
    const target = join(await tempDir(), 'target');
    await scene.restore({ target, select: { include: ['c.txt'] } });
    expect(readdirSync(target)).toEqual(['docs']);
    const different = compareTrees(scene.source, target).filter((line) => !line.includes('missing on the right'));
    expect(different).toEqual([]);
  });

  test('leaves folders that are there and are not selected as they are', async () => {
    const target = await tempDir();
    mkdirSync(join(target, 'docs'), { mode: 0o711 });
    writeFileSync(join(target, 'docs', 'mine'), '');
    utimesSync(join(target, 'docs'), 1000, 1000);
    await scene.restore({ target, overwrite: 'always', select: { include: ['docs/a.txt'] } });
    expect(lstatSync(join(target, 'docs')).mode & 0o777).toBe(0o711);
    expect(readdirSync(join(target, 'docs'))).toEqual(['a.txt', 'mine']);
  });

  test('begins at the folder of the backup that is restored', async () => {
    const target = join(await tempDir(), 'target');
    await scene.restore({ target, subfolder: '/docs', select: { include: ['/deep'] } });
    expect(filesIn(target)).toEqual(['deep/d.log', 'deep/er/c.txt']);
  });

  test.each([{ include: ['['] }, { exclude: [''] }, { include: ['a'], exclude: ['b'] }])('refuses %j', (rules) => {
    expect(() => new Selection(rules)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('deleting what the backup does not have', () => {
  let scene: Scene;
  const surplus = ['mine.txt', 'docs/mine.log', 'docs/deep/er/mine.txt', 'new/folder/deep.txt', 'new/b.log'];
  beforeEach(async () => {
    scene = await newScene((source) => make(source, files));
    await scene.restore();
    make(scene.target, surplus);
  });
  const left = () => filesIn(scene.target).filter((path) => !files.includes(path));

  test('makes the target equal to the backup', async () => {
    symlinkSync('/etc', join(scene.target, 'to-etc'));
    mkdirSync(join(scene.target, 'lost+found'));
    const summary = await scene.restore({ delete: true });
    expect(summary).toMatchObject({ errors: [], deleted: 8 });
    expect(compareTrees(scene.source, scene.target)).toEqual(['lost+found: missing on the left']);
    expect(existsSync('/etc/passwd')).toBe(true);
  });

  test('deletes only what is selected', async () => {
    await scene.restore({ delete: true, select: { include: ['*.txt'] } });
    expect(left()).toEqual(['docs/mine.log', 'new/b.log']);
    expect(existsSync(join(scene.target, 'new', 'folder'))).toBe(true);
  });

  test('spares what is excluded, and folders with something excluded in them', async () => {
    await scene.restore({ delete: true, select: { exclude: ['*.log', '/docs/deep'] } });
    expect(left()).toEqual(['docs/deep/er/mine.txt', 'docs/mine.log', 'new/b.log']);
    expect(existsSync(join(scene.target, 'new', 'folder'))).toBe(false);
  });

  test('clears a folder that is in the way of a file', async () => {
    await scene.restore({ overwrite: 'always' });
    execFileSync('sh', ['-c', 'rm a.txt && mkdir -p a.txt/with && echo x > a.txt/with/content'], { cwd: scene.target });
    const { errors } = await scene.restore({ overwrite: 'always' });
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('ENOTEMPTY')]);
    expect((await scene.restore({ delete: true })).errors).toEqual([]);
    expect(compareTrees(scene.source, scene.target)).toEqual([]);
  });

  test('deletes nothing where something could not be restored', async () => {
    rmSync(join(scene.target, 'z'), { recursive: true });
    writeFileSync(join(scene.target, 'z'), 'a file in the way of the folder');
    const summary = await scene.restore({ overwrite: 'never', delete: true });
    expect(summary.errors.map(({ path }) => path)).toEqual([join(scene.target, 'z')]);
    expect(summary.deleted).toBe(0);
    expect(left()).toEqual([...surplus, 'z'].sort());
  });

  testWith('mount', 'does not enter another file system', async () => {
    const mounted = join(scene.target, 'new', 'mounted');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mounted]);
    try {
      writeFileSync(join(mounted, 'precious'), '');
      const { errors } = await scene.restore({ delete: true });
      expect(errors.map(({ path }) => path)).toEqual([mounted]);
      expect(readdirSync(mounted)).toEqual(['precious']);
    } finally {
      execFileSync('umount', [mounted]);
    }
  });
});
