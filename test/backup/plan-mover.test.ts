/** Where movers run, how they are given a snapshot's copy, and as whom they read. */
import { expect, test } from 'vitest';
import { userOf } from '../../src/backup/mover-user.ts';
import type { MethodChoice } from '../../src/backup/plan-method.ts';
import { chooseMover, type MoverWishes } from '../../src/backup/plan-mover.ts';
import { moverSettingsOf, moverWishesOf } from '../../src/backup/policy-mover.ts';
import type { BackupSource } from '../../src/backup/source.ts';
import { imageUser } from '../../src/cluster/mover-security.ts';
import type { KubeObject } from '../../src/cluster/object.ts';
import { parsePolicyFile } from '../../src/policy/policy-file.ts';

function object(kind: string, name: string, more: Record<string, unknown> = {}): KubeObject {
  const { metadata, ...rest } = more;
  const own = { name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '', ...(metadata as object) };
  return { apiVersion: 'v1', kind, metadata: own, ...rest };
}

const claim = object('PersistentVolumeClaim', 'data', { metadata: { namespace: 'shop' } });
const source: BackupSource = {
  ...{ claim, volume: object('PersistentVolume', 'pv'), driver: 'csi.example', storageClassName: 'fast' },
  ...{ volumeMode: 'Filesystem', accessModes: ['ReadWriteOnce'], title: 'shop/data' },
};

function bySnapshot(storageClass: Record<string, unknown> = {}): MethodChoice {
  return {
    method: 'SnapshotMove',
    reason: '',
    class: { class: object('VolumeSnapshotClass', 'snap'), reason: '' },
    storageClass: object('StorageClass', 'fast', { provisioner: 'csi.example', ...storageClass }),
  };
}
const byCopy: MethodChoice = { method: 'FileCopy', reason: '' };
const own: MoverWishes = { moverNamespace: 'holdfast' };

test.each<[string, MethodChoice, MoverWishes, object]>([
  ['by default beside the claim', bySnapshot(), {}, { moverNamespace: 'shop' }],
  ['in the own namespace where that is wished', bySnapshot(), own, { moverNamespace: 'holdfast' }],
  ['a copy of a volume in use never there', byCopy, own, { code: 'MOVER_NAMESPACE_UNFIT' }],
  [
    'unless there is a Secret for it',
    byCopy,
    { ...own, claimSecretName: 's' },
    { moverNamespace: 'shop', copy: undefined },
  ],
  ['the own namespace may be the claim’s', byCopy, { moverNamespace: 'shop' }, { moverNamespace: 'shop' }],
  [
    'nor by a class whose Secrets are those of the claim',
    bySnapshot({ parameters: { 'csi.storage.k8s.io/provisioner-secret-namespace': '\u0024{pvc.namespace}' } }),
    own,
    { code: 'MOVER_NAMESPACE_UNFIT', context: { reason: expect.stringContaining('provisioner-secret-namespace') } },
  ],
  [
    'which does not matter beside the claim',
    bySnapshot({ parameters: { 'csi.storage.k8s.io/provisioner-secret-namespace': '\u0024{pvc.namespace}' } }),
    {},
    { moverNamespace: 'shop' },
  ],
])('a mover runs %s', (_, choice, wishes, expected) => {
  expect(chooseMover(source, choice, wishes)).toMatchObject(expected);
});

const marked = (value: string) => ({ metadata: { annotations: { 'holdfast.dev/read-only-copies': value } } });

test.each<[string, Record<string, unknown>, Record<string, boolean> | undefined, string]>([
  ['nobody says anything', {}, undefined, 'ReadWriteOnce'],
  ['the driver is CephFS', { provisioner: 'rook.cephfs.csi.ceph.com' }, undefined, 'ReadOnlyMany'],
  ['the driver only sounds like it', { provisioner: 'notcephfs.csi.ceph.com' }, undefined, 'ReadWriteOnce'],
  ['the class says so', marked('true'), undefined, 'ReadOnlyMany'],
  [
    'the class says no, whatever the driver',
    { provisioner: 'cephfs.csi.ceph.com', ...marked('false') },
    undefined,
    'ReadWriteOnce',
  ],
  ['the policy says so', {}, { fast: true }, 'ReadOnlyMany'],
  ['the policy says no before the class says so', marked('true'), { fast: false }, 'ReadWriteOnce'],
  ['the policy speaks of another class', {}, { slow: true }, 'ReadWriteOnce'],
])(
  'where %s, a snapshot is read through a claim of the mode that is known to work (R3.9)',
  (_, storageClass, readOnlyCopies, mode) => {
    const chosen = chooseMover(source, bySnapshot(storageClass), {}, { readOnlyCopies });
    expect(chosen).toMatchObject({ copy: { accessMode: mode } });
  },
);

function pod(name: string, inPod: object, inContainer: object = {}): KubeObject {
  const mounting = { name: 'main', securityContext: inContainer, volumeMounts: [{ name: 'v' }] };
  const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }];
  const other = { name: 'proxy', securityContext: { runAsUser: 9 }, volumeMounts: [{ name: 'certs' }] };
  return object('Pod', name, { spec: { securityContext: inPod, containers: [other, mounting], volumes } });
}

test.each<[string, KubeObject[], object]>([
  ['of the image where no pod says anything', [pod('p', {})], imageUser],
  ['of the image where there is no pod', [], imageUser],
  ['of the pod', [pod('p', { runAsUser: 1000, runAsGroup: 1001 })], { uid: 1000, gid: 1001, groups: [] }],
  [
    'of the container that has the volume',
    [pod('p', { runAsUser: 1, fsGroup: 5, supplementalGroups: [6, 5] }, { runAsUser: 2, runAsGroup: 3 })],
    { uid: 2, gid: 3, groups: [5, 6] },
  ],
  [
    'never root',
    [pod('root', { runAsUser: 0 }), pod('p', { runAsUser: 7 })],
    { uid: 7, gid: imageUser.gid, groups: [] },
  ],
])('a mover without root reads as the user %s', (_, pods, user) => {
  expect(userOf(pods, 'data')).toEqual(user);
});

test('a policy says about movers what it says, and nothing else comes before flags', () => {
  const head = 'apiVersion: holdfast.dev/v1alpha1';
  const policyOf = (mover: string) =>
    parsePolicyFile(
      `${head}
kind: Repository
metadata: {name: main, namespace: shop}
spec: {url: "s3:https://e/b", secretName: s}
---
${head}
kind: BackupPolicy
metadata: {name: nightly, namespace: shop}
spec: {select: {claims: {}}, repository: {name: main}${mover}}
`,
      'test',
    ).policies[0]!.policy;
  const policy = policyOf(', mover: {namespace: own, claimSecretName: c, security: restricted, queueName: night}');
  expect(moverSettingsOf(policy)).toEqual({ security: 'restricted', queueName: 'night' });
  expect(moverWishesOf(policy, 'backups')).toEqual({ moverNamespace: 'backups', claimSecretName: 'c' });
  expect(moverSettingsOf(policyOf(''))).toEqual({});
  expect(moverWishesOf(policyOf(''), 'backups')).toEqual({ moverNamespace: undefined, claimSecretName: undefined });
});
