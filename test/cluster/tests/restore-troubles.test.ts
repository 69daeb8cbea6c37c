/** What goes wrong while a claim is restored into the real cluster, and what is left then. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isHoldfastError } from '../../../src/base/errors.ts';
import { conditionOf, type KubeObject, textAt } from '../../../src/cluster/object.ts';
import { CLAIM, CONFIG_MAP, JOB, NAMESPACE, POD, SECRET, VOLUME } from '../../../src/cluster/resources.ts';
import { abandonRestore } from '../../../src/restore/abandon.ts';
import { restoreClaim } from '../../../src/restore/restore-claim.ts';
import {
  type Backup,
  leftovers,
  makeBackup,
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

test('a mover that fails says why, leaves no credentials behind, and the next try succeeds', async () => {
  const plan = await planned(scene, backup, { namespace: await newNamespace() });
  const options = optionsFor(scene, plan);
  const wrong = { url: scene.url, credentials: { ...scene.credentials, HOLDFAST_PASSWORD: 'wrong' } };
  const error = await restoreClaim(scene.cluster, { ...options, repository: wrong }).catch((thrown) => thrown);
  expect(isHoldfastError(error, 'MOVER_FAILED')).toBe(true);
  expect(error.context.moverCode).toBe('PASSWORD_WRONG');
  const { namespace, name } = plan.target;
  for (const resource of [JOB, SECRET, POD]) expect(await scene.cluster.list(resource, { namespace })).toEqual([]);
  // kube-root-ca.crt is the cluster's own.
  expect(await scene.cluster.list(CONFIG_MAP, { namespace, labelSelector: 'app.kubernetes.io/managed-by' })).toEqual(
    [],
  );
  expect(textAt(await scene.cluster.get(CLAIM, namespace, name), 'status', 'phase')).toBe('Pending');

  await restoreClaim(scene.cluster, optionsFor(scene, await planned(scene, backup, { namespace })));
  expect((await readByPod(scene, namespace, name)).tree).toBe(backup.tree);
  expect(await leftovers(scene, namespace)).toEqual([]);
});

test('what an earlier mover wrote is not mixed with what the next one writes', async () => {
  const plan = await planned(scene, backup, { namespace: await newNamespace() });
  const { namespace, name } = plan.target;
  await interruptAt(plan, 'runs on');
  const job = (await scene.cluster.get(JOB, namespace, plan.temporaryClaim.metadata.name))!;
  await scene.cluster.remove({ resource: JOB, namespace, name: job.metadata.name }, { uid: job.metadata.uid });
  await scene.cluster.waitForList(POD, { namespace }, (pods) => (pods.length === 0 ? true : undefined), {
    timeoutMs: 60_000,
    what: 'the mover to be gone',
  });
  const mess = 'echo rest > /data/half.file; mkdir -p /data/deep/er/left; echo old > /data/none';
  await runPod(scene, namespace, plan.temporaryClaim.metadata.name, ['sh', '-ec', mess]);

  await restoreClaim(scene.cluster, optionsFor(scene, await planned(scene, backup, { namespace })));
  expect((await readByPod(scene, namespace, name)).tree).toBe(backup.tree);
  expect(await leftovers(scene, namespace)).toEqual([]);
});

test('a volume that was made in another zone than planned is not put to use', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace, zone: 'c' });
  // A class that makes volumes in zone b only, whatever the plan says: as a provisioner that tries elsewhere.
  const { temporaryClaim } = plan;
  const astray = {
    ...plan,
    temporaryClaim: { ...temporaryClaim, spec: { ...temporaryClaim.spec, storageClassName: 'zone-b-only' } },
  };
  const error = await restoreClaim(scene.cluster, optionsFor(scene, astray)).catch((thrown) => thrown);
  expect(isHoldfastError(error, 'VOLUME_MISPLACED')).toBe(true);
  expect(error.context).toMatchObject({ found: 'b', planned: 'c' });
  expect(await scene.cluster.get(CLAIM, namespace, plan.target.name)).toBeUndefined();
  await abandonRestore(scene.cluster, { backupId: backup.snapshot.id, ...plan.target });
  expect(await leftovers(scene, namespace)).toEqual([]);
});

test('a claim that somebody makes meanwhile under the name of the target is left to them', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace });
  const { uid } = (
    await scene.cluster.create({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: plan.target.name, namespace },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } } },
    })
  ).metadata;
  const error = await restoreClaim(scene.cluster, optionsFor(scene, plan)).catch((thrown) => thrown);
  expect(isHoldfastError(error, 'TARGET_EXISTS')).toBe(true);
  await abandonRestore(scene.cluster, { backupId: backup.snapshot.id, ...plan.target });
  expect(await leftovers(scene, namespace)).toEqual([]);
  expect((await scene.cluster.get(CLAIM, namespace, plan.target.name))?.metadata.uid).toBe(uid);
});

test('a restore that was interrupted after the hand-over ends while pods work with the volume', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace });
  await interruptAt(plan, 'belongs to');
  await scene.cluster.create(statefulSetOf(scene.state, namespace, 1, 'echo more > /data/written.by.pod'));
  const pod = { resource: POD, namespace, name: 'db-0' };
  const ready = (object: KubeObject | undefined) =>
    conditionOf(object, 'Ready')?.status === 'True' ? true : undefined;
  await scene.cluster.waitFor(pod, ready, { timeoutMs: 120_000, what: 'the pod to be ready' });
  const again = await planned(scene, backup, { namespace });
  const result = await restoreClaim(scene.cluster, optionsFor(scene, again));
  expect(
    textAt(await scene.cluster.get(VOLUME, undefined, result.volume), 'spec', 'persistentVolumeReclaimPolicy'),
  ).toBe('Delete');
  expect(await leftovers(scene, namespace)).toEqual([]);
  const { log } = await runPod(scene, namespace, plan.target.name, [
    'sh',
    '-ec',
    'cd /data; cat written.by.pod deep/er/hello.txt',
  ]);
  expect(log).toBe('more\nhello\n');
});

test('a target that is bound already is never removed, even when it bears the mark of this restore', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace });
  const { name } = plan.target;
  const ref = { resource: CLAIM, namespace, name };
  const spec = { ...plan.claim.spec, storageClassName: 'zonal-now' };
  const { uid } = (await scene.cluster.create({ ...plan.claim, spec })).metadata;
  const bound = (claim: KubeObject | undefined) => (textAt(claim, 'status', 'phase') === 'Bound' ? true : undefined);
  await scene.cluster.waitFor(ref, bound, { timeoutMs: 60_000, what: 'the claim to be bound' });
  const error = await restoreClaim(scene.cluster, optionsFor(scene, plan)).catch((thrown) => thrown);
  expect(isHoldfastError(error, 'HAND_OVER_FAILED')).toBe(true);
  const left = await scene.cluster.get(CLAIM, namespace, name);
  expect(left?.metadata).toMatchObject({ uid });
  expect(left?.metadata.deletionTimestamp).toBeUndefined();
});

test('a namespace that forbids the mover is named as the reason, not a time that ran out', async () => {
  const namespace = await newNamespace();
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await scene.cluster.patch({ resource: NAMESPACE, name: namespace }, { merge: { metadata: { labels } } });
  const plan = await planned(scene, backup, { namespace });
  const options = { ...optionsFor(scene, plan), timeouts: { startMs: 15_000, settleMs: 60_000 } };
  const error = await restoreClaim(scene.cluster, options).catch((thrown) => thrown);
  expect(isHoldfastError(error, 'MOVER_FAILED')).toBe(true);
  expect(error.message).toContain('violates PodSecurity');
  await abandonRestore(scene.cluster, { backupId: backup.snapshot.id, ...plan.target });
  expect(await leftovers(scene, namespace)).toEqual([]);
});

test('a volume that was given to somebody else before the hand-over is not taken back', async () => {
  const namespace = await newNamespace();
  const plan = await planned(scene, backup, { namespace });
  const temporaryName = plan.temporaryClaim.metadata.name;
  let robbed: Promise<unknown> | undefined;
  const error = await restoreClaim(scene.cluster, {
    ...optionsFor(scene, plan),
    onEvent: ({ message }) => {
      if (message.includes('exit code 0')) robbed = rob(namespace, temporaryName);
    },
  }).catch((thrown) => thrown);
  await robbed;
  expect(isHoldfastError(error, 'HAND_OVER_FAILED')).toBe(true);
  expect(textAt(await scene.cluster.get(CLAIM, namespace, plan.target.name), 'status', 'phase')).toBe('Pending');
  const volume = (await scene.cluster.list(VOLUME)).find(
    (one) => textAt(one, 'spec', 'claimRef', 'namespace') === namespace,
  );
  expect(textAt(volume, 'spec', 'claimRef', 'name')).toBe('thief');
  expect(textAt(volume, 'spec', 'persistentVolumeReclaimPolicy')).toBe('Retain');
  await takeVolume(namespace, volume!.metadata.name);
  expect((await readByPod(scene, namespace, 'thief')).tree).toBe(backup.tree);
});

/** The claim that the volume was given to. */
async function takeVolume(namespace: string, volumeName: string): Promise<void> {
  await scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'thief', namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      volumeName,
      resources: { requests: { storage: '200Mi' } },
    },
  });
}

async function rob(namespace: string, temporaryName: string): Promise<void> {
  const temporary = (await scene.cluster.get(CLAIM, namespace, temporaryName))!;
  const name = textAt(temporary, 'spec', 'volumeName')!;
  const claimRef = { name: 'thief', namespace, uid: null, resourceVersion: null };
  await scene.cluster.patch({ resource: VOLUME, name }, { merge: { spec: { claimRef } } });
}

/** Cancels the restore at an event, which leaves everything as it is. */
async function interruptAt(plan: Awaited<ReturnType<typeof planned>>, words: string): Promise<void> {
  const interruption = new AbortController();
  const restoring = restoreClaim(scene.cluster, {
    ...optionsFor(scene, plan),
    signal: interruption.signal,
    onEvent: ({ message }) => {
      if (message.includes(words)) interruption.abort(new Error('interrupted'));
    },
  });
  await expect(restoring).rejects.toThrow('interrupted');
}
