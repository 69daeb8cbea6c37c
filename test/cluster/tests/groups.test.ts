/**
 * Claims that are cut together, in three zones, under a writer that counts on all of them in one order: from what comes
 * back it can be told whether the cuts were one instant.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sweepLostGroups } from '../../../src/backup/group-leftovers.ts';
import type { GroupWish } from '../../../src/backup/groups.ts';
import { type ClaimOutcome, type ClaimsRun, runClaims } from '../../../src/backup/run-claims.ts';
import { ALIVE, MANAGED_BY, RUN, workLabels } from '../../../src/cluster/labels.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { CLAIM, JOB } from '../../../src/cluster/resources.ts';
import { createGroupSnapshot, servedGroupApi, waitForGroupCut } from '../../../src/cluster/volume-group-snapshot.ts';
import { type GroupRecord, parseRecipe } from '../../../src/manifest/recipe.ts';
import { isReady } from '../kubectl.ts';
import { type BackupScene, leftovers, openBackupScene, runFor } from './backup-scene.ts';
import { groupSnapshots, planOf, runGroups } from './group-scene.ts';
import { statefulSetOf } from './stateful-set.ts';

const claims = ['data-db-0', 'data-db-1', 'data-db-2'];
const byLabel: GroupWish = { byLabel: 'app' };
let scene: BackupScene;
let folder: string;

/** Each pod takes a number over HTTP and has written it through before it answers. */
const counter = `
  mkdir -p /www/cgi-bin; printf '%09d' 0 > /data/n
  printf '#!/bin/sh\\nprintf %%09d "$QUERY_STRING" | dd of=/data/n conv=notrunc,fsync 2>/dev/null\\nprintf "\\\\n\\\\nok"' \\
    > /www/cgi-bin/put
  chmod +x /www/cgi-bin/put; httpd -p 8000 -h /www`;

