/** The whole way on the real cluster: claims are backed up, their namespace is deleted, and they come back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { conditionOf, type KubeObject, textAt } from '../../../src/cluster/object.ts';
import { CLAIM, NAMESPACE, POD, VOLUME } from '../../../src/cluster/resources.ts';
import { loadSnapshot } from '../../../src/repository/snapshots.ts';
import { restoreClaim } from '../../../src/restore/restore-claim.ts';
import {
  type Backup,
  leftovers,
  makeNamespace,
  openScene,
  optionsFor,
  planned,
  readByPod,
  removeNamespace,
  runPod,
  type Scene,
} from './restore-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

const claims = ['data-db-0', 'data-db-1', 'kept'];

let scene: Scene;
let namespace: string;

beforeAll(async () => {
  scene = await openScene();
  namespace = await makeNamespace(scene);
});

afterAll(async () => {
  await removeNamespace(scene, namespace);
  await scene.close();
});

test('a StatefulSet and a claim come back after their namespace was deleted, just as they were', async () => {
  await startDatabases();
  await makeKeptClaim();
  const before = await lookAtAll();
  expect(before.get('kept')).toMatchObject({ policy: 'Retain', class: 'zonal-xfs-retain', size: '320Mi' });
  expect(before.get('data-db-1')).toMatchObject({ policy: 'Delete', class: 'zonal-wait', size: '200Mi' });
  const keptVolume = await volumeOf('kept');
  const backups = new Map<string, Backup>();
  for (const claim of claims) backups.set(claim, await backUp(claim));
  await deleteNamespace();

  for (const backup of backups.values()) {
    const plan = await planned(scene, backup, { createNamespace: true });
    await restoreClaim(scene.cluster, optionsFor(scene, plan));
  }
  const restored = await uidsOfClaims();
  await startDatabases();
  expect(await lookAtAll()).toEqual(before);
  expect(await uidsOfClaims()).toEqual(restored);
  // A volume of the policy Retain outlives its claim. It is not the restore's to touch.
  const old = await scene.cluster.get(VOLUME, undefined, keptVolume.metadata.name);
  expect(textAt(old, 'status', 'phase')).toBe('Released');
  expect(await leftovers(scene, namespace)).toEqual([`released ${keptVolume.metadata.name}`]);
});

/** Writes only into a volume that is new: what is found later is what came back. */
const fillOnce = `
  [ -e /data/name ] || {
    hostname > /data/name; mkdir /data/logs; head -c 2000000 /dev/urandom > /data/logs/0.log
    chown -R 70:70 /data/logs; chmod 700 /data/logs; ln -s logs/0.log /data/current; touch -d '2024-01-01 00:00' /data/name
  }; sync`;

async function startDatabases(): Promise<void> {
  await scene.cluster.create(statefulSetOf(scene.state, namespace, 2, fillOnce));
  for (const name of ['db-0', 'db-1']) {
    await scene.cluster.waitFor({ resource: POD, namespace, name }, ready, { timeoutMs: 120_000, what: `pod ${name}` });
  }
}

function ready(pod: KubeObject | undefined): true | undefined {
  return conditionOf(pod, 'Ready')?.status === 'True' ? true : undefined;
}

async function makeKeptClaim(): Promise<void> {
  await scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: 'kept',
      namespace,
      labels: { tier: 'archive' },
      annotations: { 'example.org/note': 'of the team' },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-xfs-retain',
      resources: { requests: { storage: '320Mi' } },
    },
  });
  await runPod(scene, namespace, 'kept', ['sh', '-ec', fillOnce]);
}

async function lookAtAll(): Promise<Map<string, object>> {
  const seen = new Map<string, object>();
  for (const name of claims) seen.set(name, await look(name));
  return seen;
}

/** All of a claim that its user sees, and that must be the same afterwards. */
async function look(name: string): Promise<object> {
  const claim = await scene.cluster.get(CLAIM, namespace, name);
  const volume = await volumeOf(name);
  return {
    ...(await readByPod(scene, namespace, name)),
    labels: claim?.metadata.labels,
    note: claim?.metadata.annotations?.['example.org/note'],
    class: textAt(claim, 'spec', 'storageClassName'),
    size: textAt(claim, 'status', 'capacity', 'storage'),
    policy: textAt(volume, 'spec', 'persistentVolumeReclaimPolicy'),
    volumeClass: textAt(volume, 'spec', 'storageClassName'),
    fsType: textAt(volume, 'spec', 'csi', 'fsType'),
  };
}

async function volumeOf(claim: string): Promise<KubeObject> {
  const name = textAt(await scene.cluster.get(CLAIM, namespace, claim), 'spec', 'volumeName') ?? 'none';
  return (await scene.cluster.get(VOLUME, undefined, name))!;
}

async function uidsOfClaims(): Promise<string[]> {
  return (await scene.cluster.list(CLAIM, { namespace })).map(({ metadata }) => metadata.uid).sort();
}

async function backUp(claim: string): Promise<Backup> {
  const { backupId, state } = await backupClaim(scene.cluster, {
    namespace,
    claim,
    repository: { url: scene.url, credentials: scene.credentials },
    image: 'localhost/holdfast:test',
    run: 'whole-way',
  });
  expect(state).toBe('complete');
  return { snapshot: await loadSnapshot(scene.repository, backupId), tree: '' };
}

async function deleteNamespace(): Promise<void> {
  const ref = { resource: NAMESPACE, name: namespace };
  await scene.cluster.remove(ref);
  const gone = (object: KubeObject | undefined) => (object === undefined ? true : undefined);
  await scene.cluster.waitFor(ref, gone, { timeoutMs: 120_000, what: 'the namespace to be gone' });
}
