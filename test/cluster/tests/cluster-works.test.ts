/** The cluster is what the other tests take it for: zones that bind, snapshots that keep, groups cut at one moment. */
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { createNamespace, hasPhase, isReady, type Kubectl, type KubernetesObject } from '../kubectl.ts';

const cluster = inject('cluster');
const zoneKey = 'topology.kubernetes.io/zone';

let kubectl: Kubectl;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ kubectl, remove } = await createNamespace(cluster, 'cluster-works'));
});

afterAll(() => remove());

test('three nodes are ready, one in each of the zones a, b and c', async () => {
  const nodes = await kubectl.list('nodes');
  expect(nodes.map((node) => [node.metadata.name, node.metadata.labels?.[zoneKey], isReady(node)])).toEqual([
    ['node-a', 'a', true],
    ['node-b', 'b', true],
    ['node-c', 'c', true],
  ]);
});

test('a claim that waits for its pod is bound in the zone of the pod, and the pod writes to it', async () => {
  await kubectl.apply(claim('data'), pod('writer', { zone: 'b', claims: ['data'] }));
  const bound = await kubectl.waitFor('pvc', 'data', hasPhase('Bound'));
  await kubectl.waitFor('pod', 'writer', isReady);
  await kubectl.exec(
    'writer',
    'dd if=/dev/urandom of=/mnt/data/blob bs=1M count=20 2>/dev/null; echo hello > /mnt/data/file',
  );
  expect(await kubectl.exec('writer', 'cat /mnt/data/file')).toBe('hello\n');
  const volume = await kubectl.get('pv', String(bound.spec?.volumeName));
  expect(JSON.stringify(volume.spec?.nodeAffinity)).toContain('"values":["b"]');
});

test('a snapshot becomes a claim of equal content in another zone', async () => {
  await kubectl.apply(snapshot('data', 'zonal-snap'));
  await kubectl.waitFor('volumesnapshot', 'data', isReadyToUse);
  const copy = claim('copy', { size: '300Mi', from: 'data' });
  await kubectl.apply(copy, pod('reader', { zone: 'c', claims: ['copy'] }));
  await kubectl.waitFor('pod', 'reader', isReady);
  const sumOf = (name: string, folder: string) => kubectl.exec(name, `cd /mnt/${folder} && sha256sum blob file`);
  expect(await sumOf('reader', 'copy')).toBe(await sumOf('writer', 'data'));
});

test('a zonal snapshot is refused in another zone and restored in its own', async () => {
  await kubectl.apply(snapshot('data', 'zonal-snap-in-zone', 'zonal'));
  await kubectl.waitFor('volumesnapshot', 'zonal', isReadyToUse);
  await kubectl.apply(claim('far', { from: 'zonal' }), pod('far', { zone: 'c', claims: ['far'] }));
  await kubectl.apply(claim('near', { from: 'zonal' }), pod('near', { zone: 'b', claims: ['near'] }));
  await kubectl.waitFor('pod', 'near', isReady);
  expect(await kubectl.exec('near', 'cat /mnt/near/file')).toBe('hello\n');
  const events = await kubectl.list('events', '--field-selector=involvedObject.name=far,reason=ProvisioningFailed');
  expect(JSON.stringify(events)).toContain('the source exists only in zone b');
  expect((await kubectl.get('pvc', 'far')).status?.phase).toBe('Pending');
  // The provisioner holds a snapshot for every claim made from it, and lets go of an abandoned one only minutes later.
  await kubectl.run('delete', 'pod/far', 'pvc/far', '--grace-period=1');
  await letGo('zonal');
});

test('a slow snapshot has its time of creation before it is ready to use', async () => {
  await kubectl.apply(snapshot('data', 'zonal-snap-slow', 'slow'));
  const cut = await kubectl.waitFor('volumesnapshot', 'slow', (object) => object.status?.creationTime !== undefined);
  expect(cut.status?.readyToUse).toBe(false);
  const ready = await kubectl.waitFor('volumesnapshot', 'slow', isReadyToUse);
  expect(ready.status?.creationTime).toBe(cut.status?.creationTime);
  // Of a class that retains: the content stays behind unless it is told otherwise.
  const deletes = JSON.stringify({ spec: { deletionPolicy: 'Delete' } });
  await kubectl.run('patch', 'volumesnapshotcontent', contentOf(ready), '--type=merge', '-p', deletes);
});

