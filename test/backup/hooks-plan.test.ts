/** Plans of hooks as tables: rules, claims and pods in, and out comes what runs where, or why it cannot. */
import { expect, test } from 'vitest';
import type { ClaimFacts, HookFacts } from '../../src/backup/facts.ts';
import type { CutGroup } from '../../src/backup/groups.ts';
import { groupByHooks } from '../../src/backup/hook-groups.ts';
import { type HookPlan, hookTargetsOf, planHooks, uniteHooks } from '../../src/backup/hooks-plan.ts';
import type { BackupPlan, ReadyClaim } from '../../src/backup/plan.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { type HookRule, hookSchema } from '../../src/policy/hooks-schema.ts';

function object(kind: string, name: string, more: { metadata?: object; [key: string]: unknown } = {}): KubeObject {
  const { metadata, ...rest } = more;
  const basics = { name, namespace: 'shop', uid: `uid-${kind}-${name}`, resourceVersion: '1', creationTimestamp: '' };
  return { apiVersion: kind === 'Pod' ? 'v1' : 'apps/v1', kind, metadata: { ...basics, ...metadata }, ...rest };
}

const controlledBy = (kind: string, name: string) => [
  { apiVersion: 'apps/v1', kind, name, uid: `uid-${kind}-${name}`, controller: true },
];

interface PodShape {
  readonly labels?: Record<string, string>;
  readonly owner?: readonly [kind: string, name: string];
  readonly containers?: readonly string[];
  readonly state?: object;
  readonly annotations?: object;
  readonly deletionTimestamp?: string;
}

