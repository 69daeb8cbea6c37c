/** What must stay true: whoever comes from K8up, VolSync or Velero goes on where they were, and can go back. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { claimOf, contentFolderOf } from '../../src/repository/claim-layout.ts';
import { recordRecipe } from '../../src/repository/ledger/recipe-record.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { findSnapshot, listBackups, listSnapshots, saveSnapshot } from '../../src/repository/snapshots.ts';
import { readRecipe } from '../../src/restore/read-recipe.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import type { BackupSummary } from '../../src/volume/backup-summary.ts';
import { type ClaimHistory, shapeOf } from '../../src/volume/continue-claim.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { noise } from '../fixtures/make-tree.ts';
import {
  makeRepository,
  makeResticRepository,
  password,
  type TestRepository,
} from '../repository/restic-repository.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';
import { resticInPod } from './operator-pod.ts';

/** A volume with a few files. */
async function makeVolume(seed: string): Promise<string> {
  const volume = await tempDir();
  mkdirSync(join(volume, 'deep'));
  mkdirSync(join(volume, 'lost+found'));
  for (let n = 0; n < 20; n++) writeFileSync(join(volume, 'deep', `file-${n}`), noise(`${seed} ${n}`, 2000 + n));
  // A file of a user, which is no recipe.
  writeFileSync(join(volume, 'manifest.json'), '{"name": "web app"}');
  return volume;
}

/** A backup as the mover makes it. */
async function goOn(repository: Repository, volume: string, history: ClaimHistory): Promise<BackupSummary> {
  const shape = await shapeOf(repository, history);
  if (!shape) throw new Error('it does not go on');
  const tags = [`cluster-uid=${history.clusterUid}`, `namespace=${history.namespace}`, `claim=${history.claim}`];
  const { layout: _, ...parts } = shape;
  return backupFolder(repository, {
    source: volume,
    ...parts,
    tags: [...tags, `uid=${history.uid}`, ...shape.tags],
    tagComplete: true,
    workers: 1,
  });
}

const clusterUid = 'c0ffee00-0000-4000-8000-000000000001';
const claimUid = 'c1a10000-0000-4000-8000-000000000002';

function historyOf(claim: string, layout: ClaimHistory['layout'] = 'auto'): ClaimHistory {
  return { namespace: 'media', claim, uid: claimUid, clusterUid, layout };
}

async function subjects(repository: Repository, filter = {}): Promise<string[]> {
  return (await listBackups(repository, filter)).map((backup) => {
    const { namespace = '?', claim = '?', layout } = claimOf(backup) ?? {};
    return `${namespace}/${claim} ${layout}`;
  });
}

interface ForgottenGroup {
  readonly host: string;
  readonly paths: string[];
  readonly keep: { readonly id: string }[];
  readonly remove: { readonly id: string }[] | null;
}

async function forgetAs(env: TestRepository['env'], args: string[]): Promise<ForgottenGroup[]> {
  const [line = ''] = (await restic(['forget', '--json', ...args], { env })).split('\n');
  return JSON.parse(line);
}

async function restoredByRestic(env: TestRepository['env'], id: string, folder: string): Promise<string> {
  const target = await tempDir();
  await restic(['restore', id, '--target', target], { env });
  return join(target, folder);
}

/** Files that were written within the last two seconds are read again, whatever they look like; no clock can be set for that. */
const settleMs = 2_200;
let volumes: readonly string[];

beforeAll(async () => {
  volumes = await Promise.all(['photos', 'mail'].map(makeVolume));
  await setTimeout(settleMs);
});

