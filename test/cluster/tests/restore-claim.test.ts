/** Restores into the real cluster: volume, zone, class and policy as planned, whatever happens on the way. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type KubeObject, textAt } from '../../../src/cluster/object.ts';
import { CLAIM, POD, STORAGE_CLASS, VOLUME } from '../../../src/cluster/resources.ts';
import { abandonRestore } from '../../../src/restore/abandon.ts';
import type { RestoreWishes } from '../../../src/restore/facts.ts';
import type { RestorePlan } from '../../../src/restore/plan.ts';
import { type RestoreResult, restoreClaim } from '../../../src/restore/restore-claim.ts';
import {
  type Backup,
  leftovers,
  makeBackup,
  makeNamespace,
  openScene,
  optionsFor,
  planIn,
  planned,
  readByPod,
  removeNamespace,
  type Scene,
} from './restore-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

let scene: Scene;
let backup: Backup;
const namespaces: string[] = [];

beforeAll(async () => {
  scene = await openScene();
  backup = await makeBackup(scene);
});

afterAll(async () => {
  for (const namespace of namespaces) await removeNamespace(scene, namespace);
  await scene.close();
});

async function newNamespace(): Promise<string> {
  const namespace = await makeNamespace(scene);
  namespaces.push(namespace);
  return namespace;
}

async function claimOf({ target }: RestorePlan): Promise<KubeObject> {
  return (await scene.cluster.get(CLAIM, target.namespace, target.name))!;
}

async function volumeOf(result: RestoreResult): Promise<KubeObject> {
  return (await scene.cluster.get(VOLUME, undefined, result.volume))!;
}

/** Everything that a finished restore promises. */
async function expectRestored(plan: RestorePlan, result: RestoreResult, expected: { zone?: string; policy: string }) {
  const claim = await claimOf(plan);
  const volume = await volumeOf(result);
  expect(textAt(claim, 'status', 'phase')).toBe('Bound');
  expect(textAt(claim, 'spec', 'volumeName')).toBe(result.volume);
  expect(textAt(volume, 'spec', 'claimRef', 'uid')).toBe(claim.metadata.uid);
  expect(textAt(volume, 'status', 'phase')).toBe('Bound');
  expect(textAt(volume, 'spec', 'persistentVolumeReclaimPolicy')).toBe(expected.policy);
  expect(textAt(volume, 'spec', 'storageClassName')).toBe(plan.storageClass.name);
  expect(textAt(claim, 'status', 'capacity', 'storage')).toBe('200Mi');
  expect(await leftovers(scene, plan.target.namespace)).toEqual([]);
  const { tree, zone } = await readByPod(scene, plan.target.namespace, plan.target.name);
  expect(tree).toBe(backup.tree);
  if (expected.zone !== undefined) expect(zone).toBe(expected.zone);
}

