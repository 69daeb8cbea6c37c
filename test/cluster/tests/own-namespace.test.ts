/**
 * Movers in Holdfast's own namespace: the claim's namespace gets neither credentials nor pods, and both are clean after
 * a run, also after one that was killed.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { sweepOrphans } from '../../../src/backup/orphans.ts';
import type { ClaimBackupRun } from '../../../src/backup/run.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ALIVE, MANAGED_BY, MOVER_NAMESPACE, RUN, WORKS_FOR, workLabels } from '../../../src/cluster/labels.ts';
import { type KubeObject, textAt } from '../../../src/cluster/object.ts';
import { CLAIM, JOB, POD, SECRET, SNAPSHOT, SNAPSHOT_CONTENT, VOLUME } from '../../../src/cluster/resources.ts';
import { createNamespace } from '../kubectl.ts';
import {
  type BackupScene,
  describeFolder,
  describeVolume,
  leftovers,
  makeClaim,
  openBackupScene,
  runFor,
  variedFiles,
} from './backup-scene.ts';

let scene: BackupScene;
let own: Awaited<ReturnType<typeof createNamespace>>;
let folder: string;

beforeAll(async () => {
  scene = await openBackupScene();
  [own, folder] = await Promise.all([
    createNamespace(scene.state, 'own'),
    mkdtemp(join(tmpdir(), 'holdfast-own-')),
    makeClaim(scene, 'data', { script: variedFiles }),
    makeClaim(scene, 'killed', {
      script: 'echo 1 > /data/file; sync',
      storageClass: 'zonal-xfs-retain',
      size: '400Mi',
    }),
  ]);
  await own.kubectl.run('label', 'namespace', own.namespace, 'pod-security.kubernetes.io/enforce=baseline');
});

afterAll(async () => {
  await scene.kubectl.run('patch', 'pv', await volumeOf('killed'), '-p', DELETE);
  await own.remove();
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

const DELETE = '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}';

async function volumeOf(claim: string): Promise<string> {
  return (await scene.kubectl.run('get', 'pvc', claim, '-o', 'jsonpath={.spec.volumeName}')).trim();
}

const ours = `${MANAGED_BY}=holdfast`;

/** What is left in either namespace, and of what has none. */
async function leftInBoth(): Promise<string[]> {
  const there = await leftovers({ ...scene, namespace: own.namespace });
  return [...(await leftovers(scene)), ...there];
}

/** What is there while the mover works. */
async function look(): Promise<Record<string, KubeObject[]>> {
  const { cluster, namespace } = scene;
  const kinds = { jobs: JOB, pods: POD, secrets: SECRET, claims: CLAIM } as const;
  const lists = Object.entries(kinds).map(
    async ([name, kind]) => [name, await cluster.list(kind, { namespace, labelSelector: ours })] as const,
  );
  const contents = await cluster.list(SNAPSHOT_CONTENT, { labelSelector: ours });
  const inOwn = contents.filter((one) => textAt(one, 'spec', 'volumeSnapshotRef', 'namespace') === own.namespace);
  const snapshots = await cluster.list(SNAPSHOT, { namespace, labelSelector: ours });
  return { ...Object.fromEntries(await Promise.all(lists)), contents: inOwn, snapshots };
}

test('a claim is backed up from another namespace, and in its own there is only its snapshot', async () => {
  const before = await describeVolume(scene, 'data');
  let seen: ReturnType<typeof look> | undefined;
  const run = runFor(scene, 'data', {
    moverNamespace: own.namespace,
    onEvent: ({ message }) => {
      if (message.startsWith('runs on')) seen = look();
    },
  });
  const result = await backupClaim(scene.cluster, run);
  expect(result).toMatchObject({ state: 'complete', method: 'SnapshotMove', node: 'node-b', warnings: [] });
  const { snapshots, contents, ...rest } = (await seen) ?? {};
  expect(rest).toEqual({ jobs: [], pods: [], secrets: [], claims: [] });
  expect(snapshots).toHaveLength(1);
  // The copy in the storage has one owner, and that is the snapshot of the claim's namespace.
  expect(contents?.map((one) => textAt(one, 'spec', 'deletionPolicy'))).toEqual(['Retain']);
  expect(await leftInBoth()).toEqual([]);
  const target = join(folder, 'restored');
  await scene.restic('restore', result.backupId, '--target', target);
  expect(await describeFolder(join(target, scene.namespace, 'data', 'volume'))).toEqual(before);
});

