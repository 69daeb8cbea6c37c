/** Raw block volumes, and volumes that are copied while in use: planned, backed up and brought back by the commands. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { POD, SNAPSHOT } from '../../../src/cluster/resources.ts';
import { parseRecipe } from '../../../src/manifest/recipe.ts';
import { isReady } from '../kubectl.ts';
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
  const write = 'head -c 3000000 /dev/urandom | dd of=/dev/disk bs=4096 seek=5000 conv=notrunc,fsync 2>/dev/null';
  await Promise.all([
    makeDevice('disk', { zone: 'b', script: write }),
    makeClaim(scene, 'files', { script: variedFiles }),
    makeClaim(scene, 'large', { script: 'head -c 300000000 /dev/urandom > /data/big; sync', size: '600Mi' }),
  ]);
});

afterAll(async () => {
  await scene.close();
});

/** A raw block claim, made where there is none of that name, and a pod that has it as /dev/disk. */
async function makeDevice(name: string, { zone, script }: { zone: string; script: string }): Promise<void> {
  const { kubectl, state } = scene;
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      volumeMode: 'Block',
      resources: { requests: { storage: '96Mi' } },
    },
  };
  await kubectl.apply(...(script === '' ? [] : [claim]), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeSelector: { 'topology.kubernetes.io/zone': zone },
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'main',
          image: state.busyboxImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['sh', '-ec', `${script}\ntouch /tmp/ready; sleep 100000`],
          readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
          volumeDevices: [{ name: 'disk', devicePath: '/dev/disk' }],
        },
      ],
      volumes: [{ name: 'disk', persistentVolumeClaim: { claimName: name } }],
    },
  });
  await kubectl.waitFor('pod', name, isReady, 120_000);
}

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function holdfast(...args: string[]): Promise<Ended> {
  const command = join(import.meta.dirname, '../../../cmd/holdfast.ts');
  const env = {
    ...process.env,
    ...scene.credentials,
    RESTIC_REPOSITORY: scene.url,
    KUBECONFIG: scene.state.kubeconfig,
    HOLDFAST_MOVER_IMAGE: scene.state.holdfastImage,
    // A machine's bundle of authorities is too large to be sent along, and this server needs none.
    AWS_CA_BUNDLE: undefined,
  };
  const child = spawn(process.execPath, [command, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => {
    said.stdout += data;
  });
  child.stderr.on('data', (data) => {
    said.stderr += data;
  });
  return new Promise((resolve) => child.once('close', (exitCode) => resolve({ exitCode, ...said })));
}

const hashOf = async (pod: string) => (await scene.kubectl.exec(pod, 'sha256sum < /dev/disk')).slice(0, 64);

test('a plan says of every claim how, by what, where and how much, and makes nothing', async () => {
  const names = ['disk', 'files', 'nowhere'].map((name) => `${scene.namespace}/${name}`);
  const planned = await holdfast('backup', ...names, '--plan', '--json');
  // One of them cannot be backed up.
  expect(planned.exitCode, planned.stderr).toBe(1);
  const plan = JSON.parse(planned.stdout);
  expect(plan).toMatchObject({ type: 'plan', ready: 2, blocked: 1, skipped: 0, uncovered: 0 });
  expect(plan.claims).toMatchObject([
    { claim: names[0], volumeMode: 'Block', method: 'SnapshotMove', snapshotClass: 'zonal-snap', mover: 'zone b' },
    { claim: names[1], snapshotClassReason: 'the default class of the driver', estimateBasis: 'capacity', notes: [] },
    { claim: names[2], status: 'blocked', error: { code: 'CLAIM_NOT_FOUND' } },
  ]);
  const live = await holdfast('backup', `${scene.namespace}/files`, '--plan', '--method', 'FileCopy');
  expect(live).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/mover +node node-b \(/) });
  expect(await scene.cluster.list(SNAPSHOT, { namespace: scene.namespace })).toEqual([]);
  expect(await leftovers(scene)).toEqual([]);
});