beforeAll(async () => {
  scene = await openBackupScene();
  folder = await mkdtemp(join(tmpdir(), 'holdfast-groups-'));
  const { kubectl, state, namespace } = scene;
  await scene.cluster.create(statefulSetOf(state, namespace, 3, counter));
  const pods = await Promise.all(['db-0', 'db-1', 'db-2'].map((pod) => kubectl.waitFor('pod', pod, isReady, 120_000)));
  const zones = new Set(pods.map((pod) => textAt(pod, 'spec', 'nodeName')));
  expect(zones.size, 'each pod on a node and in a zone of its own').toBe(3);
  // Every number is on data-db-0 before it is on data-db-1, and there before it is on data-db-2.
  const urls = pods.map((pod) => `http://${textAt(pod, 'status', 'podIP')}:8000/cgi-bin/put`);
  const puts = urls.map((url) => `wget -q -O /dev/null "${url}?$i"`).join(' && ');
  await kubectl.exec('db-0', `(i=1; while ${puts}; do i=$((i+1)); done) > /dev/null 2>&1 &`);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

/** Fewer at a time than the group has claims. */
function runOf(more: Partial<ClaimsRun['common']> = {}): ClaimsRun {
  const { namespace: _, claim: __, ...common } = runFor(scene, '', more);
  return { limits: { claims: 2, retries: 0 }, common };
}

/** What restic finds in the backups of the run, by claim: the number, and the record of the group. */
async function readBack(outcomes: readonly ClaimOutcome[]) {
  const found = outcomes.map(async (outcome) => {
    if (!('result' in outcome)) throw outcome.error;
    const { backupId } = outcome.result;
    const number = await scene.restic('dump', backupId, `/${outcome.claim}/volume/n`);
    const { group } = parseRecipe(await scene.restic('dump', backupId, `/${outcome.claim}/manifest.json`));
    if (group === undefined) throw new Error(`the recipe of ${outcome.claim} has no group`);
    return { number: Number(number), group, result: outcome.result };
  });
  const members = await Promise.all(found);
  return { numbers: members.map(({ number }) => number), groups: members.map(({ group }) => group), members };
}

test('a run that is killed between the cut of its group and the first copy leaves nothing that the next one does not remove, which cuts all at one instant', async () => {
  const run = runOf();
  const { finder: _, ...common } = run.common;
  const file = join(folder, 'run.json');
  await writeFile(file, JSON.stringify({ namespace: scene.namespace, wish: byLabel, run: { ...run, common } }));
  const script = join(import.meta.dirname, 'group-child.ts');
  const child = spawn(process.execPath, [script, file, scene.state.kubeconfig, 'copy: makes'], { stdio: 'inherit' });
  const end = await new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  expect(end).toBe('SIGKILL');
  expect((await groupSnapshots(scene)).length).toBeGreaterThanOrEqual(5);
  await age(common.run);

  const sweeps: string[] = [];
  const outcomes = await runGroups(
    scene.cluster,
    scene.namespace,
    byLabel,
    runOf({ onEvent: ({ phase, claim }) => phase === 'sweep' && sweeps.push(claim) }),
  );
  expect(outcomes.map(({ claim, status }) => [claim, status])).toEqual(
    claims.map((claim) => [`${scene.namespace}/${claim}`, 'done']),
  );
  expect(sweeps).toHaveLength(3);
  const { numbers, groups, members } = await readBack(outcomes);
  const [first = 0, second = 0, third = 0] = numbers;
  expect(third).toBeGreaterThan(0);
  expect([0, 1]).toContain(first - third);
  expect([first, third]).toContain(second);
  const cutTimes = Object.fromEntries(claims.map((claim) => [`${scene.namespace}/${claim}`, expect.any(String)]));
  const record = {
    name: 'db',
    way: 'VolumeGroupSnapshot',
    members: 3,
    snapshotClass: 'zonal-group',
    skewMs: 0,
    cutTimes,
  };
  for (const group of groups) expect(group).toMatchObject(record);
  expect(members.map(({ result }) => result.group)).toEqual(groups);
  await expectNothingLeft();
});

test('without one instant the claims of the chosen pods are cut last, and how far apart all are is told', async () => {
  const last = { matchLabels: { 'statefulset.kubernetes.io/pod-name': 'db-0' } };
  // A claim that is not backed up has all labels of the group.
  const stranger = {
    metadata: { name: 'stranger', labels: { app: 'db' }, annotations: { 'holdfast.dev/backup': 'no' } },
  };
  const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '50Mi' } } };
  await scene.kubectl.apply({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...stranger, spec: claimSpec });
  const plan = await planOf(scene.cluster, scene.namespace, { ...byLabel, last });
  expect(plan.groups).toMatchObject([
    {
      name: 'db',
      snapshot: undefined,
      last: [`${scene.namespace}/data-db-0`],
      reason: expect.stringContaining('also on stranger'),
    },
  ]);
  const started: number[] = [];
  const outcomes = await runClaims(
    scene.cluster,
    plan,
    runOf({ onEvent: ({ phase }) => phase === 'copy' && started.push(1) }),
  );
  const done = outcomes.filter(({ claim }) => !claim.endsWith('/stranger'));
  const { numbers, groups } = await readBack(done);
  const [first = 0, second = 0, third = 0] = numbers;
  expect(Math.min(second, third)).toBeGreaterThan(0);
  // It went on counting between the cuts of the others and the last one: what a window is, and an instant is not.
  expect(first).toBeGreaterThan(Math.max(second, third) + 1);
  const [group] = groups;
  const times = claims.map((claim) => Date.parse(group?.cutTimes[`${scene.namespace}/${claim}`] ?? ''));
  const [lastMs = 0, ...earlierMs] = times;
  expect(lastMs).toBeGreaterThan(Math.max(...earlierMs));
  expect(group).toMatchObject({ way: 'window', members: 3 } satisfies Partial<GroupRecord>);
  expect(group?.skewMs).toBeGreaterThanOrEqual(lastMs - Math.min(...earlierMs) - 1);
  expect(group?.windowMs).toBeGreaterThanOrEqual(group?.skewMs ?? 0);
  await scene.kubectl.run('delete', 'pvc', 'stranger');
  await expectNothingLeft();
});

