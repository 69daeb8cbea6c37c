/** Repositories of both versions of the format, and upgraded ones, in which restic and Holdfast take turns. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import { planCopy } from '../../src/repository/copy-plan.ts';
import { open } from '../../src/repository/crypto.ts';
import { executeIndexRepair, planIndexRepair } from '../../src/repository/repair-index.ts';
import { initRepository, openRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { retag } from '../../src/repository/tag.ts';
import { upgradeRepository } from '../../src/repository/upgrade.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { copiesOf, copy, indexedBlobs } from './copy-scene.ts';
import { backUp, changeFiles, forget, judge, type Kept, prune } from './prune-scene.ts';
import { cheapKdf, makeResticRepository, password, type TestRepository } from './restic-repository.ts';

type Kind = 'version 1' | 'version 2' | 'upgraded';
/** Version 2 is what most other tests are about. */
const kinds: readonly Kind[] =
  process.env.HOLDFAST_TEST_FULL === '1' ? ['version 1', 'upgraded', 'version 2'] : ['version 1', 'upgraded'];
const firstVersion = (kind: Kind): 1 | 2 => (kind === 'version 2' ? 2 : 1);
const everything = { maxUnused: { bytes: 0 }, packSizeBytes: 300_000 } as const;

async function makeOurs(version: 1 | 2): Promise<TestRepository> {
  const folder = join(await tempDir(), 'repository');
  const options = { kdf: cheapKdf, chunker: 'rabin', version } as const;
  const repository = await initRepository(openFolderStore(folder), password, options);
  return { folder, repository, env: { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password } };
}

/** Two backups; with an upgrade by the other program in between. */
async function fill(
  made: TestRepository,
  kind: Kind,
  backup: (made: TestRepository, source: string) => Promise<Kept>,
  upgrade: (made: TestRepository) => Promise<unknown>,
): Promise<{ made: TestRepository; kept: Kept[]; source: string }> {
  const source = join(await tempDir(), 'source');
  const kept: Kept[] = [];
  for (let round = 0; round < 2; round++) {
    if (round === 1 && kind === 'upgraded') await upgrade(made);
    made = { ...made, repository: await openRepository(openFolderStore(made.folder), password) };
    await changeFiles(source, round);
    kept.push(await backup(made, source));
  }
  return { made, kept, source };
}

async function backUpWithRestic({ repository, env }: TestRepository, source: string): Promise<Kept> {
  const copied = join(await tempDir(), 'copy');
  execFileSync('cp', ['-a', source, copied]);
  await restic(['backup', '.'], { env, cwd: source });
  return { id: (await listSnapshots(repository)).at(-1)!.id, source: copied };
}

async function expectRestored(repository: Repository, kept: readonly Kept[]): Promise<void> {
  expect((await checkRepository(repository, { readData: true, workers: 1 })).errors).toEqual([]);
  const snapshots = await listSnapshots(repository);
  for (const { id, source } of kept) {
    const snapshot = snapshots.find((one) => one.id === id || one.original === id)!;
    const target = join(await tempDir(), 'restored');
    expect((await restoreFolder(repository, { snapshot, target, workers: 1 })).errors).toEqual([]);
    expect(compareTrees(source, target)).toEqual([]);
  }
}

/** What version 1 knows: nothing is compressed, and no document begins with a mark of its form. */
async function expectFormat(repository: Repository, kind: Kind): Promise<void> {
  const sizes = (await indexedBlobs(repository)).map(({ uncompressedLength }) => uncompressedLength);
  expect(sizes.some((size) => size > 0)).toBe(kind !== 'version 1');
  const marks = new Set<number>();
  for (const type of ['snapshots', 'index'] as const) {
    for await (const { name } of repository.store.list(type)) {
      marks.add(open(repository.key, await repository.store.get(type, name), { kind: type, name })[0]!);
    }
  }
  if (kind === 'version 1') expect([...marks]).toEqual([0x7b]);
  else expect(marks).toContain(2);
}

describeWith('restic', 'taking turns', () => {
  describe.each(kinds)('in a repository of restic (%s)', (kind) => {
    test('Holdfast reads, writes, tags, prunes, repairs and copies, and restic finds everything', async () => {
      const upgrade = ({ repository }: TestRepository) =>
        upgradeRepository(repository, { saveCopy: async () => undefined });
      const filled = await fill(await makeResticRepository(firstVersion(kind)), kind, backUpWithRestic, upgrade);
      const { made, kept, source } = filled;
      const { repository } = made;
      await expectRestored(repository, kept);
      await changeFiles(source, 2);
      kept.push(await backUp(repository, source, 300_000));
      await forget(repository, kept.shift()!.id);
      await prune(repository, everything);
      const [retagged] = await retag(repository, (await listSnapshots(repository)).slice(0, 1), { add: ['tagged'] });
      kept[0] = { ...kept[0]!, id: retagged!.to };
      await executeIndexRepair(repository, await planIndexRepair(repository, { readAllPacks: true }));
      await expectFormat(repository, kind);
      await judge(made, kept);

      const other = kind === 'version 2' ? 'version 1' : 'version 2';
      const target = await makeOurs(firstVersion(other));
      const result = await copy(repository, target.repository);
      await expectFormat(target.repository, other);
      await judge(target, copiesOf(kept, result));
    });
  });

  describe.each(kinds)('in a repository of Holdfast (%s)', (kind) => {
    test('restic reads, writes, tags, prunes and copies, and Holdfast finds everything', async () => {
      const upgrade = ({ env }: TestRepository) => restic(['migrate', 'upgrade_repo_v2'], { env });
      const backup = ({ repository }: TestRepository, folder: string) => backUp(repository, folder, 300_000);
      const { made, kept, source } = await fill(await makeOurs(firstVersion(kind)), kind, backup, upgrade);
      const { repository, env } = made;
      await expectFormat(repository, kind);
      await judge(made, kept);
      await changeFiles(source, 2);
      kept.push(await backUpWithRestic(made, source));
      await restic(['tag', '--add', 'tagged', kept[1]!.id], { env });
      await restic(['forget', kept[0]!.id, '--prune', '--max-unused', '0'], { env });
      await restic(['rebuild-index'], { env });
      kept.shift();
      await expectRestored(repository, kept);

      const target = await makeOurs(firstVersion(kind));
      const from = { RESTIC_FROM_REPOSITORY: made.folder, RESTIC_FROM_PASSWORD: password };
      await restic(['copy'], { env: { ...target.env, ...from } });
      await expectRestored(target.repository, kept);
      const { snapshots, present } = await planCopy(repository, target.repository, await listSnapshots(repository));
      expect([snapshots.length, present.length]).toEqual([0, kept.length]);
    });
  });

  test('what Holdfast has copied, restic does not copy again', async () => {
    const source = await makeOurs(2);
    const target = await makeOurs(2);
    const { kept } = await fill(
      source,
      'version 2',
      ({ repository }, folder) => backUp(repository, folder),
      async () => undefined,
    );
    await copy(source.repository, target.repository);
    const from = { RESTIC_FROM_REPOSITORY: source.folder, RESTIC_FROM_PASSWORD: password };
    const said = await restic(['copy'], { env: { ...target.env, ...from } });
    expect(said.match(/skipping source snapshot|was already copied/g)?.length).toBeGreaterThanOrEqual(kept.length);
    expect(await listSnapshots(target.repository)).toHaveLength(kept.length);
  });
});