test('FileCopy is refused, and named are the ways out, unless the claim has credentials of its own', async () => {
  const run = runFor(scene, 'data', { moverNamespace: own.namespace, method: 'FileCopy' });
  await expect(backupClaim(scene.cluster, run)).rejects.toMatchObject({
    code: 'MOVER_NAMESPACE_UNFIT',
    hint: expect.stringContaining('--claim-secret'),
  });
  expect(await leftInBoth()).toEqual([]);
  await scene.cluster.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'of-this-namespace', namespace: scene.namespace },
    stringData: scene.credentials,
  });
  const allowed = runFor(scene, 'data', { ...run, claimSecretName: 'of-this-namespace' });
  const missing = runFor(scene, 'data', { ...run, claimSecretName: 'not-there' });
  await expect(backupClaim(scene.cluster, missing)).rejects.toMatchObject({
    code: 'CREDENTIALS_MISSING',
    message: expect.stringContaining('not-there'),
  });
  expect(await backupClaim(scene.cluster, allowed)).toMatchObject({ state: 'complete', method: 'FileCopy' });
  expect(await leftInBoth()).toEqual([]);
});

test('what is left of a claim that is gone is removed from both namespaces, and nothing of others', async () => {
  const { cluster, namespace } = scene;
  const old = new Date(Date.now() - 3_600_000).toISOString();
  const made = async (claim: string, of: string, claimUid: string) => {
    const name = `left-of-${claim}`;
    const labels = workLabels({ role: 'backup', run: 'dead', claimUid });
    const annotations = { [WORKS_FOR]: `${of}/${claim}`, [ALIVE]: old };
    const container = { name: 'none', image: scene.state.busyboxImage };
    const template = { spec: { restartPolicy: 'Never', containers: [container] } };
    const metadata = { name, labels, annotations };
    const job = { apiVersion: 'batch/v1', kind: 'Job', spec: { suspend: true, template } };
    await cluster.create({ ...job, metadata: { ...metadata, namespace: own.namespace } });
    return metadata;
  };
  const gone = await made('gone', namespace, 'uid-gone');
  await made('other', 'elsewhere', 'uid-other');
  const snapshot = { volumeSnapshotClassName: 'zonal-snap', source: { persistentVolumeClaimName: 'data' } };
  const inClaims = { ...gone, namespace, annotations: { ...gone.annotations, [MOVER_NAMESPACE]: own.namespace } };
  await cluster.create({ apiVersion: SNAPSHOT.apiVersion, kind: SNAPSHOT.kind, metadata: inClaims, spec: snapshot });
  const found: string[] = [];
  await sweepOrphans(cluster, systemClock, {
    ...{ namespace, moverNamespace: own.namespace, run: 'now', timeoutMs: 60_000, signal: undefined },
    known: new Set(['uid-known']),
    onFound: (claim, run, objects) => found.push(`${claim} ${run} ${objects}`),
    onProblem: (claim, reason) => found.push(`${claim}: ${reason}`),
  });
  expect(found).toEqual([`${namespace}/gone dead 2`]);
  expect(await leftovers(scene)).toEqual([]);
  const jobs = await cluster.list(JOB, { namespace: own.namespace, labelSelector: ours });
  expect(jobs.map((job) => job.metadata.name)).toEqual(['left-of-other']);
  await own.kubectl.run('delete', 'job', 'left-of-other');
});

test('what a killed run left in both namespaces is removed by the next, even by one without a namespace of its own', async () => {
  const { finder, ...run } = runFor(scene, 'killed', {
    moverNamespace: own.namespace,
    snapshotClass: 'zonal-snap-slow',
  });
  const file = join(folder, 'run.json');
  await writeFile(file, JSON.stringify(run));
  const script = join(import.meta.dirname, 'backup-child.ts');
  const args = [script, file, scene.state.kubeconfig, 'mover: runs on'];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  expect(await new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)))).toBe('SIGKILL');
  const left = (await leftInBoth()).map((one) => one.split(' ')[0]);
  expect(left).toEqual(expect.arrayContaining(['Job', 'VolumeSnapshot', 'VolumeSnapshotContent', 'PersistentVolume']));
  // As if it had been silent for an hour.
  const [job] = await scene.cluster.list(JOB, { namespace: own.namespace, labelSelector: `${RUN}=${run.run}` });
  const annotations = { [ALIVE]: new Date(Date.now() - 3_600_000).toISOString() };
  const ref = { resource: JOB, namespace: own.namespace, name: job?.metadata.name ?? '' };
  await scene.cluster.patch(ref, { merge: { metadata: { annotations } } });

  const next: ClaimBackupRun = runFor(scene, 'killed');
  expect(await backupClaim(scene.cluster, next)).toMatchObject({ state: 'complete' });
  expect(await leftInBoth()).toEqual([]);
  const volumes = await scene.cluster.list(VOLUME);
  expect(volumes.filter((one) => textAt(one, 'spec', 'claimRef', 'namespace') === own.namespace)).toEqual([]);
});
