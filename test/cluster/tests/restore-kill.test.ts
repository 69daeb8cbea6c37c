/**
 * A restore whose orchestrator dies after each of its writes to the API server, and the same restore run again: one
 * volume, the right data, the right policy, nothing left over, and no rival got the volume. A sample of the writes that
 * HOLDFAST_TEST_SEED chooses; all of them with HOLDFAST_TEST_FULL=1.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapLimited } from '../../../src/base/concurrency.ts';
import type { Cluster } from '../../../src/cluster/client.ts';
import { type KubeObject, textAt, valueAt } from '../../../src/cluster/object.ts';
import { CLAIM, POD, SNAPSHOT, STATEFUL_SET, VOLUME } from '../../../src/cluster/resources.ts';
import type { RestoreWishes } from '../../../src/restore/facts.ts';
import { backupFactsOf } from '../../../src/restore/gather-facts.ts';
import { gatherInPlace } from '../../../src/restore/gather-in-place.ts';
import { type InPlacePlan, planInPlace } from '../../../src/restore/plan-in-place.ts';
import { readRecipe } from '../../../src/restore/read-recipe.ts';
import { restoreClaim } from '../../../src/restore/restore-claim.ts';
import { restoreInPlace } from '../../../src/restore/restore-in-place.ts';
import { isFull, seed } from '../../setup/properties.ts';
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
  await Promise.all(namespaces.map((namespace) => removeNamespace(scene, namespace)));
  await scene.close();
});

const atOnce = 3;
const timeoutMs = isFull ? 3_600_000 : 300_000;

/** Some of the numbers 1 to `total`, which the seed chooses; in a full run all of them. */
function sampleOf(name: string, total: number, count: number): number[] {
  const all = Array.from({ length: total }, (_, at) => at + 1);
  if (isFull) return all;
  const rank = (point: number): string => createHash('sha256').update(`${seed} ${name} ${point}`).digest('hex');
  return all.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, count);
}

interface Mortal extends Cluster {
  writes(): number;
}

/** After so many writes nothing of this process reaches the API server any more. */
function dyingAfter(cluster: Cluster, lives: number): Mortal {
  let writes = 0;
  const alive = () => {
    if (writes >= lives) throw new Error('the orchestrator is dead');
  };
  const read =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      alive();
      return call(...args);
    };
  const write =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      alive();
      writes += 1;
      const answer = await call(...args);
      alive();
      return answer;
    };
  return {
    ...cluster,
    get: read(cluster.get),
    list: read(cluster.list),
    create: write(cluster.create),
    patch: write(cluster.patch),
    remove: write(cluster.remove),
    waitFor: read(cluster.waitFor) as Cluster['waitFor'],
    waitForList: read(cluster.waitForList) as Cluster['waitForList'],
    writes: () => writes,
  };
}

async function newNamespace(): Promise<string> {
  const namespace = await makeNamespace(scene);
  namespaces.push(namespace);
  return namespace;
}

/** Writes of a whole restore; a few more, where the binder has to be touched again. */
const expectedWrites = { 'zonal-now': 17, 'zonal-wait': 15, inPlace: 12 } as const;

test.each(['zonal-now', 'zonal-wait'] as const)(
  'a new claim of the class %s',
  async (storageClass) => {
    const points = sampleOf(storageClass, expectedWrites[storageClass], 1);
    await mapLimited(points, atOnce, async (lives) => {
      const wishes: RestoreWishes = { namespace: await newNamespace(), zone: 'c', storageClass };
      const dying = dyingAfter(scene.cluster, lives);
      const plan = await planned(scene, backup, wishes);
      const first = await restoreClaim(dying, optionsFor(scene, plan)).catch((error: unknown) => error);
      expect([lives, dying.writes() >= lives ? 'dead' : 'ended']).toEqual([
        lives,
        first instanceof Error ? 'dead' : 'ended',
      ]);
      await makeRival(wishes.namespace ?? '');
      const again = await planIn(scene, backup, wishes);
      if (again.plan !== null) await restoreClaim(scene.cluster, optionsFor(scene, again.plan));
      // After its last write there is nothing left to do; it may need fewer than are counted on.
      else expect([lives, again.refusals.map(({ code }) => code)]).toEqual([lives, ['TARGET_EXISTS']]);
      await expectRestored(wishes.namespace ?? '', storageClass, lives);
    });
  },
  timeoutMs,
);