describeWith('restic', 'a repository', () => {
  describeWith('mount', 'of K8up', () => {
    test('lists by namespace and claim, and goes on with the same host, paths and tree', async () => {
      const { folder, repository, env } = await makeResticRepository();
      const [photos = '', mail = ''] = volumes;
      const mounted = { '/data/photos': photos, '/data/mail': mail };
      const pod = { volumes: mounted, repository: folder, password, cwd: '/' };
      for (const claim of ['photos', 'photos', 'mail']) {
        await resticInPod(pod, ['backup', '--host', 'media', '--tag', 'nightly', '--json', `/data/${claim}`]);
      }
      await resticInPod(pod, ['backup', '--host', 'media', '--stdin', '--stdin-filename', '/media-db.sql']);
      expect((await subjects(repository)).sort()).toEqual([
        '?/? undefined',
        'media/mail k8up',
        'media/photos k8up',
        'media/photos k8up',
      ]);
      expect(await subjects(repository, { namespaces: ['media'], claims: ['mail'] })).toEqual(['media/mail k8up']);

      const first = await findSnapshot(repository, 'media/photos');
      appendFileSync(join(photos, 'deep', 'file-3'), 'more');
      const summary = await goOn(repository, photos, historyOf('photos'));
      expect(summary).toMatchObject({ parentId: first.id, filesNew: 0, filesChanged: 1, filesUnmodified: 20 });
      const made = await findSnapshot(repository, 'media/photos');
      expect(made).toMatchObject({ id: summary.backupId, hostname: 'media', paths: ['/data/photos'] });
      expect(made.tags).toEqual(expect.arrayContaining(['nightly', 'layout=k8up', 'claim=photos', 'state=complete']));
      expect(contentFolderOf(made)).toBe('/data/photos');
      expect(compareTrees(photos, await restoredByRestic(env, made.id, 'data/photos'))).toEqual([]);

      const again = JSON.parse(
        (await resticInPod(pod, ['backup', '--host', 'media', '--json', '/data/photos'])).trim().split('\n').at(-1)!,
      );
      expect(again).toMatchObject({ files_new: 0, files_changed: 0, files_unmodified: 21 });
      const groups = await forgetAs(env, ['--prune', '--host=media', '--keep-last=1', '--tag', 'nightly']);
      expect(groups.map(({ paths, keep, remove }) => [paths[0], keep.length, remove?.length ?? 0]).sort()).toEqual([
        ['/data/mail', 1, 0],
        ['/data/photos', 1, 2],
      ]);
      expect(groups.find(({ paths }) => paths[0] === '/data/photos')?.keep[0]?.id).toBe(made.id);
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    });
  });

  describeWith('mount', 'of VolSync', () => {
    test('goes on from the root of the volume once it is told whose it is, and then lists by that name', async () => {
      const { folder, repository, env } = await makeResticRepository();
      const [, volume = ''] = volumes;
      const pod = { volumes: { '/data': volume }, repository: folder, password, cwd: '/data' };
      for (let n = 0; n < 2; n++) await resticInPod(pod, ['backup', '--host', 'volsync', '--exclude=lost+found', '.']);
      expect(await subjects(repository)).toEqual(['?/? volsync', '?/? volsync']);
      expect(await shapeOf(repository, historyOf('photos'))).toBeUndefined();

      const [, last] = await listSnapshots(repository);
      const summary = await goOn(repository, volume, historyOf('photos', 'volsync'));
      expect(summary).toMatchObject({ parentId: last?.id, filesNew: 0, filesChanged: 0, filesUnmodified: 21 });
      expect(summary.bytesAdded).toBeLessThan(10_000);
      expect(await subjects(repository, { claims: ['photos'] })).toEqual(Array(3).fill('media/photos volsync'));
      const made = await findSnapshot(repository, 'media/photos');
      expect(made).toMatchObject({ hostname: 'volsync', paths: ['/data'], excludes: ['lost+found'] });
      const restored = await restoredByRestic(env, made.id, '');
      expect(compareTrees(volume, restored)).toEqual(['lost+found: missing on the right']);
      // From now on by itself, and never with the backups of another claim.
      expect(await shapeOf(repository, historyOf('photos'))).toMatchObject({ layout: 'volsync' });
      await expect(shapeOf(repository, { ...historyOf('other', 'volsync'), uid: 'another' })).rejects.toMatchObject({
        code: 'REPOSITORY_UNSUPPORTED',
        context: { reason: expect.stringContaining('media/photos') },
      });
      const groups = await forgetAs(env, ['--prune', '--host', 'volsync', '--keep-last', '1']);
      expect(groups.map(({ keep, remove }) => [keep[0]?.id, remove?.length])).toEqual([[made.id, 2]]);
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    });
  });

  describeWith('mount', 'of Velero', () => {
    test("goes on with the claim's volume wherever its pod was, found by the UID of the claim", async () => {
      const { folder, repository, env } = await makeResticRepository();
      const [, volume = ''] = volumes;
      const backUp = (pod: string, uid: string, volumeName: string): Promise<string> => {
        const path = `/host_pods/${pod}/volumes/kubernetes.io~csi/pvc-${uid}/mount`;
        const facts = {
          backup: 'daily-1',
          'backup-uid': 'b-1',
          pod: 'web-0',
          'pod-uid': pod,
          ns: 'media',
          volume: volumeName,
          'pvc-uid': uid,
        };
        const tags = Object.entries(facts).map(([name, value]) => `--tag=${name}=${value}`);
        const inPod = { volumes: { [path]: volume }, repository: folder, password, cwd: path };
        return resticInPod(inPod, ['backup', '--host=velero', ...tags, '.']);
      };
      await backUp('pod-1', claimUid, 'data');
      await backUp('pod-2', claimUid, 'data');
      await backUp('pod-1', 'another-claim', 'cache');
      const [, second] = await listSnapshots(repository);
      expect((await subjects(repository)).sort()).toEqual([
        'media/cache velero',
        'media/data velero',
        'media/data velero',
      ]);

      const summary = await goOn(repository, volume, historyOf('photos'));
      expect(summary).toMatchObject({ parentId: second?.id, filesNew: 0, filesChanged: 0, filesUnmodified: 21 });
      expect(await subjects(repository, { claims: ['photos'] })).toEqual(Array(3).fill('media/photos velero'));
      const made = await findSnapshot(repository, 'media/photos');
      expect(made).toMatchObject({ hostname: 'velero', paths: second?.paths });
      expect(made.tags).toEqual(expect.arrayContaining(['ns=media', 'volume=data', `pvc-uid=${claimUid}`]));
      expect(made.tags?.filter((tag) => /^(backup|backup-uid|pod|pod-uid)=/.test(tag))).toEqual([]);
      expect(compareTrees(volume, await restoredByRestic(env, made.id, ''))).toEqual([]);
      expect(await restic(['snapshots', '--json', '--tag', `ns=media,pvc-uid=${claimUid}`], { env })).toContain(
        made.id,
      );
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    });
  });
});

