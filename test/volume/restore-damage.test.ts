import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlobReader } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import { backedUp, opened, type ResticBackup, restored } from '../fixtures/restic-backup.ts';
import { describeWith } from '../setup/needs.ts';

describeWith('restic', 'a restore from a damaged repository', () => {
  /** Twelve files of 1 MiB, each a blob or two. */
  function fill(source: string): void {
    for (let number = 0; number < 12; number++)
      writeFileSync(join(source, `file-${number}`), noise(`${number}`, 1 << 20));
  }

  /** The packs by size: the smallest are the trees. */
  function packs({ url }: ResticBackup): string[] {
    const paths = readdirSync(join(url, 'data'), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(url, 'data', name),
    );
    const files = paths.filter((path) => lstatSync(path).isFile());
    return files.sort((a, b) => lstatSync(a).size - lstatSync(b).size);
  }

  test('tells each file that has a damaged part, and restores all others', async () => {
    const fixture = await backedUp(fill);
    const pack = packs(fixture).at(-1)!;
    const bytes = readFileSync(pack);
    bytes[5000]! ^= 1;
    execFileSync('chmod', ['u+w', pack]);
    writeFileSync(pack, bytes);
    const { target, summary } = await restored(fixture);
    expect(summary.errors).toHaveLength(1);
    expect(summary.errors[0]!.message).toContain('damaged');
    expect(summary.files).toBe(11);
    const differences = compareTrees(fixture.source, target);
    expect(differences).toHaveLength(1);
    expect(join(target, differences[0]!.split(':')[0]!)).toBe(summary.errors[0]!.path);
  });

  test('restores the front of a pack that is cut off', async () => {
    const fixture = await backedUp(fill);
    const pack = packs(fixture).at(-1)!;
    execFileSync('chmod', ['u+w', pack]);
    truncateSync(pack, Math.floor(lstatSync(pack).size / 2));
    const { target, summary } = await restored(fixture);
    expect(summary.errors.length).toBeGreaterThan(0);
    expect(summary.files).toBeGreaterThan(0);
    expect(summary.files + summary.errors.length).toBe(12);
    expect(
      compareTrees(fixture.source, target)
        .map((line) => join(target, line.split(':')[0]!))
        .sort(),
    ).toEqual(summary.errors.map(({ path }) => path).sort());
  });

  test('tells all files of a missing pack', async () => {
    const fixture = await backedUp(fill);
    for (const pack of packs(fixture).slice(1)) rmSync(pack);
    const { summary } = await restored(fixture);
    expect(summary.errors).toHaveLength(12);
    expect(summary.errors[0]!.message).toContain('has no');
  });

  test('tells the folder whose tree is missing, and restores the others', async () => {
    const fixture = await backedUp((source) => {
      fill(source);
      mkdirSync(join(source, 'folder'));
      writeFileSync(join(source, 'folder', 'inside'), 'x');
    });
    const { repository, snapshot } = await opened(fixture);
    const index = await loadIndex(repository, 'read');
    const root = await new BlobReader(repository, index).loadTree(snapshot.tree);
    const found = index.find('tree', root.find(({ type }) => type === 'dir')!.subtree!)!;
    const pack = join(fixture.url, 'data', found.packId.slice(0, 2), found.packId);
    const bytes = readFileSync(pack);
    bytes[found.offset + 20]! ^= 1;
    execFileSync('chmod', ['u+w', pack]);
    writeFileSync(pack, bytes);
    const { target, summary } = await restored(fixture);
    expect(summary.errors.map(({ path }) => path)).toEqual([join(target, 'folder')]);
    expect(summary.files).toBe(12);
  });
});
