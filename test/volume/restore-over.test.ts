import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { newScene, type Scene } from './restore-scene.ts';

const mib = 1 << 20;

function fill(source: string): void {
  mkdirSync(join(source, 'docs', 'old'), { recursive: true });
  writeFileSync(join(source, 'large'), noise('large', 12 * mib));
  writeFileSync(join(source, 'middle'), noise('middle', 3 * mib));
  writeFileSync(join(source, 'empty'), '');
  writeFileSync(join(source, 'docs', 'a.txt'), 'first');
  writeFileSync(join(source, 'docs', 'b.pdf'), 'second');
  writeFileSync(join(source, 'docs', 'old', 'c.txt'), 'third');
  writeFileSync(join(source, 'linked'), noise('linked', 9 * mib));
  linkSync(join(source, 'linked'), join(source, 'docs', 'other-name'));
  symlinkSync('docs/a.txt', join(source, 'link'));
  execFileSync('mkfifo', [join(source, 'fifo')]);
  // Whole seconds, which Node can set again.
  execFileSync('sh', ['-c', 'find . -exec touch -h -d 2020-01-01 {} +'], { cwd: source });
}

/** Changes bytes within a file, and leaves its size and its time. */
function damageSilently(path: string, at: number): void {
  const { atime, mtime } = lstatSync(path);
  const bytes = readFileSync(path);
  bytes[at]! ^= 0xff;
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
}