describe('a claim that another program backed up', () => {
  const tree = '11'.repeat(32);
  const time = '2026-11-22T10:00:00Z';

  test("is none where a folder has such a host and path, or another cluster's claim has the name", async () => {
    const { repository } = await makeRepository();
    const looks = { time, tree, hostname: 'media', paths: ['/data/photos'] };
    await saveSnapshot(repository, { ...looks, program_version: 'holdfast 0.1.0' });
    await saveSnapshot(repository, { ...looks, paths: ['/data/photos', '/data/mail'] });
    await saveSnapshot(repository, {
      ...looks,
      tags: ['layout=k8up', 'namespace=media', 'claim=photos', 'cluster-uid=other'],
    });
    expect((await subjects(repository)).sort()).toEqual(['?/? undefined', '?/? undefined', 'media/photos k8up']);
    expect(await shapeOf(repository, historyOf('photos'))).toBeUndefined();
  });

  test("of Velero cannot go on where there is nothing of it, and Holdfast's own shape is always to be had", async () => {
    const { repository } = await makeRepository();
    await expect(shapeOf(repository, historyOf('photos', 'velero'))).rejects.toMatchObject({
      code: 'BACKUP_NOT_FOUND',
    });
    expect(await shapeOf(repository, historyOf('photos', 'holdfast'))).toBeUndefined();
    expect(await shapeOf(repository, historyOf('photos', 'k8up'))).toMatchObject({
      host: 'media',
      paths: ['/data/photos'],
    });
  });

  test('has its recipe in a record beside it, and no file of the volume is taken for one', async () => {
    const { repository } = await makeRepository();
    const volume = await makeVolume('recorded');
    const history = historyOf('photos', 'k8up');
    const { backupId } = await goOn(repository, volume, history);
    const made = await findSnapshot(repository, backupId);
    expect(await readRecipe(repository, made)).toBeNull();
    const content = Buffer.from('{"kind": "ClaimRecipe", "schema": "9.0"}');
    await recordRecipe(repository, { ...history, backupId, host: 'cluster', fileName: 'manifest.json', content });
    expect(await listBackups(repository)).toHaveLength(1);
    await expect(readRecipe(repository, made)).rejects.toMatchObject({ code: 'RECIPE_UNREADABLE' });
    const target = join(await tempDir(), 'target');
    await restoreFolder(repository, { snapshot: made, subfolder: contentFolderOf(made), target });
    expect(compareTrees(volume, target)).toEqual([]);
  });
});
