/** Plans of backups as tables: facts in, and out comes what is done with each claim, how, where, and why. */
import { expect, test } from 'vitest';
import type { BackupFacts, ClaimFacts, ClusterFacts } from '../../src/backup/facts.ts';
import { type PlannedClaim, type PlanWishes, planBackup } from '../../src/backup/plan.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';

const driver = 'csi.example';
const zoneB = { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['b'] }] }] };

function object(kind: string, name: string, more: Record<string, unknown> = {}): KubeObject {
  const { metadata = {}, ...rest } = more;
  return {
    apiVersion: 'v1',
    kind,
    metadata: { name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '', ...(metadata as object) },
    ...rest,
  };
}

const snapshotClass = (name: string, more: object = {}) => object('VolumeSnapshotClass', name, { driver, ...more });
const storageClass = (name: string, volumeBindingMode = 'WaitForFirstConsumer', provisioner = driver) =>
  object('StorageClass', name, { provisioner, volumeBindingMode });

const cluster: ClusterFacts = {
  servesSnapshots: true,
  snapshotClasses: [snapshotClass('snap')],
  storageClasses: [storageClass('fast'), storageClass('at-once', 'Immediate')],
  nodes: [
    { name: 'node-a', ready: true, labels: { zone: 'a' }, drivers: [driver] },
    { name: 'node-b', ready: true, labels: { zone: 'b' }, drivers: [driver] },
  ],
};

interface ClaimShape {
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
  readonly volume?: object | null;
  readonly pods?: readonly KubeObject[];
  readonly attachedNode?: string;
  readonly lastBytes?: number;
}

/** A bound claim of 5 GiB in zone b, as it is unless a table says otherwise. */
function claim(name: string, shape: ClaimShape = {}): ClaimFacts {
  const own = object('PersistentVolumeClaim', name, {
    metadata: { namespace: 'shop', ...shape.metadata },
    spec: { volumeName: `pv-${name}`, storageClassName: 'fast', accessModes: ['ReadWriteOnce'], ...shape.spec },
    status: { phase: 'Bound', capacity: { storage: '5Gi' }, ...shape.status },
  });
  const volume = object('PersistentVolume', `pv-${name}`, {
    spec: {
      csi: { driver },
      capacity: { storage: '5Gi' },
      claimRef: { uid: own.metadata.uid },
      nodeAffinity: { required: zoneB },
      ...shape.volume,
    },
  });
  const { pods = [], attachedNode, lastBytes } = shape;
  const lastBackup = lastBytes === undefined ? undefined : { backupId: 'abc', bytes: lastBytes };
  return { claim: own, volume: shape.volume === null ? undefined : volume, pods, attachedNode, lastBackup };
}

const pod = (name: string, nodeName?: string, more: object = {}) =>
  object('Pod', name, { metadata: { namespace: 'shop', ...more }, spec: { nodeName } });

/** A running pod that has the claim at /data. */
const consumer = (name: string, claimName: string) =>
  object('Pod', name, {
    metadata: { namespace: 'shop' },
    spec: {
      nodeName: 'node-b',
      containers: [{ name: 'main', volumeMounts: [{ name: 'files', mountPath: '/data' }] }],
      volumes: [{ name: 'files', persistentVolumeClaim: { claimName } }],
    },
    status: { phase: 'Running', containerStatuses: [{ name: 'main', state: { running: {} } }] },
  });

function planOf(facts: ClaimFacts, wishes: PlanWishes = {}, more: Partial<ClusterFacts> = {}): PlannedClaim {
  const all: BackupFacts = { cluster: { ...cluster, ...more }, claims: [facts], missing: [] };
  return planBackup(all, wishes).claims[0]!;
}

/** "SnapshotMove snap, zone b", or "blocked CODE", short enough for a table. */
function shortOf(plan: PlannedClaim): string {
  if (plan.status !== 'ready') return `${plan.status} ${plan.error.code}`;
  const by = plan.class === undefined ? '' : ` ${plan.class.class.metadata.name}`;
  return `${plan.method}${by}, ${plan.place.words}`;
}

const nfs = { volume: { csi: undefined, nfs: { server: 'x' }, nodeAffinity: undefined } };
const used = { pods: [pod('web', 'node-b')] };
const noSnapshots = { servesSnapshots: false, snapshotClasses: [] };

