/** Groups as tables: what the claims, classes and labels are, and which of them are cut together, how, and why so. */
import { expect, test } from 'vitest';
import type { BackupFacts, ClaimFacts, ClusterFacts, GroupFacts } from '../../src/backup/facts.ts';
import type { GroupWish } from '../../src/backup/groups.ts';
import { planBackup } from '../../src/backup/plan.ts';
import { planGroups } from '../../src/backup/plan-groups.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { GROUP_SNAPSHOT_APIS } from '../../src/cluster/resources.ts';

const driver = 'csi.example';
const [api] = GROUP_SNAPSHOT_APIS;

function object(kind: string, name: string, { metadata, ...rest }: Record<string, unknown> = {}): KubeObject {
  const own = { name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: 'v1', kind, metadata: { ...own, ...(metadata as object) }, ...rest };
}

interface Shape {
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly of?: string;
  readonly pods?: readonly Record<string, string>[];
  readonly annotations?: Record<string, string>;
  readonly phase?: string;
  readonly csi?: boolean;
}

/** A bound claim of a driver that takes snapshots, with the label app=db. */
function claim(name: string, shape: Shape = {}): ClaimFacts {
  const { labels = { app: 'db' }, namespace = 'shop', of = driver, pods = [], annotations, phase, csi = true } = shape;
  const own = object('PersistentVolumeClaim', name, {
    metadata: { namespace, labels, annotations },
    spec: { volumeName: `pv-${name}`, storageClassName: of, accessModes: ['ReadWriteOnce'] },
    status: { phase: phase ?? 'Bound' },
  });
  const source = csi ? { csi: { driver: of } } : { nfs: { server: 'x' } };
  const volume = object('PersistentVolume', `pv-${name}`, {
    spec: { ...source, capacity: { storage: '5Gi' }, claimRef: { uid: own.metadata.uid } },
  });
  const users = pods.map((podLabels, at) =>
    object('Pod', `${name}-${at}`, { metadata: { namespace, labels: podLabels }, spec: { nodeName: 'a' } }),
  );
  return { claim: own, volume, pods: users, attachedNode: undefined, lastBackup: undefined };
}

const drivers = [driver, 'other.example'];
const cluster: ClusterFacts = {
  servesSnapshots: true,
  snapshotClasses: drivers.map((one) => object('VolumeSnapshotClass', one, { driver: one })),
  storageClasses: drivers.map((one) => object('StorageClass', one, { provisioner: one })),
  nodes: undefined,
};
const groupClass = (name: string, of = driver) => object('VolumeGroupSnapshotClass', name, { driver: of });
const known: GroupFacts = { api, classes: [groupClass('together')], claims: [] };

function planOf(claims: readonly ClaimFacts[], more: Partial<GroupFacts> = {}, wish: GroupWish = { byLabel: 'app' }) {
  const facts: BackupFacts = { cluster, claims, missing: [] };
  const groups = { ...known, claims: claims.map((one) => one.claim), ...more };
  return planGroups(planBackup(facts, {}), facts, groups, wish);
}

const pair = [claim('a'), claim('b')];

test('claims of one value of the label are one group, cut by a group snapshot that selects exactly them', () => {
  const other = claim('x', { labels: { app: 'web' } });
  const plan = planOf([
    claim('a', { labels: { app: 'db', n: '1' } }),
    claim('b', { labels: { app: 'db', n: '2' } }),
    other,
  ]);
  expect(plan.groups).toHaveLength(1);
  expect(plan.groups[0]).toMatchObject({
    name: 'db',
    members: ['shop/a', 'shop/b'],
    snapshot: { api, matchLabels: { app: 'db' } },
    reason: 'together (the only class of the driver)',
  });
});

test('a group is cut one by one where its storage cannot do it at once, and the plan says why', () => {
  const outsider = claim('cache');
  const table: readonly (readonly [
    what: string,
    claims: readonly ClaimFacts[],
    more: Partial<GroupFacts>,
    why: RegExp,
  ])[] = [
    ['no CRDs', pair, { api: undefined, classes: [] }, /no API of group snapshots/],
    ['classes that may not be listed', pair, { api: undefined, classes: undefined }, /may not be listed/],
    ['no class', pair, { classes: [] }, /no VolumeGroupSnapshotClass has the driver csi.example/],
    ['a class of another driver', pair, { classes: [groupClass('x', 'other.example')] }, /has the driver csi.example/],
    [
      'two drivers',
      [claim('a'), claim('b', { of: 'other.example' })],
      {},
      /several drivers \(csi.example, other.example\)/,
    ],
    [
      'a claim outside with all labels',
      pair,
      { claims: [...pair, outsider].map((one) => one.claim) },
      /is also on cache/,
    ],
  ];
  for (const [what, claims, more, why] of table) {
    const { groups } = planOf(claims, more);
    expect(groups, what).toHaveLength(1);
    expect(groups[0], what).toMatchObject({ members: ['shop/a', 'shop/b'], snapshot: undefined });
    expect(groups[0]?.reason, what).toMatch(why);
  }
});