test('where one claim of a group cannot be had any more none is cut, each is reported, and nothing is left', async () => {
  const plan = await planOf(scene.cluster, scene.namespace, byLabel);
  const [one] = plan.claims.filter((claim) => claim.status === 'ready');
  const gone = structuredClone({ ...one?.source.claim, metadata: { ...one?.source.claim.metadata, name: 'gone' } });
  const planned = plan.claims.map((claim) =>
    claim === one ? { ...one, source: { ...one.source, claim: gone as typeof one.source.claim } } : claim,
  );
  const outcomes = await runClaims(scene.cluster, { ...plan, claims: planned }, runOf());
  expect(outcomes.map(({ status }) => status)).toEqual(['failed', 'failed', 'failed']);
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ error: { code: 'GROUP_NOT_CUT', message: expect.stringContaining('/gone') } });
  }
  await expectNothingLeft();
});

test('a group snapshot that no Job owns goes with the next sweep, one of a run that has a Job stays', async () => {
  const { cluster, namespace } = scene;
  const api = await servedGroupApi(cluster);
  if (api === undefined) throw new Error('the cluster knows no group snapshots');
  const labelsOf = (run: string) => workLabels({ role: 'backup', run, claimUid: 'one' });
  const made = ['lost', 'living'].map((run) => {
    const wish = { namespace, name: run, className: 'zonal-group', matchLabels: { app: 'db' }, worksFor: 'db' };
    return createGroupSnapshot(cluster, api, { ...wish, labels: labelsOf(run), owners: [] });
  });
  for (const group of await Promise.all(made)) {
    await waitForGroupCut(cluster, api, group, { group: group.metadata.name, timeoutMs: 60_000 });
  }
  const container = { name: 'one', image: 'localhost/busybox:1' };
  await scene.kubectl.apply({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'living', labels: labelsOf('living') },
    spec: { suspend: true, template: { spec: { containers: [container], restartPolicy: 'Never' } } },
  });
  const sweep = { namespace, namespaces: [namespace], run: 'next', timeoutMs: 60_000 };
  await sweepLostGroups(cluster, sweep);
  const groups = async () => (await groupSnapshots(scene)).filter((one) => one.startsWith('VolumeGroupSnapshot '));
  expect(await groups()).toEqual(['VolumeGroupSnapshot living']);
  await scene.kubectl.run('delete', 'job', 'living');
  await sweepLostGroups(cluster, sweep);
  // Members that came late go with their owner.
  await expect.poll(() => groupSnapshots(scene), { timeout: 30_000, interval: 500 }).toEqual([]);
  await expectNothingLeft();
});

/** As if the run had been silent for an hour. */
async function age(run: string): Promise<void> {
  const jobs = await scene.cluster.list(JOB, { namespace: scene.namespace, labelSelector: `${RUN}=${run}` });
  expect(jobs).toHaveLength(3);
  const annotations = { [ALIVE]: new Date(Date.now() - 3_600_000).toISOString() };
  for (const job of jobs) {
    const ref = { resource: JOB, namespace: scene.namespace, name: job.metadata.name };
    await scene.cluster.patch(ref, { merge: { metadata: { annotations } } });
  }
}

/** Neither objects nor marks on what is the user's. */
async function expectNothingLeft(): Promise<void> {
  expect(await leftovers(scene)).toEqual([]);
  expect(await groupSnapshots(scene)).toEqual([]);
  const kept = await scene.cluster.list(CLAIM, { namespace: scene.namespace });
  expect(kept.map(({ metadata }) => [metadata.name, metadata.labels])).toEqual(
    claims.map((name) => [name, { app: 'db' }]),
  );
  expect(MANAGED_BY in (kept[0]?.metadata.labels ?? {})).toBe(false);
}
