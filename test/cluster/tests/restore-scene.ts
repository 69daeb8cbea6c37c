/** What the tests of restores into the real cluster share: a repository on S3, backups with recipes, and eyes. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import type { Cluster } from '../../../src/cluster/client.ts';
import { connect, readClusterUid } from '../../../src/cluster/connect.ts';
import { type KubeObject, textAt } from '../../../src/cluster/object.ts';
import {
  CLAIM,
  CONFIG_MAP,
  JOB,
  NAMESPACE,
  POD,
  SECRET,
  STORAGE_CLASS,
  VOLUME,
} from '../../../src/cluster/resources.ts';
import { captureRecipe } from '../../../src/manifest/capture.ts';
import { type Consumer, encodeRecipe } from '../../../src/manifest/recipe.ts';
import type { StoredSnapshot } from '../../../src/repository/format/snapshot.ts';
import { initRepository, type Repository } from '../../../src/repository/repository.ts';
import { listSnapshots } from '../../../src/repository/snapshots.ts';
import type { RestoreWishes } from '../../../src/restore/facts.ts';
import { backupFactsOf, gatherFacts } from '../../../src/restore/gather-facts.ts';
import { restoreLabel } from '../../../src/restore/marks.ts';
import { type Planning, planRestore, type RestorePlan } from '../../../src/restore/plan.ts';
import { readRecipe } from '../../../src/restore/read-recipe.ts';
import type { RestoreOptions } from '../../../src/restore/restore-claim.ts';
import { openStore } from '../../../src/store/open-store.ts';
import { backupFolder } from '../../../src/volume/backup.ts';
import { change, rawClaim, rawClass, rawVolume } from '../../manifest/raw-objects.ts';
import type { ClusterState } from '../state.ts';

const run = promisify(execFile);

export const password = 'of the test';

export interface Scene {
  readonly state: ClusterState;
  readonly cluster: Cluster;
  readonly clusterUid: string;
  readonly url: string;
  readonly repository: Repository;
  /** What a mover gets. */
  readonly credentials: Readonly<Record<string, string>>;
  readonly folder: string;
  /** The namespace of each restore that was planned in this scene, by its id. */
  readonly restores: Map<string, string>;
  close(): Promise<void>;
}

export async function openScene(): Promise<Scene> {
  const state = inject('cluster');
  const cluster = await connect({ kubeconfig: state.kubeconfig });
  const { endpoint, bucket, region, accessKeyId, secretAccessKey } = state.s3;
  const url = `s3:${endpoint}/${bucket}/restore-${randomBytes(4).toString('hex')}`;
  const keys = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_DEFAULT_REGION: region };
  // The threads of a backup open the store for themselves.
  Object.assign(process.env, keys);
  const store = await openStore(url);
  const repository = await initRepository(store, password);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-restore-'));
  return {
    ...{ state, cluster, url, repository, folder },
    restores: new Map(),
    clusterUid: (await readClusterUid(cluster)) ?? 'unknown',
    credentials: { ...keys, HOLDFAST_PASSWORD: password },
    close: async () => {
      await rm(folder, { recursive: true, force: true });
      await store.close();
      cluster.close();
    },
  };
}

/** Entries of every kind that a restore must bring back, each with its own owner and mode. */
export async function makeTree(folder: string): Promise<void> {
  const script = `
    cd "$1"; umask 022
    mkdir -p deep/er empty; echo hello > deep/er/hello.txt; head -c 3000000 /dev/urandom > random.bin
    printf 'x' > "name with
line break"; ln random.bin deep/hard.link; ln -s er/hello.txt deep/soft.link; mkfifo deep/pipe
    truncate -s 5M sparse.img; printf end >> sparse.img; : > none
    for n in 1 2 3 4 5 6 7 8 9; do echo "file $n" > "empty/f$n"; done
    chown 1000:2000 random.bin deep; chown 33:33 deep/er/hello.txt; chown -h 7:8 deep/soft.link
    chmod 4750 deep/er/hello.txt; chmod 1770 deep/er; chmod 0 none; chmod 2775 .; chown 0:999 .
    find . -exec touch -h -d '2020-02-02 02:02:02' {} +`;
  await run('sh', ['-ec', script, 'sh', folder]);
}