test('a claim outside the group does no harm where some label that the group shares is not on it', () => {
  const claims = [
    claim('a', { labels: { app: 'db', tier: 'data' } }),
    claim('b', { labels: { app: 'db', tier: 'data' } }),
  ];
  const { groups } = planOf(claims, { claims: [...claims, claim('cache')].map((one) => one.claim) });
  expect(groups[0]?.snapshot?.matchLabels).toEqual({ app: 'db', tier: 'data' });
});

test('one claim, no label, an empty label, or the same label in another namespace make no group', () => {
  const table: readonly (readonly [what: string, claims: readonly ClaimFacts[]])[] = [
    ['one claim', [claim('a')]],
    ['no label', [claim('a', { labels: {} }), claim('b', { labels: {} })]],
    ['an empty one', [claim('a', { labels: { app: '' } }), claim('b', { labels: { app: '' } })]],
    ['two namespaces', [claim('a'), claim('b', { namespace: 'other' })]],
    ['one that was never used', [claim('a'), claim('b', { phase: 'Pending' })]],
  ];
  for (const [what, claims] of table) expect(planOf(claims).groups, what).toEqual([]);
});

test('one claim that cannot be backed up blocks its group, for a part of it is what nobody asked for', () => {
  const lost = claim('b', { phase: 'Lost' });
  const plan = planOf([claim('a'), lost, claim('c'), claim('x', { labels: {} })]);
  expect(plan.claims.map(({ claim: title, status }) => `${title} ${status}`)).toEqual([
    'shop/a blocked',
    'shop/b blocked',
    'shop/c blocked',
    'shop/x ready',
  ]);
  expect(plan.claims[0]).toMatchObject({ error: { code: 'GROUP_NOT_CUT', context: { group: 'db' } } });
  expect(plan.claims[0]).toMatchObject({ error: { message: expect.stringContaining('shop/b') } });
  expect(plan.claims[1]).toMatchObject({ error: { code: 'CLAIM_NOT_BOUND' } });
  expect(plan.groups).toEqual([]);
});

test('with several group snapshot classes none is guessed, and one that is named decides', () => {
  const classes = [groupClass('one'), groupClass('two')];
  const unclear = planOf(pair, { classes });
  expect(unclear.claims.map(({ status }) => status)).toEqual(['blocked', 'blocked']);
  expect(unclear.claims[0]).toMatchObject({ error: { message: expect.stringContaining('one, two') } });
  const named = planOf(pair, { classes }, { byLabel: 'app', class: 'two' });
  expect(named.groups[0]?.reason).toBe('two (named by the policy)');
  const marked = object('VolumeGroupSnapshotClass', 'two', {
    metadata: { annotations: { 'groupsnapshot.storage.kubernetes.io/is-default-class': 'true' } },
    driver,
  });
  expect(planOf(pair, { classes: [groupClass('one'), marked] }).groups[0]?.reason).toBe(
    'two (the default class of the driver)',
  );
});

test('a volume that is read in use has no instant: it is backed up by itself, and its plan says so', () => {
  const live = claim('live', { csi: false });
  const plan = planOf([...pair, live]);
  expect(plan.groups[0]?.members).toEqual(['shop/a', 'shop/b']);
  expect(plan.claims[2]).toMatchObject({ status: 'ready', notes: [expect.stringContaining('group db')] });
});

test('claims of the pods that are chosen are last, by all of the labels', () => {
  const brokers = claim('broker', { pods: [{ role: 'broker' }] });
  const controllers = claim('controller', { pods: [{ role: 'controller' }] });
  const last = { matchLabels: { role: 'controller' } };
  const { groups } = planOf([controllers, brokers], { classes: [] }, { byLabel: 'app', last });
  expect(groups[0]).toMatchObject({ members: ['shop/controller', 'shop/broker'], last: ['shop/controller'] });
  const both = { matchLabels: { role: 'controller', tier: 'x' } };
  expect(planOf([controllers, brokers], { classes: [] }, { byLabel: 'app', last: both }).groups[0]?.last).toEqual([]);
});

test('claims that were named together are one group whatever their labels, of one namespace or of several', () => {
  const plain = [claim('a', { labels: {} }), claim('b', { labels: {} })];
  expect(planOf(plain, {}, {}).groups[0]).toMatchObject({
    name: 'named',
    reason: expect.stringContaining('no label in common'),
  });
  const far = [claim('a'), claim('b', { namespace: 'other' })];
  expect(planOf(far, {}, {}).groups[0]).toMatchObject({
    snapshot: undefined,
    reason: expect.stringContaining('several namespaces'),
  });
});