test('a raw block volume and one of files are backed up at once, and the device comes back byte for byte', async () => {
  const names = ['disk', 'files'].map((name) => `${scene.namespace}/${name}`);
  const made = await holdfast('backup', ...names, '--parallel', '2', '--send-credentials', '--json');
  expect(made.exitCode, made.stderr).toBe(0);
  const results = made.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const disk = results.find(({ claim }) => claim === names[0]);
  expect(results).toHaveLength(2);
  expect(disk).toMatchObject({ consistency: 'crash', filesNew: 1, bytesProcessed: 96 << 20 });
  expect(await leftovers(scene)).toEqual([]);

  const target = await mkdtemp(join(tmpdir(), 'holdfast-image-'));
  const { createHash } = await import('node:crypto');
  try {
    await scene.restic('restore', disk.backupId, '--target', target);
    const image = await readFile(join(target, names[0] ?? '', 'volume/volume.img'));
    expect(createHash('sha256').update(image).digest('hex')).toBe(await hashOf('disk'));
  } finally {
    await rm(target, { recursive: true, force: true });
  }
  const to = `${scene.namespace}/disk-back`;
  const back = await holdfast('restore', disk.backupId, '--to', to, '--zone', 'c', '--send-credentials');
  expect(back.exitCode, back.stderr).toBe(0);
  await makeDevice('disk-back', { zone: 'c', script: '' });
  expect(await hashOf('disk-back')).toBe(await hashOf('disk'));
});

test('a volume is copied while its pod goes on, says so in its recipe, and comes back as it was', async () => {
  const before = await describeVolume(scene, 'files');
  const run = runFor(scene, 'files', { method: 'FileCopy' });
  const result = await backupClaim(scene.cluster, run);
  expect(result).toMatchObject({
    method: 'FileCopy',
    consistency: 'live',
    node: 'node-b',
    errorCount: 0,
    warnings: [],
  });
  expect(result).not.toHaveProperty('snapshotClass');
  expect(await leftovers(scene)).toEqual([]);
  const recipe = parseRecipe(await scene.restic('dump', result.backupId, `/${scene.namespace}/files/manifest.json`));
  expect(recipe).toMatchObject({ method: 'FileCopy', consistency: 'live', snapshotClass: null });
  const target = await mkdtemp(join(tmpdir(), 'holdfast-copied-'));
  try {
    await scene.restic('restore', result.backupId, '--target', target);
    expect(await describeFolder(join(target, scene.namespace, 'files', 'volume'))).toEqual(before);
  } finally {
    await rm(target, { recursive: true, force: true });
  }
  const to = `${scene.namespace}/files-back`;
  const back = await holdfast('restore', result.backupId, '--to', to, '--zone', 'c', '--send-credentials', '--json');
  expect(back.exitCode, back.stderr).toBe(0);
  expect(JSON.parse(back.stdout)).toMatchObject({ claim: to, places: ['c'] });
});

test('a copy of a volume in use gives way to a pod that needs the volume elsewhere', async () => {
  const second = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'moving' },
    spec: {
      nodeSelector: { 'topology.kubernetes.io/zone': 'c' },
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: scene.state.busyboxImage, command: ['sleep', '100000'] }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'large' } }],
    },
  };
  const run = runFor(scene, 'large', {
    method: 'FileCopy',
    onEvent: ({ message }) => {
      if (message.startsWith('runs on')) void scene.kubectl.apply(second);
    },
  });
  await expect(backupClaim(scene.cluster, run)).rejects.toMatchObject({
    code: 'LIVE_COPY_REFUSED',
    message: expect.stringContaining('moving waits for a node'),
  });
  expect(await leftovers(scene)).toEqual([]);
  // As long as it waits, no copy is begun at all.
  await expect(backupClaim(scene.cluster, run)).rejects.toMatchObject({ code: 'LIVE_COPY_REFUSED' });
  await scene.kubectl.run('delete', 'pod', 'moving', '--grace-period=0', '--force');
});

test('a copy of a volume in use ends by itself at its deadline, though nobody watches', async () => {
  const mover = async () => {
    const labelSelector = 'holdfast.dev/role=backup';
    return scene.cluster.list(POD, { namespace: scene.namespace, labelSelector });
  };
  const timeouts = { cutMs: 1, readyMs: 1, startMs: 120_000, moveMs: 120_000, cleanUpMs: 60_000, liveMountMs: 1000 };
  const run = runFor(scene, 'large', { method: 'FileCopy', timeouts, keepOnFailure: true });
  await expect(backupClaim(scene.cluster, run)).rejects.toMatchObject({ code: 'MOVER_FAILED' });
  // Nothing was cleaned up: the Job itself has let go of the volume.
  await expect.poll(async () => (await mover()).length, { timeout: 60_000 }).toBe(0);
});