describe('a restore into an empty namespace', () => {
  test('brings back size, class, policy, zone, labels, and every byte, owner, mode and time', async () => {
    const plan = await planned(scene, backup, { namespace: await newNamespace() });
    const result = await restoreClaim(scene.cluster, optionsFor(scene, plan));
    expect(result).toMatchObject({ places: ['b'], storageClass: 'zonal-wait', reclaimPolicy: 'Delete' });
    expect(result.files).toBe(backup.snapshot.summary?.total_files_processed);
    await expectRestored(plan, result, { zone: 'b', policy: 'Delete' });
    const { labels, annotations } = (await claimOf(plan)).metadata;
    expect(labels).toEqual({ app: 'db' });
    expect(annotations).toMatchObject({
      'team.example/owner': 'shop',
      'restore.holdfast.dev/restored-from': backup.snapshot.id,
    });
    const marks = Object.keys(annotations ?? {}).filter((key) => key.startsWith('restore.holdfast.dev/'));
    expect(marks).toEqual(['restore.holdfast.dev/restored-from']);
    expect((await volumeOf(result)).metadata.finalizers).toContain(
      'external-provisioner.volume.kubernetes.io/finalizer',
    );
  });

  test('into another zone, by the place of the mover', async () => {
    const plan = await planned(scene, backup, { namespace: await newNamespace(), zone: 'c' });
    const result = await restoreClaim(scene.cluster, optionsFor(scene, plan));
    expect(result.places).toEqual(['c']);
    await expectRestored(plan, result, { zone: 'c', policy: 'Delete' });
  });

  test('into another zone with a class that binds at once, by a copy of the class', async () => {
    const wishes: RestoreWishes = { namespace: await newNamespace(), zone: 'c', storageClass: 'zonal-now' };
    const plan = await planned(scene, backup, wishes);
    const result = await restoreClaim(scene.cluster, optionsFor(scene, plan));
    expect(result.places).toEqual(['c']);
    await expectRestored(plan, result, { zone: 'c', policy: 'Delete' });
    const classes = await scene.cluster.list(STORAGE_CLASS);
    expect(classes.map(({ metadata }) => metadata.name)).not.toContain(plan.classCopy?.metadata.name);
  });

  test('with the policy Retain, where it was Retain, in a class that would delete', async () => {
    const kept = await makeBackup(scene, { volume: { spec: { persistentVolumeReclaimPolicy: 'Retain' } } });
    const plan = await planned(scene, kept, { namespace: await newNamespace() });
    const result = await restoreClaim(scene.cluster, optionsFor(scene, plan));
    expect(textAt(await volumeOf(result), 'spec', 'persistentVolumeReclaimPolicy')).toBe('Retain');
    expect(await leftovers(scene, plan.target.namespace)).toEqual([]);
  });

  test('under another name and class, in a namespace that it makes', async () => {
    const namespace = `${await newNamespace()}-made`;
    namespaces.push(namespace);
    const wishes: RestoreWishes = { namespace, name: 'copy', createNamespace: true, storageClass: 'zone-b-only' };
    const plan = await planned(scene, backup, wishes);
    const result = await restoreClaim(scene.cluster, optionsFor(scene, plan));
    expect(result.claim).toBe(`${namespace}/copy`);
    await expectRestored(plan, result, { zone: 'b', policy: 'Delete' });
  });
});

describe('a restore is refused before anything is made', () => {
  test.each<[string, RestoreWishes, string]>([
    ['where the namespace is missing', { namespace: 'not-there' }, 'NAMESPACE_MISSING'],
    ['where the class is missing', { storageClass: 'not-there' }, 'STORAGE_CLASS_MISSING'],
    ['where the zone is missing', { zone: 'x' }, 'ZONE_MISSING'],
    ['where the volume would be too small', { sizeBytes: 1 << 20 }, 'TARGET_TOO_SMALL'],
  ])('%s', async (_, wishes, code) => {
    const namespace = await newNamespace();
    const { plan, refusals } = await planIn(scene, backup, { namespace, ...wishes });
    expect(plan).toBeNull();
    expect(refusals.map((refusal) => refusal.code)).toEqual([code]);
    expect(await scene.cluster.list(CLAIM, { namespace })).toEqual([]);
  });

  test('where the target exists, which is left as it is', async () => {
    const namespace = await newNamespace();
    const existing = await scene.cluster.create({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data-db-0', namespace },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } } },
    });
    const { plan, refusals } = await planIn(scene, backup, { namespace });
    expect(plan).toBeNull();
    expect(refusals.map((refusal) => refusal.code)).toEqual(['TARGET_EXISTS']);
    expect((await scene.cluster.get(CLAIM, namespace, 'data-db-0'))?.metadata.resourceVersion).toBe(
      existing.metadata.resourceVersion,
    );
  });

  test('a second time into the claim that it made', async () => {
    const namespace = await newNamespace();
    const plan = await planned(scene, backup, { namespace });
    await restoreClaim(scene.cluster, optionsFor(scene, plan));
    const { refusals } = await planIn(scene, backup, { namespace });
    expect(refusals.map((refusal) => refusal.code)).toEqual(['TARGET_EXISTS']);
  });
});

