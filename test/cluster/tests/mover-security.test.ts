/** Movers under each level of Pod Security, and one that reads a snapshot through a read-only claim. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { RUN } from '../../../src/cluster/labels.ts';
import { listAt, textAt, valueAt } from '../../../src/cluster/object.ts';
import { POD, VOLUME } from '../../../src/cluster/resources.ts';
import { parsePolicyFile } from '../../../src/policy/policy-file.ts';
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

let restricted: BackupScene;
let open: BackupScene;
let folder: string;

beforeAll(async () => {
  [restricted, open, folder] = await Promise.all([
    openBackupScene(),
    openBackupScene(),
    mkdtemp(join(tmpdir(), 'holdfast-levels-')),
  ]);
  await Promise.all([makeShared(restricted), makeClaim(open, 'data', { script: variedFiles })]);
  await Promise.all([setLevel(restricted, 'restricted'), setLevel(open, 'privileged')]);
});

afterAll(async () => {
  await Promise.all([restricted.close(), open.close(), rm(folder, { recursive: true, force: true })]);
});

function setLevel({ kubectl, namespace }: BackupScene, level: string): Promise<string> {
  return kubectl.run('label', '--overwrite', 'namespace', namespace, `pod-security.kubernetes.io/enforce=${level}`);
}

/** A claim of a pod that runs as user 1000 with the group 2000, and one file on it that is root's alone. */
async function makeShared({ kubectl, state }: BackupScene): Promise<void> {
  const script = `cd /data; echo own > own; chown 1000:1000 own; chmod 600 own
    echo group > group; chown 0:2000 group; chmod 640 group; echo root > root; chown 0:0 root; chmod 600 root; sync`;
  const image = { image: state.busyboxImage, imagePullPolicy: 'IfNotPresent' };
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '100Mi' } } };
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'shared' }, spec },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'shared' },
      spec: {
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
        securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000 },
        initContainers: [
          { name: 'fill', ...image, command: ['sh', '-ec', script], securityContext: { runAsUser: 0 }, volumeMounts },
        ],
        containers: [{ name: 'main', ...image, command: ['sleep', '100000'], volumeMounts }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'shared' } }],
      },
    },
  );
  await kubectl.waitFor('pod', 'shared', isReady, 120_000);
}

test.concurrent('where only restricted pods are let in, what the pods of the claim can read is read, and the rest is named', async () => {
  const refused = backupClaim(restricted.cluster, runFor(restricted, 'shared'));
  await expect(refused).rejects.toMatchObject({
    code: 'MOVER_FAILED',
    message: expect.stringContaining('PodSecurity'),
  });
  const result = await backupClaim(restricted.cluster, runFor(restricted, 'shared', { security: 'restricted' }));
  expect(result).toMatchObject({ state: 'incomplete', errorCount: 1 });
  expect(result.errors).toEqual([
    { path: expect.stringMatching(/\/root$/), message: expect.stringContaining('EACCES') },
  ]);
  const path = `/${restricted.namespace}/shared/volume`;
  expect(await restricted.restic('dump', result.backupId, `${path}/own`)).toBe('own\n');
  expect(await restricted.restic('dump', result.backupId, `${path}/group`)).toBe('group\n');
  expect(await leftovers(restricted)).toEqual([]);
});

test.concurrent('a privileged mover reads what belongs to others without the right to write, through a read-only claim', async () => {
  const before = await describeVolume(open, 'data');
  const [rules] = parsePolicyFile(policyText(open), 'test').policies;
  let seen: Promise<readonly [unknown, unknown]> | undefined;
  const run = runFor(open, 'data', {
    security: 'privileged',
    rules: rules?.policy,
    onEvent: ({ message }) => {
      if (message.startsWith('runs on')) seen = look(run.run);
    },
  });
  const result = await backupClaim(open.cluster, run);
  expect(result).toMatchObject({ state: 'complete', errorCount: 0 });
  const [pod, volume] = (await seen) ?? [];
  const [container] = listAt(pod, 'spec', 'containers');
  expect(valueAt(container, 'securityContext', 'capabilities')).toEqual({ drop: ['ALL'], add: ['DAC_READ_SEARCH'] });
  expect(listAt(pod, 'spec', 'volumes')).toContainEqual(
    expect.objectContaining({ persistentVolumeClaim: { claimName: expect.any(String), readOnly: true } }),
  );
  expect(valueAt(volume, 'spec')).toMatchObject({ accessModes: ['ReadOnlyMany'] });
  const target = join(folder, 'restored');
  await open.restic('restore', result.backupId, '--target', target);
  expect(await describeFolder(join(target, open.namespace, 'data', 'volume'))).toEqual(before);
  expect(await leftovers(open)).toEqual([]);
});

function policyText({ namespace }: BackupScene): string {
  const head = 'apiVersion: holdfast.dev/v1alpha1';
  return `${head}
kind: Repository
metadata: {name: main, namespace: ${namespace}}
spec: {url: "s3:https://example.com/b", secretName: s}
---
${head}
kind: BackupPolicy
metadata: {name: nightly, namespace: ${namespace}}
spec:
  select: {claims: {}}
  repository: {name: main}
  snapshots: {readOnlyCopies: {zonal-wait: true}}
`;
}

/** The mover's pod, and the volume that it reads. */
async function look(run: string): Promise<readonly [unknown, unknown]> {
  const { cluster, namespace } = open;
  const [pod] = await cluster.list(POD, { namespace, labelSelector: `${RUN}=${run}` });
  const [mounted] = listAt(pod, 'spec', 'volumes');
  const name = textAt(mounted, 'persistentVolumeClaim', 'claimName');
  const volumes = await cluster.list(VOLUME);
  const isRead = (volume: unknown) =>
    textAt(volume, 'spec', 'claimRef', 'namespace') === namespace &&
    textAt(volume, 'spec', 'claimRef', 'name') === name;
  return [pod, volumes.find(isRead)];
}