/** One line an entry: name, mode, owner, size of files, time, links, target; then the hash of each file. */
const describeScript = `
  cd "$1" && export LC_ALL=C
  find . -path ./lost+found -prune -o -print0 | sort -z | xargs -0 -n 1 sh -c '
    s=0; [ -f "$0" ] && [ ! -L "$0" ] && s=$(stat -c %s "$0")
    printf "%s|%s|%s|%s\\n" "$(printf %s "$0" | tr "\\n" "?")" "$(stat -c "%f %u %g %Y" "$0")" "$s" "$(readlink "$0")"
    [ -f "$0" ] && [ ! -L "$0" ] && sha256sum < "$0" | cut -c 1-64; true'`;

export async function describeFolder(folder: string): Promise<string> {
  return (await run('sh', ['-ec', describeScript, 'sh', folder])).stdout.trim();
}

export interface Backup {
  readonly snapshot: StoredSnapshot;
  readonly tree: string;
}

export interface BackupOptions {
  readonly source?: string;
  /** Default: data-db-0 of the namespace shop. */
  readonly name?: string;
  readonly claim?: object;
  readonly volume?: object;
  readonly storageClass?: object;
  readonly consumers?: readonly Consumer[];
  readonly tags?: readonly string[];
}

/** Backs up a folder as the volume of a claim of `shop` that was in zone b, 200 MiB, of the class `zonal-wait`. */
export async function makeBackup(scene: Scene, options: BackupOptions = {}): Promise<Backup> {
  const { name = 'data-db-0' } = options;
  const source = options.source ?? (await mkdtemp(join(scene.folder, 'tree-')));
  if (options.source === undefined) await makeTree(source);
  const driver = 'zonal.csi.holdfast.test';
  const storageClass = { metadata: { name: 'zonal-wait' }, provisioner: driver, parameters: undefined };
  const recipe = captureRecipe({
    claim: change(
      change(rawClaim, { metadata: { name }, spec: { storageClassName: 'zonal-wait' } }),
      options.claim ?? {},
    ),
    consumers: options.consumers ?? [],
    volume: change(
      change(rawVolume, { spec: { storageClassName: 'zonal-wait', csi: { driver } } }),
      options.volume ?? {},
    ),
    storageClass: change(change(rawClass, storageClass), options.storageClass ?? {}),
    method: 'SnapshotMove',
    toolVersion: '0.1.0',
    recordedAtMs: Date.now(),
  });
  const { backupId } = await backupFolder(scene.repository, {
    source,
    host: 'test',
    paths: [`/shop/${name}`],
    tags: options.tags ?? ['state=complete'],
    parentId: null,
    place: {
      dirs: ['shop', name],
      name: 'volume',
      files: [{ name: 'manifest.json', content: encodeRecipe(recipe) }],
    },
  });
  const snapshot = (await listSnapshots(scene.repository)).find(({ id }) => id === backupId);
  if (!snapshot) throw new Error('the backup is not in the list');
  return { snapshot, tree: await describeFolder(source) };
}

export async function planIn(scene: Scene, { snapshot }: Backup, wishes: RestoreWishes): Promise<Planning> {
  const recipe = await readRecipe(scene.repository, snapshot);
  if (!recipe) throw new Error('the backup has no recipe');
  const facts = await gatherFacts(scene.cluster, { backupId: snapshot.id, recipe, wishes });
  const planning = planRestore({ backup: backupFactsOf(snapshot), recipe, facts, wishes });
  if (planning.plan) scene.restores.set(planning.plan.restoreId, planning.plan.target.namespace);
  return planning;
}

export async function planned(scene: Scene, backup: Backup, wishes: RestoreWishes): Promise<RestorePlan> {
  const { plan, refusals } = await planIn(scene, backup, wishes);
  if (!plan) throw new Error(refusals.map(({ message }) => message).join(' '));
  return plan;
}