describe('a restore over what is there', () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = await newScene(fill);
  });
  const inTarget = (...names: string[]) => join(scene.target, ...names);

  test('fetches and touches nothing that is right already', async () => {
    const first = await scene.restore();
    expect(first).toMatchObject({ files: 8, filesUnchanged: 0, errors: [], bytesUnchanged: 0 });
    expect(first.bytesFetched).toBeGreaterThan(20 * mib);
    const times = () =>
      execFileSync('find', [scene.target, '-mindepth', '1', '-printf', '%p %C@ %T@\\n'], { encoding: 'utf8' });
    const before = times();
    // Whatever asked for content now would fail.
    scene.loseContent();
    for (const overwrite of ['always', 'if-changed'] as const) {
      const again = await scene.restore({ overwrite });
      expect(again).toMatchObject({ files: 8, errors: [], bytesFetched: 0 });
      expect(again.filesUnchanged, overwrite).toBe(7);
    }
    expect(times()).toBe(before);
  });

  test('corrects only what differs within a file, and fetches only that', async () => {
    await scene.restore();
    damageSilently(inTarget('large'), 5 * mib);
    truncateSync(inTarget('middle'), 2 * mib);
    writeFileSync(inTarget('docs', 'a.txt'), 'much longer than it was');
    const inode = lstatSync(inTarget('large')).ino;
    const summary = await scene.restore({ overwrite: 'always' });
    expect(summary.errors).toEqual([]);
    expect(compareTrees(scene.source, scene.target)).toEqual([]);
    expect(lstatSync(inTarget('large')).ino).toBe(inode);
    expect(summary.bytesFetched).toBeLessThan(12 * mib);
    expect(summary.bytesUnchanged).toBeGreaterThan(18 * mib);
  });

  test('punches holes again where zeros were overwritten', async () => {
    const path = join(scene.source, 'sparse');
    writeFileSync(path, '');
    truncateSync(path, 20 * mib);
    await scene.backUp();
    await scene.restore({ overwrite: 'always' });
    writeFileSync(inTarget('sparse'), noise('garbage', 20 * mib));
    expect((await scene.restore({ overwrite: 'always' })).errors).toEqual([]);
    expect(compareTrees(scene.source, scene.target)).toEqual([]);
    expect(lstatSync(inTarget('sparse')).blocks).toBeLessThan(2000);
  });

  test('takes a file of the same size and time for right only with if-changed', async () => {
    await scene.restore();
    damageSilently(inTarget('middle'), 100);
    await scene.restore({ overwrite: 'if-changed' });
    expect(compareTrees(scene.source, scene.target)).toHaveLength(1);
    await scene.restore({ overwrite: 'always' });
    expect(compareTrees(scene.source, scene.target)).toEqual([]);
  });

  test('replaces with if-newer only what is older than in the backup', async () => {
    await scene.restore();
    writeFileSync(inTarget('docs', 'a.txt'), 'newer');
    writeFileSync(inTarget('docs', 'b.pdf'), 'older');
    utimesSync(inTarget('docs', 'b.pdf'), 1000, 1000);
    rmSync(inTarget('empty'));
    const summary = await scene.restore({ overwrite: 'if-newer' });
    expect(summary.errors).toEqual([]);
    expect(readFileSync(inTarget('docs', 'a.txt'), 'utf8')).toBe('newer');
    expect(readFileSync(inTarget('docs', 'b.pdf'), 'utf8')).toBe('second');
    expect(existsSync(inTarget('empty'))).toBe(true);
    expect(summary.leftAlone).toBeGreaterThan(3);
  });

  test('only adds with never', async () => {
    mkdirSync(inTarget('docs'), { recursive: true });
    writeFileSync(inTarget('docs', 'a.txt'), 'mine');
    writeFileSync(inTarget('linked'), 'mine, too');
    symlinkSync('elsewhere', inTarget('link'));
    const summary = await scene.restore({ overwrite: 'never', verify: true });
    expect(summary).toMatchObject({ errors: [], leftAlone: 3 });
    expect(readFileSync(inTarget('docs', 'a.txt'), 'utf8')).toBe('mine');
    expect(readFileSync(inTarget('linked'), 'utf8')).toBe('mine, too');
    // The other name gets the content of the backup, not that of the file that stays.
    expect(readFileSync(inTarget('docs', 'other-name'))).toEqual(readFileSync(join(scene.source, 'linked')));
    expect(readFileSync(inTarget('docs', 'old', 'c.txt'), 'utf8')).toBe('third');
  });

  test.each(['always', 'if-changed'] as const)(
    'changes nothing behind other names of a file (%s)',
    async (overwrite) => {
      const outside = join(await tempDir(), 'outside');
      await scene.restore();
      damageSilently(inTarget('large'), 1);
      linkSync(inTarget('large'), outside);
      linkSync(inTarget('empty'), `${outside}-empty`);
      chmodSync(inTarget('empty'), 0o600);
      utimesSync(inTarget('large'), 1000, 1000);
      const before = readFileSync(outside);
      expect((await scene.restore({ overwrite })).errors).toEqual([]);
      expect(compareTrees(scene.source, scene.target)).toEqual([]);
      expect(readFileSync(outside).equals(before)).toBe(true);
      expect(lstatSync(`${outside}-empty`).mode & 0o777).toBe(0o600);
    },
  );

  test('shows as a plan what it then does, and changes nothing for it', async () => {
    expect(await scene.plan()).toContain('create docs/old/c.txt');
    expect(existsSync(scene.target)).toBe(false);
    await scene.restore();
    damageSilently(inTarget('large'), 7);
    chmodSync(inTarget('middle'), 0o640);
    rmSync(inTarget('link'));
    writeFileSync(inTarget('link'), 'a file now');
    rmSync(inTarget('docs', 'old'), { recursive: true });
    writeFileSync(inTarget('docs', 'surplus'), 'mine');
    const plan = await scene.plan({ delete: true });
    expect(plan.filter((line) => line !== 'attributes docs').sort()).toEqual([
      'attributes middle',
      'create docs/old',
      'create docs/old/c.txt',
      'delete docs/surplus',
      'replace link',
      'update large',
    ]);
    expect(await scene.plan({ overwrite: 'never' })).toContain('leave large');
    await expect(scene.plan()).rejects.toMatchObject({ code: 'RESTORE_TARGET_UNUSABLE' });
    expect(readFileSync(inTarget('link'), 'utf8')).toBe('a file now');
    await scene.restore({ delete: true });
    expect(await scene.plan({ delete: true })).toEqual([]);
  });

  test('goes on where an unfinished one of the same backup was, and refuses that of another', async () => {
    await scene.restore();
    await expect(scene.restore()).rejects.toMatchObject({ code: 'RESTORE_TARGET_UNUSABLE' });
    const [id = ''] = readdirSync(join(scene.url, 'snapshots'));
    writeFileSync(inTarget(`.holdfast-restore-${id.slice(0, 16)}`), '');
    rmSync(inTarget('middle'));
    expect(await scene.restore()).toMatchObject({ errors: [], filesUnchanged: 6 });
    expect(compareTrees(scene.source, scene.target)).toEqual([]);
    writeFileSync(inTarget(`.holdfast-restore-${'0'.repeat(16)}`), '');
    await expect(scene.restore()).rejects.toThrow('unfinished restore of another backup, 00000000');
  });

  test('reads back what it wrote, and tells what the disk did not keep', async () => {
    expect((await scene.restore({ verify: true })).errors).toEqual([]);
    damageSilently(inTarget('middle'), 2 * mib);
    damageSilently(inTarget('docs', 'b.pdf'), 1);
    // if-changed takes both for right: what is wrong is then found by reading.
    const { errors } = await scene.restore({ overwrite: 'if-changed', verify: true });
    expect(errors.map(({ path }) => path).sort()).toEqual([inTarget('docs', 'b.pdf'), inTarget('middle')]);
    expect(errors[0]!.message).toContain('read back');
  });
});