test('by itself a claim is cut where its driver can, and copied while in use where it cannot', () => {
  const table: readonly (readonly [what: string, facts: ClaimFacts, more: Partial<ClusterFacts>, plan: string])[] = [
    ['a CSI volume', claim('d'), {}, 'SnapshotMove snap, zone b'],
    ['a raw block volume', claim('d', { spec: { volumeMode: 'Block' } }), {}, 'SnapshotMove snap, zone b'],
    [
      'one of a single pod',
      claim('d', { spec: { accessModes: ['ReadWriteOncePod'] } }),
      {},
      'SnapshotMove snap, zone b',
    ],
    [
      'of a class that binds at once',
      claim('d', { spec: { storageClassName: 'at-once' } }),
      {},
      'SnapshotMove snap, where its copy is made',
    ],
    ['tied to no place', claim('d', { volume: { nodeAffinity: undefined } }), {}, 'SnapshotMove snap, anywhere'],
    ['no CSI driver', claim('d', nfs), {}, 'FileCopy, anywhere'],
    ['no CRDs', claim('d', used), noSnapshots, 'FileCopy, node node-b'],
    [
      'no class of the driver',
      claim('d', used),
      { snapshotClasses: [snapshotClass('x', { driver: 'other' })] },
      'FileCopy, node node-b',
    ],
    [
      'several classes',
      claim('d'),
      { snapshotClasses: [snapshotClass('x'), snapshotClass('y')] },
      'blocked SNAPSHOT_CLASS_AMBIGUOUS',
    ],
    [
      'raw block without snapshots',
      claim('d', { spec: { volumeMode: 'Block' } }),
      noSnapshots,
      'blocked SNAPSHOT_UNSUPPORTED',
    ],
    [
      'one pod without snapshots',
      claim('d', { spec: { accessModes: ['ReadWriteOncePod'] } }),
      noSnapshots,
      'blocked SNAPSHOT_UNSUPPORTED',
    ],
    [
      'one pod without snapshots, which is running',
      claim('d', { spec: { accessModes: ['ReadWriteOncePod'] }, pods: [consumer('web', 'd')] }),
      noSnapshots,
      'ExecStream, container main of pod web',
    ],
    ['no class to read it by', claim('d', { spec: { storageClassName: 'gone' } }), {}, 'blocked SNAPSHOT_UNSUPPORTED'],
    [
      'another class to read it by',
      claim('d', { spec: { storageClassName: 'gone' } }),
      { storageClasses: [storageClass('fast')] },
      'SnapshotMove snap, zone b',
    ],
  ];
  for (const [what, facts, more, expected] of table) expect(shortOf(planOf(facts, {}, more)), what).toBe(expected);
});

test('a method that was asked for is taken or refused, never replaced', () => {
  const table: readonly (readonly [wish: PlanWishes, facts: ClaimFacts, more: Partial<ClusterFacts>, plan: string])[] =
    [
      [{ method: 'SnapshotMove' }, claim('d'), {}, 'SnapshotMove snap, zone b'],
      [{ method: 'SnapshotMove' }, claim('d', nfs), {}, 'blocked SNAPSHOT_UNSUPPORTED'],
      [{ method: 'SnapshotMove' }, claim('d', used), noSnapshots, 'blocked SNAPSHOT_UNSUPPORTED'],
      [{ method: 'FileCopy' }, claim('d', used), {}, 'FileCopy, node node-b'],
      [{ method: 'FileCopy' }, claim('d', { spec: { volumeMode: 'Block' } }), {}, 'blocked LIVE_COPY_REFUSED'],
      [
        { method: 'FileCopy' },
        claim('d', { spec: { accessModes: ['ReadWriteOncePod'] } }),
        {},
        'blocked LIVE_COPY_REFUSED',
      ],
      [{ snapshotClass: 'nope' }, claim('d'), {}, 'blocked SNAPSHOT_UNSUPPORTED'],
      [
        { method: 'ExecStream' },
        claim('d', { pods: [consumer('web', 'd')] }),
        {},
        'ExecStream, container main of pod web',
      ],
      [{ method: 'ExecStream' }, claim('d'), {}, 'blocked STREAM_REFUSED'],
      [
        { method: 'ExecStream', writable: false },
        claim('d', { pods: [consumer('web', 'd')] }),
        {},
        'blocked PASSWORD_MISSING',
      ],
      [
        { method: 'ExecStream' },
        claim('d', { spec: { volumeMode: 'Block' }, pods: [consumer('web', 'd')] }),
        {},
        'blocked STREAM_REFUSED',
      ],
    ];
  for (const [wish, facts, more, expected] of table) expect(shortOf(planOf(facts, wish, more))).toBe(expected);
});