describe('a restore that was killed', () => {
  test.each([
    'storage class',
    'temporary claim',
    'mover holdfast-restore',
    'kept until the end',
    'waits for the volume',
    'mover: runs on',
    'belongs to',
    'is bound',
    'has reclaim policy',
    'nothing temporary is left',
  ])('at "%s" goes on when it is run again', async (words) => {
    const wishes: RestoreWishes = { namespace: await newNamespace(), zone: 'c', storageClass: 'zonal-now' };
    const first = await planned(scene, backup, wishes);
    expect(await killedAt(first, words)).toBe('SIGKILL');
    const again = await planned(scene, backup, wishes);
    const result = await restoreClaim(scene.cluster, optionsFor(scene, again));
    await expectRestored(again, result, { zone: 'c', policy: 'Delete' });
  });

  test('cannot go on with another plan, but can be given up without a trace', async () => {
    const namespace = await newNamespace();
    const plan = await planned(scene, backup, { namespace });
    expect(await killedAt(plan, 'waits for the volume')).toBe('SIGKILL');
    const { refusals } = await planIn(scene, backup, { namespace, zone: 'a' });
    expect(refusals.map((refusal) => refusal.code)).toEqual(['RESTORE_REFUSED']);
    const volumesBefore = await volumesOf(namespace);
    expect(volumesBefore).toHaveLength(1);
    const { target } = plan;
    expect(await abandonRestore(scene.cluster, { backupId: backup.snapshot.id, ...target })).toBe(3);
    expect(await volumesOf(namespace)).toEqual([]);
    expect(await scene.cluster.list(CLAIM, { namespace })).toEqual([]);
    expect(await leftovers(scene, namespace)).toEqual([]);
    expect((await planIn(scene, backup, { namespace, zone: 'a' })).refusals).toEqual([]);
  });
});

async function volumesOf(namespace: string): Promise<string[]> {
  const volumes = await scene.cluster.list(VOLUME);
  return volumes
    .filter((volume) => textAt(volume, 'spec', 'claimRef', 'namespace') === namespace)
    .map(({ metadata }) => metadata.name);
}

/** Runs the restore in a process of its own that dies at the event; the signal that ended it. */
async function killedAt(plan: RestorePlan, words: string): Promise<NodeJS.Signals | number | null> {
  const file = join(scene.folder, `${plan.restoreId}.json`);
  await writeFile(file, JSON.stringify(optionsFor(scene, plan)));
  const script = join(import.meta.dirname, 'restore-child.ts');
  const child = spawn(process.execPath, [script, file, scene.state.kubeconfig, words], { stdio: 'inherit' });
  return await new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
}

test('a StatefulSet that comes up early waits for its claim, and finds its data in it', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace });
  const ref = { resource: POD, namespace, name: 'db-0' };
  let made: Promise<unknown> | undefined;
  let early: Promise<KubeObject | undefined> | undefined;
  const result = await restoreClaim(scene.cluster, {
    ...optionsFor(scene, plan),
    onEvent: ({ message }) => {
      const set = statefulSetOf(scene.state, namespace, 1, 'cat /data/deep/er/hello.txt');
      if (message.includes('waits for the volume')) made = scene.cluster.create(set);
      if (message.includes('exit code 0')) early = scene.cluster.get(ref.resource, namespace, ref.name);
    },
  });
  await made;
  expect(textAt(await early, 'status', 'phase')).toBe('Pending');
  const claim = await claimOf(plan);
  const pod = await scene.cluster.waitFor(ref, running, { timeoutMs: 120_000, what: 'the pod of the StatefulSet' });
  expect(textAt(pod, 'spec', 'nodeName')).toBe('node-b');
  expect(textAt(await volumeOf(result), 'spec', 'claimRef', 'uid')).toBe(claim.metadata.uid);
  const claims = await scene.cluster.list(CLAIM, { namespace });
  expect(claims.map(({ metadata }) => metadata.name)).toEqual(['data-db-0']);
  expect(await scene.cluster.logs(namespace, ref.name)).toContain('hello');
});

function running(pod: KubeObject | undefined): KubeObject | undefined {
  return textAt(pod, 'status', 'phase') === 'Running' ? pod : undefined;
}
