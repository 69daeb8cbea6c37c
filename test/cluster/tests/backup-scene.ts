/** What the tests of backups from the real cluster share: a repository, a claim with files on it, and eyes. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { backupFinder } from '../../../src/backup/find-backup.ts';
import type { ClaimBackupRun } from '../../../src/backup/run.ts';
import type { Cluster } from '../../../src/cluster/client.ts';
import { connect, readClusterUid } from '../../../src/cluster/connect.ts';
import { MANAGED_BY, newRunId } from '../../../src/cluster/labels.ts';
import { textAt } from '../../../src/cluster/object.ts';
import {
  CLAIM,
  CONFIG_MAP,
  JOB,
  POD,
  SECRET,
  SNAPSHOT,
  SNAPSHOT_CONTENT,
  VOLUME,
} from '../../../src/cluster/resources.ts';
import { initRepository, type Repository } from '../../../src/repository/repository.ts';
import { openStore } from '../../../src/store/open-store.ts';
import { createNamespace, isReady, type Kubectl } from '../kubectl.ts';
import type { ClusterState } from '../state.ts';

const execute = promisify(execFile);
const password = 'of the test';

export interface BackupScene {
  readonly state: ClusterState;
  readonly cluster: Cluster;
  readonly clusterUid: string;
  readonly repository: Repository;
  readonly url: string;
  readonly credentials: Readonly<Record<string, string>>;
  readonly namespace: string;
  readonly kubectl: Kubectl;
  /** The real restic on the repository; its standard output. */
  restic(...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export async function openBackupScene(): Promise<BackupScene> {
  const state = inject('cluster');
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = state.s3;
  const url = `s3:${endpoint}/${bucket}/backup-${randomBytes(4).toString('hex')}`;
  const keys = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_DEFAULT_REGION: region };
  const store = await openStore(url, { env: keys });
  const repository = await initRepository(store, password);
  const cache = await mkdtemp(join(tmpdir(), 'holdfast-restic-'));
  const cluster = await connect({ kubeconfig: state.kubeconfig });
  const { namespace, kubectl, remove } = await createNamespace(state, 'backup');
  // Movers promise to keep to this level.
  await kubectl.run('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=baseline');
  const env = { ...process.env, ...keys, RESTIC_PASSWORD: password, RESTIC_REPOSITORY: url };
  return {
    ...{ state, cluster, repository, url, namespace, kubectl },
    clusterUid: (await readClusterUid(cluster)) ?? 'unknown',
    credentials: { ...keys, HOLDFAST_PASSWORD: password },
    restic: async (...args) => {
      const options = { env, maxBuffer: 64 << 20 };
      return (await execute('restic', ['--cache-dir', cache, ...args], options)).stdout;
    },
    close: async () => {
      await remove();
      await rm(cache, { recursive: true, force: true });
      await store.close();
      cluster.close();
    },
  };
}

/** Entries of every kind, with owners and modes that only root can read or give. */
export const variedFiles = `
  umask 022; cd /data; mkdir -p deep/er empty; echo hello > deep/er/hello.txt
  head -c 5000000 /dev/urandom > random.bin; : > none; ln random.bin deep/hard.link
  ln -s er/hello.txt deep/soft.link; mkfifo deep/pipe; printf x > "name with
line break"; truncate -s 3M sparse.img; printf end >> sparse.img
  i=0; while [ $i -lt 40 ]; do echo "file $i" > "empty/f$i"; i=$((i+1)); done
  chown 1000:2000 random.bin deep; chown 33:33 deep/er/hello.txt; chown -h 7:8 deep/soft.link
  chmod 4750 deep/er/hello.txt; chmod 1770 deep/er; chmod 0 none; chmod 2775 empty; chmod 0700 deep; sync`;

