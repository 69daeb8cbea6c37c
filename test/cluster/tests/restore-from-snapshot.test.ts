/** Volumes made again from CSI snapshots that were kept, in the cluster that made them and in one that lost their objects. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { keptHere } from '../../../src/backup/expire-kept.ts';
import { type KeptSnapshot, listKept, removeKept } from '../../../src/cluster/kept-snapshot.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { CLAIM, refOf, SNAPSHOT, SNAPSHOT_CONTENT, VOLUME } from '../../../src/cluster/resources.ts';
import { removeContent } from '../../../src/cluster/volume-snapshot.ts';
import { loadSnapshot } from '../../../src/repository/snapshots.ts';
import type { RestoreWishes } from '../../../src/restore/facts.ts';
import { backupFactsOf, gatherFacts } from '../../../src/restore/gather-facts.ts';
import { restoreLabel } from '../../../src/restore/marks.ts';
import { planRestore, type RestorePlan } from '../../../src/restore/plan.ts';
import { readRecipe } from '../../../src/restore/read-recipe.ts';
import { restoreClaim } from '../../../src/restore/restore-claim.ts';
import { isReady } from '../kubectl.ts';
import { type BackupScene, describeVolume, makeClaim, openBackupScene, runFor, variedFiles } from './backup-scene.ts';

let scene: BackupScene;

beforeAll(async () => {
  scene = await openBackupScene();
  const random = 'head -c 3000000 /dev/urandom | dd of=/dev/disk bs=4096 seek=500 conv=notrunc,fsync 2>/dev/null';
  await Promise.all([makeClaim(scene, 'files', { script: variedFiles }), useDevice('disk', random, true)]);
});

afterAll(async () => {
  for (const kept of await allKept()) await removeKept(scene.cluster, kept, 60_000);
  await scene.close();
});

const allKept = (): Promise<KeptSnapshot[]> => listKept(scene.cluster, { repositoryId: scene.repository.id });

/** A pod that has the raw block claim as /dev/disk. */
async function useDevice(name: string, script: string, makesClaim = false): Promise<void> {
  const { kubectl, state } = scene;
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      ...{ accessModes: ['ReadWriteOnce'], storageClassName: 'zonal-wait', volumeMode: 'Block' },
      resources: { requests: { storage: '32Mi' } },
    },
  };
  const container = {
    ...{ name: 'main', image: state.busyboxImage, imagePullPolicy: 'IfNotPresent' },
    command: ['sh', '-ec', `${script}\ntouch /tmp/ready; sleep 100000`],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
    volumeDevices: [{ name: 'disk', devicePath: '/dev/disk' }],
  };
  const spec = {
    ...{ terminationGracePeriodSeconds: 0, automountServiceAccountToken: false, containers: [container] },
    ...(makesClaim ? { nodeSelector: { 'topology.kubernetes.io/zone': 'c' } } : {}),
    volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: name } }],
  };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
  await kubectl.apply(...(makesClaim ? [claim] : []), pod);
  await kubectl.waitFor('pod', name, isReady, 120_000);
}

/** Reads the files of a restored claim by a pod of its own, which runs wherever the volume is. */
async function useFiles(name: string): Promise<string[]> {
  const { kubectl, state } = scene;
  const container = {
    ...{ name: 'main', image: state.busyboxImage, imagePullPolicy: 'IfNotPresent' },
    command: ['sh', '-ec', 'touch /tmp/ready; sleep 100000'],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: name } }];
  const spec = {
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    containers: [container],
    volumes,
  };
  await kubectl.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });
  await kubectl.waitFor('pod', name, isReady, 120_000);
  return describeVolume(scene, name);
}

/** `madeBy`: the cluster that the recipe names in place of this one. */
async function planFor(backupId: string, wishes: RestoreWishes, madeBy?: string): Promise<RestorePlan> {
  const { cluster, repository } = scene;
  const snapshot = await loadSnapshot(repository, backupId);
  const found = await readRecipe(repository, snapshot);
  if (found === null) throw new Error('the backup has no recipe');
  const recipe = madeBy === undefined ? found : { ...found, cluster: { ...found.cluster, uid: madeBy } };
  const facts = await gatherFacts(cluster, { backupId, recipe, wishes });
  const { plan, refusals } = planRestore({ backup: backupFactsOf(snapshot), recipe, facts, wishes });
  if (plan === null) throw new Error(refusals.map(({ message }) => message).join(' '));
  return plan;
}

function restore(plan: RestorePlan) {
  return restoreClaim(scene.cluster, {
    plan,
    repository: { url: scene.url },
    settings: { image: scene.state.holdfastImage },
    clusterUid: scene.clusterUid,
    timeouts: { startMs: 120_000, fillMs: 120_000, settleMs: 60_000 },
  });
}

async function leftOfRestores(): Promise<string[]> {
  const { cluster, namespace } = scene;
  const lists = [CLAIM, SNAPSHOT].map((one) => cluster.list(one, { namespace, labelSelector: restoreLabel }));
  const contents = await cluster.list(SNAPSHOT_CONTENT, { labelSelector: restoreLabel });
  const own = contents.filter((one) => textAt(one, 'spec', 'volumeSnapshotRef', 'namespace') === namespace);
  return [...(await Promise.all(lists)).flat(), ...own].map((one) => `${one.kind} ${one.metadata.name}`);
}

