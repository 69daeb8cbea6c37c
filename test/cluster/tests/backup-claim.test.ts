/** Backups of claims in the real cluster, read back by the real restic. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { planClaimBackup } from '../../../src/backup/plan-claim.ts';
import { ALIVE } from '../../../src/cluster/labels.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { CLAIM, JOB, POD, SNAPSHOT, SNAPSHOT_CLASS, VOLUME } from '../../../src/cluster/resources.ts';
import { parseRecipe } from '../../../src/manifest/recipe.ts';
import { listBackups } from '../../../src/repository/snapshots.ts';
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

beforeAll(async () => {
  scene = await openBackupScene();
});

afterAll(async () => {
  await scene.close();
});

test('a backup holds every entry of the claim as its pod sees it, and the real restic restores it', async () => {
  await makeClaim(scene, 'varied', { script: variedFiles, labels: { tier: 'data' } });
  const before = await describeVolume(scene, 'varied');
  const result = await backupClaim(scene.cluster, runFor(scene, 'varied', { policy: 'nightly' }));

  expect(result).toMatchObject({ state: 'complete', errorCount: 0, errors: [], node: 'node-b', warnings: [] });
  expect(await leftovers(scene)).toEqual([]);
  const target = await mkdtemp(join(tmpdir(), 'holdfast-restored-'));
  try {
    await scene.restic('restore', result.backupId, '--target', target);
    const volume = join(target, scene.namespace, 'varied', 'volume');
    expect(await describeFolder(volume)).toEqual(before);
    expect(before.length).toBeGreaterThan(50);
  } finally {
    await rm(target, { recursive: true, force: true });
  }
  await scene.restic('check', '--read-data');
});

test('a backup carries the identity of claim, cluster, policy and run, and a recipe of the claim', async () => {
  await makeClaim(scene, 'known', { script: 'echo 1 > /data/file', labels: { app: 'shop' } });
  const options = runFor(scene, 'known', { policy: 'nightly' });
  const result = await backupClaim(scene.cluster, options);

  const [snapshot] = JSON.parse(await scene.restic('snapshots', '--json', result.backupId));
  expect(snapshot.paths).toEqual([`/${scene.namespace}/known`]);
  expect(snapshot.hostname).toBe(`cluster-${scene.clusterUid.slice(0, 8)}`);
  expect(Date.parse(snapshot.time)).toBe(Date.parse(result.cutTime));
  const claim = await scene.cluster.get(CLAIM, scene.namespace, 'known');
  expect(snapshot.tags).toEqual([
    `cluster-uid=${scene.clusterUid}`,
    `namespace=${scene.namespace}`,
    'claim=known',
    `uid=${claim?.metadata.uid}`,
    'policy=nightly',
    `run=${options.run}`,
    'method=SnapshotMove',
    'state=complete',
  ]);
  const recipe = parseRecipe(await scene.restic('dump', result.backupId, `/${scene.namespace}/known/manifest.json`));
  expect(recipe).toMatchObject({
    method: 'SnapshotMove',
    reclaimPolicy: 'Delete',
    accessModes: ['ReadWriteOnce'],
    topology: { zones: ['b'], source: 'node-affinity' },
    consumers: [{ pod: 'known', node: 'node-b', owner: null, ordinal: null }],
    sizes: { requestedBytes: 200 << 20, provisionedBytes: 200 << 20 },
    unread: [],
  });
  expect(recipe.claim.metadata.labels).toEqual({ app: 'shop' });
  expect(recipe.sizes.usedBytes).toBeGreaterThan(0);
  expect(recipe.sizes.filesystemBytes).toBeGreaterThan(recipe.sizes.usedBytes ?? 0);
});

test('a claim of a class that binds at once is backed up wherever its copy comes to lie', async () => {
  const backUp = async (name: string) => {
    await makeClaim(scene, name, { script: 'echo 1 > /data/file; sync', storageClass: 'zonal-now', zone: '' });
    return backupClaim(scene.cluster, runFor(scene, name));
  };
  for (const result of await Promise.all(['now-1', 'now-2', 'now-3'].map(backUp))) {
    expect(result).toMatchObject({ state: 'complete' });
  }
  expect(await leftovers(scene)).toEqual([]);
});

test('the next backup stores only what changed since the last', async () => {
  await makeClaim(scene, 'grows', { script: 'head -c 20000000 /dev/urandom > /data/old; sync; sleep 3' });
  await backupClaim(scene.cluster, runFor(scene, 'grows'));
  await scene.kubectl.exec('grows', 'head -c 1000000 /dev/urandom > /data/new; sync');
  const second = await backupClaim(scene.cluster, runFor(scene, 'grows'));
  expect(second.counts).toMatchObject({ filesNew: 1, filesUnmodified: 1 });
  expect(second.counts.bytesStored).toBeLessThan(2_000_000);
});

test('what classes retain is removed all the same: snapshot contents and temporary volumes', async () => {
  await makeClaim(scene, 'kept', {
    script: 'echo 1 > /data/file; sync',
    storageClass: 'zonal-xfs-retain',
    size: '400Mi',
  });
  const result = await backupClaim(scene.cluster, runFor(scene, 'kept', { snapshotClass: 'zonal-snap-slow' }));
  expect(result).toMatchObject({ state: 'complete', snapshotClass: 'zonal-snap-slow' });
  expect(await leftovers(scene)).toEqual([]);
  const claim = await scene.cluster.get(CLAIM, scene.namespace, 'kept');
  const own = await scene.cluster.get(VOLUME, undefined, textAt(claim, 'spec', 'volumeName') ?? '');
  expect(textAt(own, 'spec', 'persistentVolumeReclaimPolicy')).toBe('Retain');
  await scene.cluster.patch(
    { resource: VOLUME, name: own?.metadata.name ?? '' },
    { merge: { spec: { persistentVolumeReclaimPolicy: 'Delete' } } },
  );
});

test('a mover that is killed at its work fails the run and leaves nothing, and the next run succeeds', async () => {
  await makeClaim(scene, 'killed', { script: 'head -c 300000000 /dev/urandom > /data/big; sync', size: '600Mi' });
  const killed = new Promise<void>((resolve, reject) => {
    const run = runFor(scene, 'killed', {
      onEvent: ({ message }) => {
        if (!message.startsWith('runs on')) return;
        const kill = ['delete', 'pod', '-l', `holdfast.dev/run=${run.run}`, '--grace-period=0', '--force'];
        setTimeout(() => void scene.kubectl.run(...kill).catch(reject), 700);
      },
    });
    backupClaim(scene.cluster, run).then(
      () => reject(new Error('the backup of the killed mover succeeded')),
      (error: Error) => {
        expect(error).toMatchObject({ code: 'MOVER_FAILED' });
        resolve();
      },
    );
  });
  await killed;
  expect(await leftovers(scene)).toEqual([]);
  const uid = (await scene.cluster.get(CLAIM, scene.namespace, 'killed'))?.metadata.uid;
  expect(await listBackups(scene.repository, { tags: [[`uid=${uid}`]] })).toEqual([]);

  const second = await backupClaim(scene.cluster, runFor(scene, 'killed'));
  expect(second).toMatchObject({ state: 'complete' });
  expect(await leftovers(scene)).toEqual([]);
  // The killed mover's lock is shared and stays until it is stale; a check is exclusive.
  await scene.restic('check', '--read-data', '--no-lock');
});

test('an interrupted run removes what it made and ends with the reason', async () => {
  await makeClaim(scene, 'stopped', { script: 'head -c 300000000 /dev/urandom > /data/big; sync', size: '600Mi' });
  const stop = new AbortController();
  const run = runFor(scene, 'stopped', {
    signal: stop.signal,
    onEvent: ({ message }) => {
      if (message.startsWith('runs on')) stop.abort(new Error('stopped by the test'));
    },
  });
  await expect(backupClaim(scene.cluster, run)).rejects.toThrow('stopped by the test');
  expect(await leftovers(scene)).toEqual([]);
  // SIGTERM lets a mover release its lock.
  const locks = (await scene.restic('list', 'locks', '--no-lock')).trim();
  expect(locks.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(1);
});

test('what a run that was killed left behind is removed by the next one', async () => {
  await makeClaim(scene, 'orphan', { script: 'echo 1 > /data/file' });
  const first = runFor(scene, 'orphan', { repository: { url: scene.url, secretName: 'nothing' }, keepOnFailure: true });
  await expect(backupClaim(scene.cluster, first)).rejects.toMatchObject({ code: 'CREDENTIALS_MISSING' });
  expect(await scene.cluster.list(SNAPSHOT, { namespace: scene.namespace })).toHaveLength(1);
  const [job] = await scene.cluster.list(JOB, { namespace: scene.namespace });
  // As if it had died an hour ago; a fresh mark is watched for a minute first.
  await scene.cluster.patch(
    { resource: JOB, namespace: scene.namespace, name: job?.metadata.name ?? '' },
    { merge: { metadata: { annotations: { [ALIVE]: new Date(Date.now() - 3_600_000).toISOString() } } } },
  );
  const events: string[] = [];
  const second = await backupClaim(
    scene.cluster,
    runFor(scene, 'orphan', { onEvent: ({ phase, message }) => events.push(`${phase}: ${message}`) }),
  );
  expect(second.state).toBe('complete');
  expect(events).toContainEqual(expect.stringContaining(`run ${first.run} left behind`));
  expect(await leftovers(scene)).toEqual([]);
});

test('a backup that is at work keeps a second one of the same claim away', async () => {
  await makeClaim(scene, 'busy', { script: 'head -c 300000000 /dev/urandom > /data/big; sync', size: '600Mi' });
  let second: Promise<unknown> | undefined;
  const run = runFor(scene, 'busy', {
    snapshotClass: 'zonal-snap-slow',
    onEvent: ({ phase, message }) => {
      if (phase === 'snapshot') second ??= backupClaim(scene.cluster, runFor(scene, 'busy')).then(() => 'done', codeOf);
      expect(message).not.toContain('mark');
    },
  });
  const first = await backupClaim(scene.cluster, run);
  expect(first.state).toBe('complete');
  const outcome = await second;
  // Either it saw the mark being renewed, or the first had ended while it looked.
  expect(['BACKUP_RUNNING', 'done']).toContain(outcome);
  expect(await listBackups(scene.repository, { tags: [[`run=${run.run}`]] })).toHaveLength(1);
});

function codeOf(error: { code?: string }): string | undefined {
  return error.code;
}

test('a namespace that refuses the mover fails the backup with the reason of its policy', async () => {
  const { namespace, kubectl, remove } = await createNamespace(scene.state, 'strict');
  try {
    const strict = { ...scene, namespace, kubectl };
    await makeClaim(strict, 'data', { script: 'echo 1 > /data/file' });
    await kubectl.run('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted');
    await expect(backupClaim(scene.cluster, runFor(strict, 'data'))).rejects.toMatchObject({
      code: 'MOVER_FAILED',
      message: expect.stringMatching(/violates PodSecurity "restricted/),
    });
    expect(await leftovers(strict)).toEqual([]);
  } finally {
    await remove();
  }
});

test('refusals come before anything is made', async () => {
  const plan = (claim: string, more = {}) => planClaimBackup(scene.cluster, runFor(scene, claim, more));
  await expect(plan('nowhere')).rejects.toMatchObject({ code: 'CLAIM_NOT_FOUND' });
  await scene.kubectl.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'waits' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      resources: { requests: { storage: '100Mi' } },
    },
  });
  await expect(plan('waits')).rejects.toMatchObject({ code: 'CLAIM_NOT_BOUND' });
  await makeClaim(scene, 'plain', { script: 'true' });
  await expect(plan('plain', { snapshotClass: 'nope' })).rejects.toMatchObject({ code: 'SNAPSHOT_UNSUPPORTED' });
  await expect(plan('plain', { repository: { url: '/tmp/repo' } })).rejects.toMatchObject({
    code: 'FOLDER_REPOSITORY_IN_CLUSTER',
  });
  await expect(plan('plain', { repository: { url: scene.url } })).rejects.toMatchObject({
    code: 'CREDENTIALS_MISSING',
  });
  await expect(plan('plain')).resolves.toMatchObject({ method: 'SnapshotMove', storageClass: 'zonal-wait' });
  expect(await leftovers(scene)).toEqual([]);
  expect(await scene.cluster.list(POD, { namespace: scene.namespace, labelSelector: 'holdfast.dev/run' })).toEqual([]);
  expect((await scene.cluster.list(SNAPSHOT_CLASS)).length).toBeGreaterThan(0);
});