async function expectRestored(namespace: string, storageClass: string, lives: number): Promise<void> {
  const claim = (await scene.cluster.get(CLAIM, namespace, 'data-db-0'))!;
  const volumes = (await scene.cluster.list(VOLUME)).filter(
    (one) =>
      textAt(one, 'spec', 'claimRef', 'namespace') === namespace && textAt(one, 'spec', 'claimRef', 'name') !== 'rival',
  );
  const seen = volumes.map((one) => ({
    owner: textAt(one, 'spec', 'claimRef', 'uid'),
    policy: textAt(one, 'spec', 'persistentVolumeReclaimPolicy'),
    class: textAt(one, 'spec', 'storageClassName'),
    phase: textAt(one, 'status', 'phase'),
  }));
  const expected = { owner: claim.metadata.uid, policy: 'Delete', class: storageClass, phase: 'Bound' };
  expect([lives, seen]).toEqual([lives, [expected]]);
  expect(textAt(claim, 'status', 'phase')).toBe('Bound');
  expect([lives, await leftovers(scene, namespace)]).toEqual([lives, []]);
  expect(await readByPod(scene, namespace, 'data-db-0')).toEqual({ tree: backup.tree, zone: 'c' });
}

/** It would take any volume of its class and size that is free. */
function makeRival(namespace: string): Promise<KubeObject> {
  return scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'rival', namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-now',
      resources: { requests: { storage: '200Mi' } },
    },
  });
}

test(
  'a claim in use, in place',
  async () => {
    await mapLimited(sampleOf('in place', expectedWrites.inPlace, 1), atOnce, async (lives) => {
      const namespace = await newNamespace();
      const script = '[ -e /data/random.bin ] || echo mess > /data/new.file; sync';
      await scene.cluster.create(statefulSetOf(scene.state, namespace, 1, script));
      await running(namespace);
      const dying = dyingAfter(scene.cluster, lives);
      const options = optionsFor(
        scene,
        await planned(scene, backup, { namespace: 'default', name: `unused-${namespace}` }),
      );
      const first = await restoreInPlace(dying, { ...options, plan: await inPlace(namespace) }).catch(
        (error: unknown) => error,
      );
      // One that has ended is not begun again: its pods are at work.
      if (first instanceof Error) await restoreInPlace(scene.cluster, { ...options, plan: await inPlace(namespace) });
      await running(namespace);
      const set = await scene.cluster.get(STATEFUL_SET, namespace, 'db');
      expect([lives, valueAt(set, 'spec', 'replicas')]).toEqual([lives, 1]);
      expect([lives, (await readByPod(scene, namespace, 'data-db-0')).tree]).toEqual([lives, backup.tree]);
      const snapshots = await scene.cluster.list(SNAPSHOT, { namespace });
      expect([lives, snapshots.length > 0]).toEqual([lives, true]);
      expect([lives, await leftovers(scene, namespace)]).toEqual([lives, []]);
      expect(await keptContent(namespace, snapshots[0]!)).toBe('mess\n');
    });
  },
  timeoutMs,
);

async function inPlace(namespace: string): Promise<InPlacePlan> {
  const recipe = await readRecipe(scene.repository, backup.snapshot);
  const target = { namespace, name: 'data-db-0' };
  const facts = await gatherInPlace(scene.cluster, target);
  const wishes = { deleteOthers: true, noSafetySnapshot: false, allowIncomplete: false };
  const { plan, refusals } = planInPlace({
    backup: backupFactsOf(backup.snapshot),
    recipe: recipe!,
    target,
    facts,
    wishes,
  });
  if (plan === null) throw new Error(refusals.map(({ message }) => message).join(' '));
  return plan;
}

/** What was in the claim before; a snapshot that was cut from half a restore would not have it. */
async function keptContent(namespace: string, snapshot: KubeObject): Promise<string> {
  const source = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: snapshot.metadata.name };
  await scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'before', namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      resources: { requests: { storage: '200Mi' } },
      dataSource: source,
    },
  });
  return (await runPod(scene, namespace, 'before', ['cat', '/data/new.file'])).log;
}

async function running(namespace: string): Promise<void> {
  const isReady = (pod: KubeObject | undefined) =>
    valueAt(pod, 'status', 'containerStatuses', '0') !== undefined || textAt(pod, 'status', 'phase') === 'Running'
      ? true
      : undefined;
  await scene.cluster.waitFor({ resource: POD, namespace, name: 'db-0' }, isReady, {
    timeoutMs: 120_000,
    what: 'pod db-0',
  });
}