test('files and a raw device come back from their snapshots as they were cut, in their zones, and the copies stay', async () => {
  const { cluster, repository, namespace, kubectl } = scene;
  const written = await describeVolume(scene, 'files');
  const hash = (pod: string) => kubectl.run('exec', pod, '--', 'sha256sum', '/dev/disk');
  const device = await hash('disk');
  const cut = (name: string) => backupClaim(cluster, runFor(scene, name, { method: 'Snapshot', writable: repository }));
  const [files, disk] = await Promise.all([cut('files'), cut('disk')]);
  await kubectl.exec('files', 'rm -rf /data/deep; sync');

  const plans = [
    await planFor(files.backupId, { name: 'files-again', reclaimPolicy: 'Retain' }),
    await planFor(disk.backupId, { name: 'disk-again' }),
  ] as const;
  expect(plans[0]).toMatchObject({ source: { kind: 'snapshot', node: 'node-b' }, warnings: [] });
  expect(plans[1]).toMatchObject({
    source: { kind: 'snapshot', node: 'node-c' },
    claim: { spec: { volumeMode: 'Block' } },
  });
  const restored = await Promise.all(plans.map(restore));
  expect(restored).toMatchObject([
    { claim: `${namespace}/files-again`, places: ['b'], reclaimPolicy: 'Retain' },
    { claim: `${namespace}/disk-again`, places: ['c'], reclaimPolicy: 'Delete' },
  ]);
  await useDevice('disk-again', 'true');
  expect(await useFiles('files-again')).toEqual(written);
  expect(await hash('disk-again')).toBe(device);
  expect(await leftOfRestores()).toEqual([]);
  expect(await allKept()).toHaveLength(2);
  const volume = await cluster.get(VOLUME, undefined, restored[0]?.volume ?? '');
  expect(textAt(volume, 'spec', 'persistentVolumeReclaimPolicy')).toBe('Retain');
  // Not to be left behind by this test.
  const ref = { resource: VOLUME, name: restored[0]?.volume ?? '' };
  await cluster.patch(ref, { merge: { spec: { persistentVolumeReclaimPolicy: 'Delete' } } });
});

test('a cluster that has lost the objects of a snapshot makes the volume by the name that the storage has for it', async () => {
  const { cluster, repository, clusterUid } = scene;
  const made = await backupClaim(cluster, runFor(scene, 'files', { method: 'Snapshot', writable: repository }));
  const written = await describeVolume(scene, 'files');
  const kept = (await allKept()).find(({ run }) => run === made.run);
  const [name, content] = [textAt(kept?.content, 'spec', 'volumeSnapshotRef', 'name'), kept?.content];
  if (name === undefined || content === undefined) throw new Error('the snapshot was not kept');
  const snapshot = await cluster.get(SNAPSHOT, scene.namespace, name);
  await cluster.remove({ resource: SNAPSHOT, namespace: scene.namespace, name }, { uid: snapshot?.metadata.uid ?? '' });
  await cluster.waitFor({ resource: SNAPSHOT, namespace: scene.namespace, name }, (one) => (one ? undefined : true), {
    timeoutMs: 60_000,
    what: 'the snapshot to be gone',
  });
  // Retain: the copy stays in the storage.
  await removeContent(cluster, content, 'Retain', 60_000);
  const state = await keptHere(cluster, { repositoryId: repository.id, clusterUid });
  expect(state.stateOf(await loadSnapshot(repository, made.backupId))).toBe('gone');
  await expect(planFor(made.backupId, { name: 'lost' })).rejects.toThrow(/VolumeSnapshotContent/);

  const plan = await planFor(made.backupId, { name: 'rebuilt' }, 'another cluster');
  expect(plan.source).toMatchObject({ kind: 'snapshot', reason: expect.stringContaining('another cluster made it') });
  await restore(plan);
  expect(await useFiles('rebuilt')).toEqual(written);
  expect(await leftOfRestores()).toEqual([]);
  // Found once more by its name, it goes for good.
  const { createStaticPair } = await import('../../../src/cluster/static-snapshot.ts');
  const { source } = plan;
  if (source.kind !== 'snapshot') throw new Error('the plan was for a snapshot');
  const copy = {
    ...source.snapshot,
    className: undefined,
    sourceVolumeMode: undefined,
    marks: source.snapshot.contentMarks,
  };
  const wish = { namespace: scene.namespace, name: `end-${scene.namespace}`, worksFor: 'test', labels: {}, owners: [] };
  const pair = await createStaticPair(cluster, copy, wish, { claim: 'test', timeoutMs: 60_000 });
  await cluster.patch(
    { resource: SNAPSHOT_CONTENT, name: wish.name },
    { merge: { spec: { deletionPolicy: 'Delete' } } },
  );
  await cluster.remove(refOf(pair), { uid: pair.metadata.uid });
});