test('a copy of a volume in use runs on its node, and not at all while its pods move (R6.2)', () => {
  const files = (shape: ClaimShape) => shortOf(planOf(claim('d', shape), { method: 'FileCopy' }));
  expect(files({ attachedNode: 'node-b' })).toBe('FileCopy, node node-b');
  expect(files({})).toBe('FileCopy, zone b');
  expect(files({ pods: [pod('web')] })).toBe('blocked LIVE_COPY_REFUSED');
  expect(files({ pods: [pod('web', 'node-b', { deletionTimestamp: 'now' })] })).toBe('blocked LIVE_COPY_REFUSED');
  expect(files({ pods: [pod('one', 'node-a'), pod('two', 'node-b')] })).toBe('blocked LIVE_COPY_REFUSED');
  const shared = { spec: { accessModes: ['ReadWriteMany'] }, volume: { nodeAffinity: undefined } };
  expect(files({ ...shared, pods: [pod('one', 'node-a'), pod('two')] })).toBe('FileCopy, anywhere');
  const down = { nodes: [{ name: 'node-b', ready: false, labels: {}, drivers: [] }] };
  const plan = planOf(claim('d', used), { method: 'FileCopy' }, down);
  expect(plan).toMatchObject({ status: 'blocked', error: { context: { reason: 'its node node-b is not ready' } } });
});

test('a claim that has nothing to back up is skipped, one that has and cannot be had is blocked', () => {
  const table: readonly (readonly [shape: ClaimShape, plan: string, reason: RegExp])[] = [
    [
      { status: { phase: 'Pending' }, spec: { volumeName: undefined } },
      'skipped CLAIM_NOT_BOUND',
      /is Pending, not Bound/,
    ],
    [{ status: { phase: 'Lost' } }, 'blocked CLAIM_NOT_BOUND', /is Lost/],
    [{ volume: null }, 'blocked CLAIM_NOT_BOUND', /bound to pv-d, which is gone/],
    [{ volume: { claimRef: { uid: 'other' } } }, 'blocked CLAIM_NOT_BOUND', /which is not its own/],
    [{ metadata: { deletionTimestamp: 'now' } }, 'skipped CLAIM_UNSETTLED', /it is being deleted/],
    [
      { metadata: { labels: { 'restore.holdfast.dev/id': 'x' } } },
      'skipped CLAIM_UNSETTLED',
      /a restore into it has not ended/,
    ],
    [
      { metadata: { annotations: { 'restore.holdfast.dev/in-place': '{}' } } },
      'skipped CLAIM_UNSETTLED',
      /a restore into it has not ended/,
    ],
  ];
  for (const [shape, expected, reason] of table) {
    const plan = planOf(claim('d', shape));
    expect(shortOf(plan)).toBe(expected);
    expect(plan.status === 'ready' ? '' : plan.error.message).toMatch(reason);
  }
});

test('the class is chosen in the order of R1.7, and the plan says by what', () => {
  const classes = ['one', 'two', 'three', 'four'].map((name) => snapshotClass(name));
  const mark = { metadata: { annotations: { 'holdfast.dev/snapshot-class': 'two' } } };
  const policy = policyWith('snapshots: {class: four, classes: {fast: three}}');
  const of = (facts: ClaimFacts, wishes: PlanWishes) => {
    const plan = planOf(facts, wishes, { snapshotClasses: classes });
    return plan.status === 'ready' ? [plan.class?.class.metadata.name, plan.class?.reason] : [plan.status];
  };
  expect(of(claim('d', mark), { policy, snapshotClass: 'one' })).toEqual(['one', 'named by the user']);
  expect(of(claim('d', mark), { policy })).toEqual(['two', 'named by the annotation of the claim']);
  expect(of(claim('d'), { policy })).toEqual(['three', 'named by the policy for its storage class']);
  expect(of(claim('d', { spec: { storageClassName: 'at-once' } }), { policy })).toEqual([
    'four',
    'named by the policy',
  ]);
  expect(of(claim('d'), {})).toEqual(['blocked']);
});

test('a policy plans every claim of its namespace, also those that it leaves out', () => {
  const policy = policyWith('methods: [{claims: {names: [cache]}, method: FileCopy}]', 'matchLabels: {tier: data}');
  const labels = { tier: 'data' };
  const claims = [
    claim('cache', { metadata: { labels } }),
    claim('data', { metadata: { labels }, lastBytes: 1000 }),
    claim('logs'),
    claim('out', { metadata: { labels, annotations: { 'holdfast.dev/backup': 'false' } } }),
    claim('unclear', { metadata: { labels, annotations: { 'holdfast.dev/backup': 'yes' } } }),
  ];
  const plan = planBackup({ cluster, claims, missing: [] }, { policy });
  expect(plan.claims.map((one) => `${one.claim} ${shortOf(one)}`)).toEqual([
    'shop/cache FileCopy, zone b',
    'shop/data SnapshotMove snap, zone b',
    'shop/logs uncovered CLAIM_LEFT_OUT',
    'shop/out skipped CLAIM_LEFT_OUT',
    'shop/unclear blocked CLAIM_LEFT_OUT',
  ]);
  expect(plan.claims[0]).toMatchObject({ reason: 'asked for (rule 1 of spec.methods)' });
});