test('a raw block volume keeps what is written to its device', async () => {
  await kubectl.apply(claim('raw', { mode: 'Block', size: '64Mi' }), pod('raw', { devices: ['raw'] }));
  await kubectl.waitFor('pod', 'raw', isReady);
  await kubectl.exec('raw', 'echo RAWDATA | dd of=/dev/raw bs=512 seek=100 conv=notrunc,fsync 2>/dev/null');
  expect(await kubectl.exec('raw', 'dd if=/dev/raw bs=512 skip=100 count=1 2>/dev/null | head -c 7')).toBe('RAWDATA');
});

test('the volumes of a group snapshot are cut at one moment', async () => {
  const labels = { group: 'pair' };
  await kubectl.apply(
    claim('first', { labels }),
    claim('second', { labels }),
    pod('pair', { claims: ['first', 'second'] }),
  );
  await kubectl.waitFor('pod', 'pair', isReady);
  // Every number is on the first volume before it is on the second: no cut at one moment shows it the other way.
  // Written in place, for a file that is cut short before it is written would be seen empty.
  const write = (name: string) => `printf '%09d\\n' $i 1<> /mnt/${name}/n`;
  const count = `i=1; while true; do ${write('first')}; ${write('second')}; i=$((i+1)); done`;
  await kubectl.exec('pair', `(${count}) > /dev/null 2>&1 &`);
  await kubectl.apply({
    apiVersion: 'groupsnapshot.storage.k8s.io/v1',
    kind: 'VolumeGroupSnapshot',
    metadata: { name: 'pair' },
    spec: { volumeGroupSnapshotClassName: 'zonal-group', source: { selector: { matchLabels: labels } } },
  });
  await kubectl.waitFor('volumegroupsnapshot', 'pair', isReadyToUse);
  // The group is ready before the status of each of its members says so.
  const ofPair = await vi.waitFor(
    async () => {
      const members = await kubectl.list('volumesnapshots');
      const ready = members.filter(
        (member) => member.status?.volumeGroupSnapshotName === 'pair' && isReadyToUse(member),
      );
      expect(ready).toHaveLength(2);
      return ready;
    },
    { timeout: 60_000, interval: 500 },
  );
  expect(ofPair[0]?.status?.creationTime).toBe(ofPair[1]?.status?.creationTime);
  const copies = await Promise.all(ofPair.map(restoreMember));
  await kubectl.apply(...copies, pod('pair-reader', { claims: ['first-copy', 'second-copy'] }));
  await kubectl.waitFor('pod', 'pair-reader', isReady);
  const [first, second] = (await kubectl.exec('pair-reader', 'cat /mnt/first-copy/n /mnt/second-copy/n'))
    .trim()
    .split('\n')
    .map(Number);
  expect(second).toBeGreaterThan(0);
  expect([second, Number(second) + 1]).toContain(first);
});

test('an xfs volume grows while its pod uses it', async () => {
  await kubectl.apply(
    claim('grows', { size: '300Mi', storageClass: 'zonal-xfs-retain' }),
    pod('grows', { claims: ['grows'] }),
  );
  await kubectl.waitFor('pod', 'grows', isReady);
  const { volumeName } = (await kubectl.get('pvc', 'grows')).spec as { volumeName: string };
  const deletes = JSON.stringify({ spec: { persistentVolumeReclaimPolicy: 'Delete' } });
  await kubectl.run('patch', 'pv', volumeName, '--type=merge', '-p', deletes);
  await kubectl.apply(claim('grows', { size: '500Mi', storageClass: 'zonal-xfs-retain' }));
  await kubectl.waitFor('pvc', 'grows', ({ status }) => JSON.stringify(status?.capacity) === '{"storage":"500Mi"}');
  const blocks = await kubectl.exec('grows', "df -k /mnt/grows | awk 'END { print $2 }'");
  expect(Number(blocks)).toBeGreaterThan(400 * 1024);
});

test('a claim in zone b keeps a pod that may only run in zone a from starting', async () => {
  await kubectl.apply(claim('in-b', { storageClass: 'zone-b-only' }), pod('stuck', { zone: 'a', claims: ['in-b'] }));
  await kubectl.waitFor('pvc', 'in-b', hasPhase('Bound'));
  const stuck = await kubectl.waitFor('pod', 'stuck', (object) => messageOfScheduling(object).includes('affinity'));
  expect(stuck.status?.phase).toBe('Pending');
  expect(messageOfScheduling(stuck)).toContain("didn't match PersistentVolume's node affinity");
});

