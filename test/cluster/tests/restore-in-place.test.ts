/** A claim in use is put back to its backup in place: pods away and back, the old content kept, whatever is killed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conditionOf, type KubeObject, textAt, valueAt } from '../../../src/cluster/object.ts';
import { CLAIM, POD, SNAPSHOT, STATEFUL_SET } from '../../../src/cluster/resources.ts';
import { inPlaceMark } from '../../../src/restore/marks.ts';
import { runRestore } from './restore-cli.ts';
import {
  type Backup,
  leftovers,
  makeBackup,
  makeNamespace,
  openScene,
  readByPod,
  removeNamespace,
  runPod,
  type Scene,
} from './restore-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

let scene: Scene;
let backup: Backup;
let namespace: string;

beforeAll(async () => {
  scene = await openScene();
  [backup, namespace] = await Promise.all([makeBackup(scene), makeNamespace(scene)]);
  // Writes only where the backup's content is not: what is found later is what came back.
  const set = statefulSetOf(scene.state, namespace, 1, '[ -e /data/random.bin ] || echo mess > /data/new.file; sync');
  const policy = { whenScaled: 'Delete', whenDeleted: 'Retain' };
  const spec = { ...(set.spec as object), persistentVolumeClaimRetentionPolicy: policy };
  await scene.cluster.create({ ...set, spec });
  await podIsReady();
});

afterAll(async () => {
  await removeNamespace(scene, namespace);
  await scene.close();
});

const ref = { resource: STATEFUL_SET, namespace: '', name: 'db' };

function restore(args: readonly string[], killAt?: string) {
  const all = [
    backup.snapshot.id,
    '--to',
    `${namespace}/data-db-0`,
    '--in-place',
    '--delete',
    '--send-credentials',
    ...args,
  ];
  return runRestore(scene, all, (said) => (killAt !== undefined && said.includes(killAt) ? 'kill' : undefined));
}

test('a pod that nobody would start again is not stopped, and nothing is changed', async () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'alone', namespace },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: scene.state.busyboxImage, command: ['sleep', '600'] }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data-db-0' } }],
    },
  };
  const { uid } = (await scene.cluster.create(pod)).metadata;
  const { exitCode, stderr } = await restore(['--json']);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({ code: 'TARGET_IN_USE' });
  expect(stderr).toContain('pod alone uses it');
  expect(valueAt(await theSet(), 'spec', 'replicas')).toBe(1);
  await scene.cluster.remove({ resource: POD, namespace, name: 'alone' }, { uid, graceSeconds: 0 });
  await scene.cluster.waitFor({ resource: POD, namespace, name: 'alone' }, (found) => (found ? undefined : true), {
    timeoutMs: 60_000,
    what: 'the pod to be gone',
  });
});

test('killed twice, the claim ends with the backup, the pods are back, and the old content is in a snapshot', async () => {
  const { uid } = (await theClaim())!.metadata;
  expect((await restore([], 'is scaled away')).exitCode).toBeNull();
  const given = await restore(['--abandon', '--json']);
  expect(JSON.parse(given.stdout)).toMatchObject({ abandoned: true, state: 'untouched' });
  expect(valueAt(await theSet(), 'spec', 'replicas')).toBe(1);
  await podIsReady();

  expect((await restore([], 'mover: runs on')).exitCode).toBeNull();
  expect(valueAt(await theSet(), 'spec', 'replicas')).toBe(0);

  // One more write follows this word: the kill may come too late for it, or for the program.
  expect([null, 0]).toContain((await restore([], 'replicas again')).exitCode);
  await podIsReady();
  expect((await readByPod(scene, namespace, 'data-db-0')).tree).toBe(backup.tree);
  // After its last write the same command would begin anew.
  if (inPlaceMark in ((await theClaim())?.metadata.annotations ?? {})) await expectPodsKeepTheirs();
  await expectAsBefore(uid);
  const [snapshot, ...more] = await scene.cluster.list(SNAPSHOT, { namespace });
  expect(more).toEqual([]);
  expect(await readSnapshot(snapshot?.metadata.name ?? '')).toBe('mess\n');
});

/** Once they are back, what pods write is theirs, and no second run takes it away. */
async function expectPodsKeepTheirs(): Promise<void> {
  await runPod(scene, namespace, 'data-db-0', ['sh', '-ec', 'echo more > /data/after.file; sync']);
  const last = await restore(['--json']);
  expect(last).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(last.stdout).deleted).toBe(1);
  const { log } = await runPod(scene, namespace, 'data-db-0', [
    'sh',
    '-ec',
    'cat /data/after.file; ls /data/new.file || true',
  ]);
  expect(log).toContain('more');
  expect(log).not.toMatch(/^\/data\/new\.file/m);
}

async function expectAsBefore(uid: string): Promise<void> {
  const set = await theSet();
  expect(valueAt(set, 'spec', 'replicas')).toBe(1);
  expect(textAt(set, 'spec', 'persistentVolumeClaimRetentionPolicy', 'whenScaled')).toBe('Delete');
  const claim = await theClaim();
  expect(claim?.metadata.uid).toBe(uid);
  const marks = [set, claim].flatMap((one) => Object.keys(one?.metadata.annotations ?? {}));
  expect(marks.filter((key) => key.startsWith('restore.holdfast.dev/'))).toEqual([
    'restore.holdfast.dev/restored-from',
  ]);
  expect(await leftovers(scene, namespace)).toEqual([]);
}

async function readSnapshot(name: string): Promise<string> {
  await scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'before', namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      resources: { requests: { storage: '200Mi' } },
      dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name },
    },
  });
  return (await runPod(scene, namespace, 'before', ['cat', '/data/new.file'])).log;
}

function theSet(): Promise<KubeObject | undefined> {
  return scene.cluster.get(ref.resource, namespace, ref.name);
}

function theClaim(): Promise<KubeObject | undefined> {
  return scene.cluster.get(CLAIM, namespace, 'data-db-0');
}

async function podIsReady(): Promise<void> {
  const ready = (pod: KubeObject | undefined) => (conditionOf(pod, 'Ready')?.status === 'True' ? true : undefined);
  await scene.cluster.waitFor({ resource: POD, namespace, name: 'db-0' }, ready, {
    timeoutMs: 120_000,
    what: 'pod db-0',
  });
}
