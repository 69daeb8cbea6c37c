/** A StatefulSet over three zones whose claims are lost, brought back by one command, and what goes wrong on the way. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { conditionOf, type KubeObject } from '../../../src/cluster/object.ts';
import { CLAIM, POD } from '../../../src/cluster/resources.ts';
import { zoneKey } from '../../restore/cluster-facts.ts';
import { runRestore } from './restore-cli.ts';
import {
  type Backup,
  leftovers,
  makeBackup,
  makeNamespace,
  openScene,
  readByPod,
  removeNamespace,
  type Scene,
} from './restore-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

let scene: Scene;
let namespace: string;
/** By ordinal: in zone a, b and c. */
let backups: Backup[];

beforeAll(async () => {
  scene = await openScene();
  namespace = await makeNamespace(scene);
  backups = await Promise.all(['a', 'b', 'c'].map((zone, ordinal) => backUpOrdinal(ordinal, zone)));
  // Of a set whose name ends alike: it has its own pods.
  await backUpOrdinal(0, 'a', 'my-db');
});

afterAll(async () => {
  await removeNamespace(scene, namespace);
  await scene.close();
});

function backUpOrdinal(ordinal: number, zone: string, set = 'db'): Promise<Backup> {
  const name = `data-${set}-${ordinal}`;
  const nodeSelectorTerms = [{ matchExpressions: [{ key: zoneKey, operator: 'In', values: [zone] }] }];
  const owner = { kind: 'StatefulSet', name: set };
  return makeBackup(scene, {
    name,
    volume: { spec: { nodeAffinity: { required: { nodeSelectorTerms } } } },
    consumers: [{ pod: `${set}-${ordinal}`, node: `node-${zone}`, owner, ordinal }],
    tags: ['namespace=shop', `claim=${name}`, 'state=complete', `run=${set}-run`],
  });
}

const wholeSet = ['--stateful-set', 'shop/db', '--send-credentials'];

test('the plan shows every ordinal in its zone, and makes nothing', async () => {
  const { exitCode, stdout } = await runRestore(scene, [...wholeSet, '--to-namespace', namespace, '--plan']);
  expect(exitCode).toBe(0);
  const rows = stdout.split('\n').filter((line) => line.includes('data-db-'));
  expect(rows.map((row) => row.split(/ {2,}/).slice(-2))).toEqual(['a', 'b', 'c'].map((zone) => [zone, 'ready']));
  expect(stdout).not.toContain('my-db');
  expect(await scene.cluster.list(CLAIM, { namespace })).toEqual([]);
});

test('one refusal keeps the whole set from being begun', async () => {
  const to = ['--to-namespace', 'not-there', '--json'];
  const { exitCode, stderr } = await runRestore(scene, [...wholeSet, ...to]);
  expect(exitCode).toBe(1);
  const errors = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(errors.map(({ code }) => code)).toEqual([
    ...['NAMESPACE_MISSING', 'NAMESPACE_MISSING', 'NAMESPACE_MISSING'],
    'RESTORE_OF_SEVERAL_REFUSED',
  ]);
  expect(errors[0]).toMatchObject({ claim: 'not-there/data-db-0' });
});

test('one claim that fails stops no other; a kill loses nothing; in the end each pod has its data in its zone', async () => {
  const command = [...wholeSet, '--to-namespace', namespace];
  let rival: Promise<KubeObject> | undefined;
  const first = await runRestore(scene, command, (said) => {
    if (said.includes('data-db-1: provision: temporary claim')) rival ??= makeRival();
    return undefined;
  });
  expect(first.exitCode).toBe(3);
  expect(first.stderr).toContain(`error: ${namespace}/data-db-1: `);
  expect(first.stdout).toContain('2 claims restored, 1 failed');
  const { uid } = (await rival!).metadata;
  expect((await scene.cluster.get(CLAIM, namespace, 'data-db-1'))?.metadata.uid).toBe(uid);
  await removeRival(uid);

  const killed = await runRestore(scene, command, (said) => (said.includes('mover: runs on') ? 'kill' : undefined));
  expect(killed.exitCode).toBeNull();
  const last = await runRestore(scene, [...command, '--json']);
  expect(last.exitCode).toBe(0);
  const summary = JSON.parse(last.stdout.trim().split('\n').at(-1)!);
  expect(summary).toMatchObject({ type: 'set', done: 1, restored: 2, failed: 0 });
  expect(await leftovers(scene, namespace)).toEqual([]);

  await scene.cluster.create(statefulSetOf(scene.state, namespace, 3, 'cat /data/deep/er/hello.txt'));
  await Promise.all([0, 1, 2].map((ordinal) => podIsReady(`db-${ordinal}`)));
  const seen = await Promise.all([0, 1, 2].map((ordinal) => readByPod(scene, namespace, `data-db-${ordinal}`)));
  expect(seen).toEqual(['a', 'b', 'c'].map((zone, at) => ({ zone, tree: backups[at]!.tree })));
});

test('a set of which an ordinal was never backed up is not half restored', async () => {
  const alone = await backUpOrdinal(2, 'a', 'gap');
  const { exitCode, stderr } = await runRestore(scene, [
    ...['--stateful-set', 'shop/gap', '--send-credentials', '--to-namespace', namespace, '--json'],
  ]);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stderr.split('\n')[0]!)).toMatchObject({ code: 'ORDINALS_MISSING' });
  expect(stderr).toContain('shop/data-gap-0, shop/data-gap-1');
  expect(await scene.cluster.get(CLAIM, namespace, 'data-gap-2')).toBeUndefined();
  expect(alone.snapshot.tags).toContain('claim=data-gap-2');
});

test('everything of a run is planned at once', async () => {
  const { stdout } = await runRestore(scene, ['--run', 'my-db-run', '--to-namespace', namespace, '--plan']);
  expect(stdout.split('\n').filter((line) => line.includes('ready'))).toEqual([
    expect.stringContaining(`${namespace}/data-my-db-0 (of shop/data-my-db-0)`),
  ]);
});

function makeRival(): Promise<KubeObject> {
  return scene.cluster.create({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data-db-1', namespace },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Mi' } } },
  });
}

async function removeRival(uid: string): Promise<void> {
  const ref = { resource: CLAIM, namespace, name: 'data-db-1' };
  await scene.cluster.remove(ref, { uid });
  const gone = (claim: KubeObject | undefined) => (claim === undefined ? true : undefined);
  await scene.cluster.waitFor(ref, gone, { timeoutMs: 60_000, what: 'the rival to be gone' });
}

async function podIsReady(name: string): Promise<void> {
  const ready = (pod: KubeObject | undefined) => (conditionOf(pod, 'Ready')?.status === 'True' ? true : undefined);
  const timeoutMs = 120_000;
  const last = () => 'not ready';
  await scene.cluster.waitFor({ resource: POD, namespace, name }, ready, { timeoutMs, what: `pod ${name}`, last });
}
