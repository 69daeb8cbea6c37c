/** Volumes that are streamed out of a pod: whole, or not at all. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { parseRecipe } from '../../../src/manifest/recipe.ts';
import { listSnapshots } from '../../../src/repository/snapshots.ts';
import { isReady } from '../kubectl.ts';
import {
  type BackupScene,
  describeFolder,
  describeVolume,
  leftovers,
  openBackupScene,
  runFor,
  variedFiles,
} from './backup-scene.ts';
import { openFrontedCluster } from './fronted-cluster.ts';

let scene: BackupScene;

beforeAll(async () => {
  scene = await openBackupScene();
  const { busyboxImage, holdfastImage } = scene.state;
  await Promise.all([
    makeConsumer('busybox', busyboxImage, `${variedFiles}\n${more}`, { accessMode: 'ReadWriteOncePod' }),
    makeConsumer('gnu', holdfastImage, `${variedFiles}\n${more}; echo foreign > covered/foreign`, { cover: true }),
    makeConsumer('user', busyboxImage, 'true', { user: 1000, prepare: secretFile }),
    makeConsumer('part', busyboxImage, 'true', { subPath: 'folder' }),
    makeConsumer('bare', 'localhost/pause:1', undefined, {}),
  ]);
});

afterAll(async () => {
  await scene.close();
});

/** Names that are no text, a long one, a file larger than a pack, and one that is nearly all hole. */
const more = `
  n=$(printf 'x%.0s' $(seq 1 120)); mkdir -p "$n/$n"; echo long > "$n/$n/$n"; ln "$n/$n/$n" long.link
  echo odd > "$(printf 'b\\377d')"; ln -s "$n/$n" long.soft; echo '-rf' > -rf
  head -c 6000000 /dev/urandom > big.bin; truncate -s 42M hole.img; printf x | dd of=hole.img bs=1 seek=40000000 conv=notrunc 2>/dev/null
  sync`;

const secretFile = 'cd /data; rmdir lost+found; echo s > secret; chmod 0 secret; echo o > open';

interface ConsumerWish {
  readonly accessMode?: string;
  /** Mounts something else below the volume's mount point. */
  readonly cover?: boolean;
  readonly subPath?: string;
  readonly user?: number;
  /** Done by root before. */
  readonly prepare?: string;
}

/** A claim and the pod that has it at /data; the pod's name is that of the claim. */
async function makeConsumer(
  name: string,
  image: string,
  script: string | undefined,
  wish: ConsumerWish,
): Promise<void> {
  const { kubectl } = scene;
  const shell = {
    command: ['sh', '-ec', `${script}\ntouch /tmp/ready; exec sleep 100000`],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
  };
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: [wish.accessMode ?? 'ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      resources: { requests: { storage: '200Mi' } },
    },
  };
  const cover = wish.cover ? [{ name: 'cover', mountPath: '/data/covered' }] : [];
  const common = {
    ...{ image, imagePullPolicy: 'IfNotPresent' },
    volumeMounts: [{ name: 'data', mountPath: '/data', ...(wish.subPath ? { subPath: wish.subPath } : {}) }, ...cover],
  };
  const main = { name: 'main', ...common, ...(script === undefined ? {} : shell) };
  const first = { name: 'first', ...common, command: ['sh', '-ec', wish.prepare ?? ''] };
  await kubectl.apply(claim, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeSelector: { 'topology.kubernetes.io/zone': 'b' },
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      initContainers: wish.prepare === undefined ? [] : [{ ...first, securityContext: { runAsUser: 0 } }],
      containers: [{ ...main, securityContext: { runAsUser: wish.user ?? 0 } }],
      volumes: [
        { name: 'data', persistentVolumeClaim: { claimName: name } },
        { name: 'cover', emptyDir: {} },
      ],
    },
  });
  await kubectl.waitFor('pod', name, isReady, 120_000);
}

function run(claim: string, cluster = scene.cluster) {
  const { repository } = scene;
  return backupClaim(cluster, runFor(scene, claim, { method: 'ExecStream', writable: repository }));
}

/** As the real restic restores it. */
async function restored(backupId: string, claim: string): Promise<string[]> {
  const target = await mkdtemp(join(tmpdir(), 'holdfast-stream-'));
  onTestFinished(() => rm(target, { recursive: true }));
  await scene.restic('restore', backupId, '--target', target);
  return describeFolder(join(target, scene.namespace, claim, 'volume'));
}

async function manifestOf(backupId: string, claim: string) {
  return parseRecipe(await scene.restic('dump', backupId, `/${scene.namespace}/${claim}/manifest.json`));
}

test('a stream is the volume to the byte, of BusyBox and GNU tar, and of a claim that only one pod may have', async () => {
  const claims = ['busybox', 'gnu'];
  const before = await Promise.all(claims.map((claim) => describeVolume(scene, claim)));
  const [busybox, gnu] = await Promise.all(claims.map((claim) => run(claim)));
  for (const result of [busybox, gnu]) {
    expect(result).toMatchObject({ state: 'complete', consistency: 'live', method: 'ExecStream', errors: [] });
  }
  expect(busybox?.warnings).toEqual([expect.stringContaining('no extended attributes')]);
  expect(gnu?.warnings).toContainEqual(expect.stringMatching(/^\/data\/covered is a mount of its own/));
  expect(await restored(busybox?.backupId ?? '', 'busybox')).toEqual(before[0]);
  // What is mounted below the volume is no part of it.
  const own = (lines: string[] | undefined) => lines?.filter((line) => !line.startsWith('./covered'));
  const back = await restored(gnu?.backupId ?? '', 'gnu');
  expect(own(back)).toEqual(own(before[1]));
  expect(back.filter((line) => line.includes('foreign'))).toEqual([]);
  expect((await manifestOf(gnu?.backupId ?? '', 'gnu')).sizes.usedBytes).toBeGreaterThan(11_000_000);
  expect(await leftovers(scene)).toEqual([]);
});

test('a stream that is cut in its middle leaves no backup, and the next run makes one', async () => {
  const before = (await listSnapshots(scene.repository)).length;
  const { cluster, front, close } = await openFrontedCluster(scene.state);
  onTestFinished(close);
  // All else that is asked of the API server in a run is less.
  front.storm(() => ({ kind: 'cut', from: 'server', afterBytes: 3_000_000 }));
  await expect(run('busybox', cluster)).rejects.toMatchObject({ code: 'EXEC_CUT' });
  expect(await listSnapshots(scene.repository)).toHaveLength(before);
  expect(await leftovers(scene)).toEqual([]);
  const again = await run('busybox');
  expect(again.state).toBe('complete');
  // What had arrived was kept, and all of it is known from the backup before.
  expect(again.counts.bytesAdded).toBeLessThan(100_000);
});

test('files that tar may not read make the backup incomplete, and are named', async () => {
  const result = await run('user');
  expect(result).toMatchObject({ state: 'incomplete', errorCount: 1 });
  expect(result.errors[0]).toMatchObject({ path: expect.stringContaining('secret') });
  expect(await scene.restic('ls', result.backupId)).toContain('/open');
  expect(await scene.restic('snapshots', '--json', result.backupId)).toContain('state=incomplete');
});

test('a container without tar, a part of a volume and one that nobody has running are refused before anything is saved', async () => {
  await expect(run('bare')).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringContaining('no tar program'),
  });
  await expect(run('part')).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringContaining('subPath'),
  });
  await scene.kubectl.run('delete', 'pod', 'bare', '--grace-period=0');
  await expect(run('bare')).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringContaining('no pod that uses it is running'),
  });
  expect(await leftovers(scene)).toEqual([]);
});