export function optionsFor(scene: Scene, plan: RestorePlan): RestoreOptions {
  return {
    plan,
    repository: { url: scene.url, credentials: scene.credentials },
    settings: { image: 'localhost/holdfast:test' },
    clusterUid: scene.clusterUid,
    timeouts: { startMs: 120_000, fillMs: 120_000, settleMs: 60_000 },
  };
}

/** The volume of a claim as a pod sees it, and the zone of the node where that pod ran. */
export async function readByPod(
  scene: Scene,
  namespace: string,
  claim: string,
): Promise<{ tree: string; zone: string }> {
  const { log, node } = await runPod(scene, namespace, claim, ['sh', '-ec', describeScript, 'sh', '/data']);
  return { tree: log.trim(), zone: node.replace('node-', '') };
}

/** Runs a command in a pod with the claim at /data, and removes the pod. */
export async function runPod(
  { cluster, state }: Scene,
  namespace: string,
  claimName: string,
  command: readonly string[],
): Promise<{ log: string; node: string }> {
  const name = `visitor-${randomBytes(3).toString('hex')}`;
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  const image = { image: state.busyboxImage, imagePullPolicy: 'IfNotPresent' };
  const ref = { resource: POD, namespace, name };
  await cluster.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'visitor', ...image, command, volumeMounts }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    },
  });
  const pod = await cluster.waitFor(ref, ended, { timeoutMs: 120_000, what: `pod ${name} to end` });
  const log = await cluster.logs(namespace, name, { tailLines: 10_000 });
  await cluster.remove(ref, { uid: pod.metadata.uid, graceSeconds: 0 });
  return { log, node: textAt(pod, 'spec', 'nodeName') ?? '' };
}

function ended(pod: KubeObject | undefined): KubeObject | undefined {
  const phase = textAt(pod, 'status', 'phase');
  if (phase === 'Failed') throw new Error('the reading pod failed');
  return phase === 'Succeeded' ? pod : undefined;
}

/** Kind and name of everything that a restore made for itself and that is still there. */
export async function leftovers(scene: Scene, namespace: string): Promise<string[]> {
  const left: string[] = [];
  for (const resource of [CLAIM, JOB, POD, SECRET, CONFIG_MAP, STORAGE_CLASS, VOLUME]) {
    const labelSelector = restoreLabel;
    const objects = await scene.cluster.list(resource, {
      namespace: resource.namespaced ? namespace : undefined,
      labelSelector,
    });
    // Volumes and classes of tests that run beside this one carry the same label.
    const ours = objects.filter((one) => resource.namespaced || belongsTo(scene, one, namespace));
    left.push(...ours.map((one) => `${resource.kind} ${one.metadata.name}`));
  }
  const volumes = await scene.cluster.list(VOLUME);
  const lost = volumes.filter(
    (one) => belongsTo(scene, one, namespace) && textAt(one, 'status', 'phase') === 'Released',
  );
  return [...left, ...lost.map((one) => `released ${one.metadata.name}`)];
}

/** A volume tells its namespace by its claim, a class only whose restore it is of. */
function belongsTo(scene: Scene, object: KubeObject, namespace: string): boolean {
  const restoreId = object.metadata.labels?.[restoreLabel] ?? '';
  return (textAt(object, 'spec', 'claimRef', 'namespace') ?? scene.restores.get(restoreId)) === namespace;
}

export async function makeNamespace(scene: Scene): Promise<string> {
  const name = `restore-${randomBytes(3).toString('hex')}`;
  await scene.cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return name;
}

/** With its volumes, those of the policy Retain too. */
export async function removeNamespace(scene: Scene, namespace: string): Promise<void> {
  const { cluster } = scene;
  for (const volume of await cluster.list(VOLUME)) {
    if (textAt(volume, 'spec', 'claimRef', 'namespace') !== namespace) continue;
    const ref = { resource: VOLUME, name: volume.metadata.name };
    await cluster.patch(ref, { merge: { spec: { persistentVolumeReclaimPolicy: 'Delete' } } });
  }
  await cluster.remove({ resource: NAMESPACE, name: namespace });
}