function pod(name: string, shape: PodShape = {}): KubeObject {
  const { labels = { app: 'db' }, owner, containers = ['db'], state = { running: {} }, annotations } = shape;
  const { deletionTimestamp } = shape;
  return object('Pod', name, {
    metadata: {
      labels,
      ...(owner === undefined ? {} : { ownerReferences: controlledBy(...owner) }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: { containers: containers.map((container) => ({ name: container })) },
    status: { phase: 'Running', containerStatuses: containers.map((container) => ({ name: container, state })) },
  });
}

function claimOf(pods: readonly KubeObject[], name = 'data'): ClaimFacts {
  const claim = object('PersistentVolumeClaim', name, { metadata: { labels: { tier: 'data' } }, spec: {} });
  return { claim, volume: undefined, pods, attachedNode: undefined, lastBackup: undefined };
}

const set = (name: string, more: object = {}, metadata: object = {}) =>
  object('StatefulSet', name, { metadata: { labels: { app: name }, ...metadata }, spec: { replicas: 2, ...more } });

const rule = (given: object): HookRule => hookSchema.parse(given);
const freeze = { pods: { matchLabels: { app: 'db' } }, before: ['freeze'], after: ['thaw'] };

function plan(rules: readonly object[], claim: ClaimFacts, facts: Partial<HookFacts> = {}, isLive = false) {
  const all = { pods: claim.pods, workloads: [], ...facts };
  return planHooks({ claim, rules: rules.map(rule), facts: all, isLive });
}

const planned = (result: HookPlan | HoldfastError): HookPlan => {
  if (result instanceof HoldfastError) throw result;
  return result;
};

test('a hook runs in all pods with its labels that use the claim, in the order of their names', () => {
  const pods = [pod('db-1'), pod('db-0'), pod('web', { labels: { app: 'web' } })];
  const { hooks } = planned(plan([freeze], claimOf(pods), { pods: [...pods, pod('other-db')] }));
  expect(hooks).toEqual([
    {
      kind: 'command',
      number: 1,
      timeoutMs: 30_000,
      onError: 'Fail',
      places: ['db-0', 'db-1'].map((name) => ({ namespace: 'shop', pod: name, container: 'db' })),
      before: ['freeze'],
      after: ['thaw'],
      holdMs: 60_000,
    },
  ]);
});

test('a hook with claims of its own runs in pods that do not use them', () => {
  const tool = pod('tool', { labels: { app: 'tool' } });
  const hook = { claims: { matchLabels: { tier: 'data' } }, pods: { matchLabels: { app: 'tool' } }, before: ['x'] };
  const { hooks } = planned(plan([hook], claimOf([pod('db-0')]), { pods: [tool, pod('db-0')] }));
  expect(hookTargetsOf(hooks)).toEqual(['pod shop/tool']);
  const others = { ...hook, claims: { names: ['logs'] } };
  expect(plan([others], claimOf([pod('db-0')]), { pods: [tool] })).toEqual({ hooks: [], notes: [] });
});

test.each([
  ['the one it names', { container: 'side' }, {}, 'side'],
  ["the pod's default", {}, { annotations: { 'kubectl.kubernetes.io/default-container': 'side' } }, 'side'],
  ['else the first', {}, {}, 'db'],
])('the container is %s', (_, more, shape, container) => {
  const pods = [pod('db-0', { containers: ['db', 'side'], ...shape })];
  const [hook] = planned(plan([{ ...freeze, ...more }], claimOf(pods))).hooks;
  expect(hook).toMatchObject({ places: [{ container }] });
});

test('a claim that no pod uses has nothing to prepare, and one of other pods is not meant', () => {
  expect(plan([freeze], claimOf([]))).toEqual({ hooks: [], notes: [] });
  const web = pod('web', { labels: { app: 'web' } });
  expect(plan([freeze], claimOf([web]), { pods: [web, pod('db-0')] })).toEqual({ hooks: [], notes: [] });
});

test.each<[string, object, PodShape | undefined, RegExp]>([
  ['matches no pod', { pods: { matchLabels: { app: 'bd' } } }, {}, /no pod has the labels app=bd/],
  ['names a container that is not there', { container: 'pg' }, {}, /no container pg, but db/],
  ['meets a container that waits', {}, { state: { waiting: {} } }, /container db of pod shop\/db-0 is not running/],
  ['meets a pod that is being stopped', {}, { deletionTimestamp: 'now' }, /is being stopped/],
])('a hook that %s blocks the claim, or is left out with a note', (_, more, shape, words) => {
  const claim = claimOf([pod('db-0', shape)]);
  const refused = plan([{ ...freeze, ...more }], claim);
  expect(refused).toMatchObject({ code: 'HOOK_REFUSED', context: { hook: 1, claim: 'shop/data' } });
  expect(String(refused)).toMatch(words);
  const left = planned(plan([{ ...freeze, ...more, onError: 'Continue' }], claim));
  expect(left.hooks).toEqual([]);
  expect(left.notes).toEqual([expect.stringMatching(words)]);
});

test('a copy of a volume in use takes hooks that hold nothing, and no others', () => {
  const claim = claimOf([pod('db-0', { owner: ['StatefulSet', 'db'] })]);
  const workloads = [set('db')];
  const dump = { pods: { matchLabels: { app: 'db' } }, before: ['dump'] };
  expect(planned(plan([dump], claim, {}, true)).hooks).toHaveLength(1);
  for (const hook of [freeze, { scaleToZero: {} }]) {
    expect(String(plan([hook], claim, { workloads }, true))).toMatch(/not for a copy/);
  }
});

test('scaling takes the workloads of the pods that use the claim, or those with the labels', () => {
  const db = pod('db-0', { owner: ['StatefulSet', 'db'] });
  const web = pod('web-7d9f-x', {
    labels: { app: 'web', 'pod-template-hash': '7d9f' },
    owner: ['ReplicaSet', 'web-7d9f'],
  });
  const workloads = [
    set('db'),
    object('Deployment', 'web', { metadata: { labels: { app: 'web' } }, spec: {} }),
    set('x'),
  ];
  const titles = (hook: object) => hookTargetsOf(planned(plan([hook], claimOf([db, web]), { workloads })).hooks);
  expect(titles({ scaleToZero: {} })).toEqual(['StatefulSet shop/db', 'Deployment shop/web']);
  expect(titles({ scaleToZero: { matchLabels: { app: 'db' } } })).toEqual(['StatefulSet shop/db']);
  // Not of this claim, unless the hook says so.
  expect(titles({ scaleToZero: { matchLabels: { app: 'x' } } })).toEqual([]);
  expect(titles({ claims: {}, scaleToZero: { matchLabels: { app: 'x' } } })).toEqual(['StatefulSet shop/x']);
});

test.each<[string, KubeObject, RegExp]>([
  [
    'would lose its claims',
    set('db', { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' } }),
    /deletes its claims when it is scaled down/,
  ],
  [
    'would be started again by its operator',
    set('db', {}, { ownerReferences: controlledBy('Postgres', 'main') }),
    /belongs to Postgres main/,
  ],
])('a workload that %s is not scaled', (_, workload, words) => {
  const claim = claimOf([pod('db-0', { owner: ['StatefulSet', 'db'] })]);
  const refused = plan([{ scaleToZero: {} }], claim, { workloads: [workload] });
  expect(refused).toMatchObject({ code: 'HOOK_REFUSED' });
  expect(String(refused)).toMatch(words);
});

test('pods that nothing can scale stand against scaling', () => {
  expect(String(plan([{ scaleToZero: {} }], claimOf([pod('alone')])))).toMatch(/of no StatefulSet or Deployment/);
  const labels = { scaleToZero: { matchLabels: { app: 'bd' } } };
  expect(String(plan([labels], claimOf([pod('alone')])))).toMatch(/no StatefulSet or Deployment has the labels app=bd/);
});

test('claims that are cut together run each hook once, with the places of all', () => {
  const both = [pod('db-0'), pod('db-1')];
  const scale = { scaleToZero: {} };
  const workloads = [set('db')];
  const owned = (name: string) => pod(name, { owner: ['StatefulSet', 'db'] });
  const one = planned(plan([freeze, scale], claimOf([owned('db-0')], 'a'), { pods: both, workloads })).hooks;
  const other = planned(plan([freeze, scale], claimOf([owned('db-1'), owned('db-0')], 'b'), { pods: both, workloads }));
  const united = uniteHooks([...other.hooks, ...one]);
  expect(united.map(({ number }) => number)).toEqual([1, 2]);
  expect(hookTargetsOf(united)).toEqual(['pod shop/db-0', 'pod shop/db-1', 'StatefulSet shop/db']);
});

/** A plan of claims that are cut, each with these pods held by its hook. */
function planOf(held: Readonly<Record<string, readonly string[]>>, groups: readonly CutGroup[] = []): BackupPlan {
  const claims = Object.entries(held).map(([claim, names]) => {
    const pods = names.map((name) => pod(name));
    const hooks = planned(plan([freeze], claimOf(pods))).hooks;
    return { status: 'ready', claim, class: {}, hooks } as unknown as ReadyClaim;
  });
  return { claims, groups };
}

test('claims that share a pod or workload are cut between one before and one after', () => {
  const held = { data: ['db-0'], other: ['db-2'], wal: ['db-0', 'db-1'], none: [], third: ['db-1'] };
  expect(groupByHooks(planOf(held)).groups).toEqual([
    {
      name: 'pod shop/db-0',
      members: ['data', 'wal', 'third'],
      last: [],
      snapshot: undefined,
      reason: 'hooks hold pod shop/db-0, pod shop/db-1',
    },
  ]);
  const own = { name: 'own', members: ['data', 'x'], last: [], snapshot: undefined, reason: 'asked for' };
  expect(groupByHooks(planOf({ data: ['db-0'], wal: ['db-0'] }, [own])).groups).toEqual([own]);
});