/** One line an entry: path, raw mode, owner, links, size, seconds of its time, target, hash. */
const describeScript = `
  cd "$1" && export LC_ALL=C
  find . -path ./lost+found -prune -o -print0 | sort -z | xargs -0 -n 1 sh -c '
    s=0; h=; if [ -f "$0" ] && [ ! -L "$0" ]; then s=$(stat -c %s "$0"); h=$(sha256sum < "$0" | cut -c 1-64); fi
    printf "%s|%s|%s|%s|%s\\n" "$(printf %s "$0" | tr "\\n" "?")" "$(stat -c "%f %u %g %h %Y" "$0")" "$s" "$(readlink "$0")" "$h"'`;

export async function describeFolder(folder: string): Promise<string[]> {
  const { stdout } = await execute('sh', ['-ec', describeScript, 'sh', folder], { maxBuffer: 64 << 20 });
  return linesOf(stdout);
}

export async function describeVolume(scene: BackupScene, pod: string): Promise<string[]> {
  return linesOf(await scene.kubectl.run('exec', pod, '--', 'sh', '-ec', describeScript, 'sh', '/data'));
}

function linesOf(text: string): string[] {
  // The root's link count differs by lost+found.
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('.|'));
}

/** A claim that a running pod in the zone has filled by the script; the pod's name is that of the claim. */
export async function makeClaim(
  scene: BackupScene,
  name: string,
  options: { script: string; storageClass?: string; size?: string; zone?: string; labels?: Record<string, string> },
): Promise<void> {
  const { script, storageClass = 'zonal-wait', size = '200Mi', zone = 'b', labels = {} } = options;
  const { kubectl, state } = scene;
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, labels },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: storageClass,
      resources: { requests: { storage: size } },
    },
  };
  const container = {
    name: 'writer',
    image: state.busyboxImage,
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-ec', `${script}\ntouch /tmp/ready; sleep 100000`],
    readinessProbe: { exec: { command: ['test', '-e', '/tmp/ready'] }, periodSeconds: 1 },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      ...(zone === '' ? {} : { nodeSelector: { 'topology.kubernetes.io/zone': zone } }),
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [container],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: name } }],
    },
  };
  await kubectl.apply(claim, pod);
  await kubectl.waitFor('pod', name, isReady, 120_000);
}

export function runFor(scene: BackupScene, claim: string, more: Partial<ClaimBackupRun> = {}): ClaimBackupRun {
  return {
    namespace: scene.namespace,
    claim,
    image: scene.state.holdfastImage,
    run: newRunId(Date.now(), () => randomBytes(2).toString('hex')),
    repository: { url: scene.url, credentials: scene.credentials },
    finder: backupFinder(scene.repository),
    timeouts: { cutMs: 60_000, readyMs: 60_000, startMs: 120_000, moveMs: 120_000, cleanUpMs: 60_000 },
    ...more,
  };
}

/**
 * Kind and name of all that is there beyond what the test made itself: objects with our mark, snapshots and their
 * contents, volumes without a claim. Waits a little for the garbage collector.
 */
export async function leftovers(scene: BackupScene): Promise<string[]> {
  for (let tries = 0; ; tries++) {
    const found = await findLeftovers(scene);
    if (found.length === 0 || tries >= 20) return found;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function findLeftovers({ cluster, namespace }: BackupScene): Promise<string[]> {
  const found: string[] = [];
  for (const resource of [JOB, POD, CLAIM, SNAPSHOT, CONFIG_MAP, SECRET]) {
    const objects = await cluster.list(resource, { namespace, labelSelector: `${MANAGED_BY}=holdfast` });
    found.push(...objects.map((one) => `${resource.kind} ${one.metadata.name}`));
  }
  for (const content of await cluster.list(SNAPSHOT_CONTENT)) {
    if (textAt(content, 'spec', 'volumeSnapshotRef', 'namespace') === namespace) {
      found.push(`VolumeSnapshotContent ${content.metadata.name}`);
    }
  }
  for (const volume of await cluster.list(VOLUME)) {
    const claim = textAt(volume, 'spec', 'claimRef', 'name') ?? '';
    if (textAt(volume, 'spec', 'claimRef', 'namespace') === namespace && claim.startsWith('holdfast-')) {
      found.push(`PersistentVolume ${volume.metadata.name}`);
    }
  }
  return found;
}