test('how much there is to read is told by the last backup, or is at most what the volume has', () => {
  expect(planOf(claim('d', { lastBytes: 1000 }))).toMatchObject({ estimate: { bytes: 1000, basis: 'last-backup' } });
  expect(planOf(claim('d'))).toMatchObject({ estimate: { bytes: 5 * 2 ** 30, basis: 'capacity' } });
  // A device is read from end to end, however much it held last time.
  const block = claim('d', { spec: { volumeMode: 'Block' }, lastBytes: 1000 });
  expect(planOf(block)).toMatchObject({ estimate: { bytes: 5 * 2 ** 30, basis: 'capacity' } });
});

test('a file system that is still to grow, and a zone without a node, are noted and block nothing', () => {
  const growing = {
    conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    phase: 'Bound',
    capacity: { storage: '3Gi' },
  };
  expect(planOf(claim('d', { status: growing }))).toMatchObject({
    notes: ['its file system has 3.0 GiB and is still to grow to the 5.0 GiB of its volume'],
  });
  const nodes = cluster.nodes?.filter(({ name }) => name === 'node-a');
  expect(planOf(claim('d'), {}, { nodes })).toMatchObject({
    status: 'ready',
    notes: ['no ready node in zone b can have the volume now; the mover waits for one'],
  });
  // What may not be read is not known to be missing.
  expect(planOf(claim('d'), {}, { nodes: undefined })).toMatchObject({ notes: [] });
});

test('a claim that was named and is not there is blocked', () => {
  const plan = planBackup({ cluster, claims: [], missing: ['shop/nowhere'] }, {});
  expect(plan.claims).toMatchObject([{ status: 'blocked', claim: 'shop/nowhere', error: { code: 'CLAIM_NOT_FOUND' } }]);
});

function policyWith(more: string, select = '') {
  const header = 'apiVersion: holdfast.dev/v1alpha1\n';
  const meta = 'metadata: {name: main, namespace: shop}\n';
  const repository = `${header}kind: Repository\n${meta}spec: {url: "s3:https://h/b", secretName: s}\n`;
  const spec = `{repository: {name: main}, select: {claims: {${select}}}, ${more}}`;
  return parsePolicyFile(`${repository}---\n${header}kind: BackupPolicy\n${meta}spec: ${spec}\n`, 'p')!.policies[0]!
    .policy;
}

test('Snapshot is only done when it was asked for, keeps what it cuts, and needs the repository from here', () => {
  const table: readonly (readonly [what: string, facts: ClaimFacts, wishes: PlanWishes, plan: string])[] = [
    ['asked for', claim('d'), { method: 'Snapshot' }, 'Snapshot snap, none'],
    [
      'a raw block volume',
      claim('d', { spec: { volumeMode: 'Block' } }),
      { method: 'Snapshot' },
      'Snapshot snap, none',
    ],
    [
      'without a storage class',
      claim('d', { spec: { storageClassName: '' } }),
      { method: 'Snapshot' },
      'Snapshot snap, none',
    ],
    ['without the password', claim('d'), { method: 'Snapshot', writable: false }, 'blocked PASSWORD_MISSING'],
    ['no CSI driver', claim('d', nfs), { method: 'Snapshot' }, 'blocked SNAPSHOT_UNSUPPORTED'],
  ];
  for (const [what, facts, wishes, expected] of table) expect(shortOf(planOf(facts, wishes)), what).toBe(expected);
  const keeps = (wishes: PlanWishes) => {
    const plan = planOf(claim('d'), wishes);
    return plan.status === 'ready' && plan.keeps;
  };
  const keeping = (method: string) => policyWith(`snapshots: {keepLast: 2}, method: ${method}`);
  expect(keeps({ method: 'Snapshot' })).toBe(true);
  expect(keeps({})).toBe(false);
  expect(keeps({ policy: keeping('SnapshotMove') })).toBe(true);
  expect(keeps({ policy: keeping('FileCopy') })).toBe(false);
});
