/** CSI snapshots that stay in the storage system, as the backup or beside it, and how they end. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { keptHere, settlePending } from '../../../src/backup/expire-kept.ts';
import { runPolicy } from '../../../src/backup/run-policy.ts';
import { type KeptSnapshot, listKept, settleKept } from '../../../src/cluster/kept-snapshot.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { SNAPSHOT, SNAPSHOT_CONTENT } from '../../../src/cluster/resources.ts';
import { parseRecipe } from '../../../src/manifest/recipe.ts';
import { executeForget, planRemoval } from '../../../src/repository/forget.ts';
import type { Repository } from '../../../src/repository/repository.ts';
import { listBackups, loadSnapshot } from '../../../src/repository/snapshots.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';

let scene: BackupScene;

beforeAll(async () => {
  scene = await openBackupScene();
  await Promise.all(
    ['only', 'unsaved', 'beside'].map((name) => makeClaim(scene, name, { script: `echo ${name} > /data/file; sync` })),
  );
});

afterAll(async () => {
  // Their contents are Retain: they would outlive the namespace.
  const { release } = await here();
  for (const backup of await listBackups(scene.repository)) await release(backup);
  await scene.close();
});

const here = () => keptHere(scene.cluster, { repositoryId: scene.repository.id, clusterUid: scene.clusterUid });
const keptOf = async (name: string): Promise<KeptSnapshot[]> => {
  const kept = await listKept(scene.cluster, { repositoryId: scene.repository.id });
  return kept.filter(({ claim }) => claim === `${scene.namespace}/${name}`);
};

test('a backup by Snapshot leaves the data in the storage, its recipe in the repository, and goes storage first', async () => {
  const { cluster, repository, namespace, restic } = scene;
  const options = runFor(scene, 'only', { method: 'Snapshot', writable: repository, snapshotClass: 'zonal-snap-slow' });
  const result = await backupClaim(cluster, options);
  expect(result).toMatchObject({ method: 'Snapshot', state: 'complete', consistency: 'crash', warnings: [] });

  const [kept] = await keptOf('only');
  expect(kept).toMatchObject({ as: 'backup', run: options.run });
  expect(textAt(kept?.content, 'spec', 'deletionPolicy')).toBe('Retain');
  const recipe = parseRecipe(await restic('dump', result.backupId, `/${namespace}/only/manifest.json`));
  expect(recipe).toMatchObject({
    method: 'Snapshot',
    keptSnapshot: {
      driver: 'zonal.csi.holdfast.test',
      handle: textAt(kept?.content, 'status', 'snapshotHandle'),
      class: 'zonal-snap-slow',
      cutAt: result.cutTime,
      restoreSizeBytes: 200 << 20,
    },
  });
  const [snapshot] = JSON.parse(await restic('snapshots', '--json', result.backupId));
  expect(snapshot.tags).toEqual(expect.arrayContaining(['method=Snapshot', 'state=complete']));
  expect(Date.parse(snapshot.time)).toBe(Date.parse(result.cutTime));
  await restic('check', '--read-data');

  // As a run leaves it that is killed right after its backup was stored.
  if (kept === undefined) throw new Error('the snapshot was not kept');
  await settleKept(cluster, kept, 'pending');
  for (const one of await keptOf('only')) await settlePending(cluster, repository, one, 60_000);
  expect(await keptOf('only')).toMatchObject([{ as: 'backup', run: options.run }]);

  // A later backup of the claim takes it neither for a leftover nor for files that it could go on from.
  const moved = await backupClaim(cluster, runFor(scene, 'only', { writable: repository }));
  expect(moved).toMatchObject({ method: 'SnapshotMove', state: 'complete', counts: { filesNew: 1 } });
  expect((await keptOf('only')).map(({ run }) => run)).toEqual([options.run]);

  const plan = planRemoval([await loadSnapshot(repository, result.backupId)]);
  const refused = await executeForget(repository, plan);
  expect(refused).toMatchObject({ removed: [], errors: [{ id: result.backupId, message: /CSI snapshot/ }] });
  const { release } = await here();
  expect(await executeForget(repository, plan, { release })).toMatchObject({ removed: [result.backupId], errors: [] });
  expect(await keptOf('only')).toEqual([]);
  expect(await cluster.list(SNAPSHOT, { namespace })).toEqual([]);
});

test('a snapshot whose backup could not be stored goes again', async () => {
  const { repository, cluster } = scene;
  const failing: Repository = {
    ...repository,
    store: new Proxy(repository.store, {
      get: (store, key) => {
        const value: unknown = Reflect.get(store, key);
        if (key !== 'put') return typeof value === 'function' ? value.bind(store) : value;
        return async (...given: Parameters<typeof store.put>) => {
          if (given[0] === 'snapshots') throw new Error('the store is full');
          return store.put(...given);
        };
      },
    }),
  };
  const options = runFor(scene, 'unsaved', { method: 'Snapshot', writable: failing });
  await expect(backupClaim(cluster, options)).rejects.toThrow('the store is full');
  expect(await keptOf('unsaved')).toEqual([]);
  expect((await leftovers(scene)).filter((one) => one.includes('unsaved'))).toEqual([]);
});

test('a policy keeps the last snapshots beside the repository, and those of the runs before go', async () => {
  const { cluster, repository, namespace, clusterUid, url, state, credentials, restic } = scene;
  const policy = {
    apiVersion: 'holdfast.dev/v1alpha1' as const,
    kind: 'BackupPolicy' as const,
    metadata: { name: 'nightly', namespace },
    spec: {
      select: { claims: { names: ['beside'] } },
      repository: { name: 'main' },
      snapshots: { class: 'zonal-snap', keepLast: 1 },
      retention: { keepLast: 5 },
    },
  };
  const run = (name: string) =>
    runPolicy(cluster, repository, {
      ...{ policy, clusterUid, hostname: 'test', run: name },
      access: { url, credentials },
      settings: { image: state.holdfastImage },
    });
  const before = await cluster.list(SNAPSHOT_CONTENT);
  expect((await run('first')).failures).toEqual([]);
  const second = await run('second');
  expect(second).toMatchObject({ outcomes: [{ status: 'done' }], failures: [], removed: [] });
  const kept = await keptOf('beside');
  expect(kept).toMatchObject([{ run: 'second', as: 'beside', policy: 'nightly' }]);
  const own = (await cluster.list(SNAPSHOT_CONTENT)).filter(
    (one) => textAt(one, 'spec', 'volumeSnapshotRef', 'namespace') === namespace && !before.includes(one),
  );
  expect(own.map((one) => one.metadata.name)).toEqual([kept[0]?.content.metadata.name]);
  const [outcome] = second.outcomes;
  const backupId = outcome !== undefined && 'result' in outcome ? outcome.result.backupId : '';
  const recipe = parseRecipe(await restic('dump', backupId, `/${namespace}/beside/manifest.json`));
  expect(recipe.keptSnapshot?.handle).toBe(textAt(kept[0]?.content, 'status', 'snapshotHandle'));
  expect(await restic('dump', backupId, `/${namespace}/beside/volume/file`)).toBe('beside\n');
});
