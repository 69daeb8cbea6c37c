import { expect, test } from 'vitest';
import { captureRecipe } from '../../src/manifest/capture.ts';
import { recordedClassName, translateClaim } from '../../src/manifest/translate.ts';
import { change, rawClaim, rawClass, rawVolume } from './raw-objects.ts';

const wishes = {
  namespace: 'copy',
  name: 'data-db-0',
  storageClass: 'standard',
  sizeBytes: 200 * 2 ** 20,
  accessModes: ['ReadWriteOnce'],
  attributesClass: null,
};

function recipeOf(changes: object = {}) {
  return captureRecipe({
    claim: change(rawClaim, changes),
    volume: rawVolume,
    storageClass: rawClass,
    method: 'FileCopy',
    toolVersion: '0.1.0',
    recordedAtMs: 0,
  });
}

test('the new claim is exactly what may be kept of the old one', () => {
  expect(translateClaim(recipeOf(), wishes).claim).toEqual({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: 'data-db-0',
      namespace: 'copy',
      labels: { app: 'db' },
      annotations: { 'team.example/owner': 'shop' },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      volumeMode: 'Filesystem',
      storageClassName: 'standard',
      resources: { requests: { storage: '200Mi' } },
    },
  });
});

test('everything that is left out is named with its reason', () => {
  const selector = { spec: { selector: { matchLabels: { a: 'b' } } } };
  const fields = translateClaim(recipeOf(selector), wishes).dropped.map(({ field }) => field);
  expect(fields.sort()).toEqual([
    'annotation pv.kubernetes.io/bind-completed',
    'annotation pv.kubernetes.io/bound-by-controller',
    'annotation volume.kubernetes.io/selected-node',
    'annotation volume.kubernetes.io/storage-provisioner',
    'label topology.kubernetes.io/zone',
    'label velero.io/backup-name',
    'metadata.finalizers',
    'metadata.ownerReferences',
    'spec.dataSource',
    'spec.selector',
    'spec.volumeName',
  ]);
});

test('marks of an earlier restore do not travel', () => {
  const marked = {
    metadata: { labels: { 'restore.holdfast.dev/id': 'x' }, annotations: { 'holdfast.dev/backup': 'false' } },
  };
  const { claim } = translateClaim(recipeOf(marked), wishes);
  expect(claim.metadata.labels).not.toHaveProperty(['restore.holdfast.dev/id']);
  expect(claim.metadata.annotations['holdfast.dev/backup']).toBe('false');
});

test.each([
  ['1Gi', '1Gi'],
  ['100Mi', undefined],
])('a limit of %s becomes %s for a claim of 200 MiB', (limit, kept) => {
  const limited = { spec: { resources: { limits: { storage: limit } } } };
  expect(translateClaim(recipeOf(limited), wishes).claim.spec.resources.limits?.storage).toBe(kept);
});

test.each([
  ['the field', {}, 'standard'],
  ['an empty field, which means static volumes only', { spec: { storageClassName: '' } }, ''],
  [
    'the annotation of old clusters',
    {
      spec: { storageClassName: undefined },
      metadata: { annotations: { 'volume.beta.kubernetes.io/storage-class': 'old' } },
    },
    'old',
  ],
])('the recorded class is told by %s', (_, changes, name) => {
  expect(recordedClassName(recipeOf(changes))).toBe(name);
});