test('pods reach the S3 server and the API server', async () => {
  await kubectl.waitFor('pod', 'writer', isReady);
  const { host } = new URL(cluster.s3.endpoint);
  const answer = await kubectl.exec('writer', `wget -S -O- http://${host} 2>&1 || true`);
  expect(answer).toContain('403');
  const [address, port] = ['$KUBERNETES_SERVICE_HOST', '$KUBERNETES_SERVICE_PORT'];
  expect(await kubectl.exec('writer', `nc -w 3 ${address} ${port} < /dev/null && echo open`)).toContain('open');
});

/** Takes the provisioner's hold off a snapshot. */
async function letGo(name: string): Promise<void> {
  const { finalizers = [] } = (await kubectl.get('volumesnapshot', name)).metadata;
  const others = finalizers.filter((finalizer) => !finalizer.startsWith('provisioner.storage.kubernetes.io/'));
  const patch = JSON.stringify({ metadata: { finalizers: others } });
  await kubectl.run('patch', 'volumesnapshot', name, '--type=merge', '-p', patch);
}

function contentOf(snapshot: KubernetesObject): string {
  return String(snapshot.status?.boundVolumeSnapshotContentName);
}

/** The member's claim is named after the claim that it is a snapshot of. */
async function restoreMember(member: KubernetesObject): Promise<object> {
  const content = await kubectl.get('volumesnapshotcontent', contentOf(member));
  const { source } = content.spec as { source: { volumeHandle: string } };
  return claim(`${await claimOfVolume(source.volumeHandle)}-copy`, { from: member.metadata.name });
}

async function claimOfVolume(handle: string): Promise<string> {
  const volumes = await kubectl.list('pv');
  const found = volumes.map(({ spec }) => spec as { csi: { volumeHandle: string }; claimRef: { name: string } });
  const name = found.find(({ csi }) => csi.volumeHandle === handle)?.claimRef.name;
  if (name === undefined) throw new Error(`no volume has the handle ${handle}`);
  return name;
}

function isReadyToUse(object: KubernetesObject): boolean {
  return object.status?.readyToUse === true;
}

function messageOfScheduling(object: KubernetesObject): string {
  const conditions = (object.status?.conditions ?? []) as { type: string; message?: string }[];
  return conditions.find(({ type }) => type === 'PodScheduled')?.message ?? '';
}

interface ClaimOptions {
  size?: string;
  storageClass?: string;
  mode?: 'Filesystem' | 'Block';
  /** Name of a snapshot. */
  from?: string;
  labels?: Record<string, string>;
}

function claim(name: string, options: ClaimOptions = {}): object {
  const { size = '200Mi', storageClass = 'zonal-wait', mode = 'Filesystem', from, labels } = options;
  const dataSource = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: from };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, labels },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: storageClass,
      volumeMode: mode,
      resources: { requests: { storage: size } },
      ...(from === undefined ? {} : { dataSource }),
    },
  };
}

interface PodOptions {
  zone?: string;
  /** Mounted at /mnt/NAME. */
  claims?: string[];
  /** Found at /dev/NAME. */
  devices?: string[];
}

function pod(name: string, { zone, claims = [], devices = [] }: PodOptions): object {
  const container = {
    name: 'main',
    image: cluster.busyboxImage,
    command: ['sleep', '100000'],
    volumeMounts: claims.map((volume) => ({ name: volume, mountPath: `/mnt/${volume}` })),
    volumeDevices: devices.map((volume) => ({ name: volume, devicePath: `/dev/${volume}` })),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 1,
      nodeSelector: zone === undefined ? {} : { [zoneKey]: zone },
      containers: [container],
      volumes: [...claims, ...devices].map((volume) => ({
        name: volume,
        persistentVolumeClaim: { claimName: volume },
      })),
    },
  };
}

function snapshot(source: string, snapshotClass: string, name = source): object {
  return {
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { name },
    spec: { volumeSnapshotClassName: snapshotClass, source: { persistentVolumeClaimName: source } },
  };
}
