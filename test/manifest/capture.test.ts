import { describe, expect, test } from 'vitest';
import { captureRecipe, ordinalOf, type RecipeSource } from '../../src/manifest/capture.ts';
import { change, rawClaim, rawClass, rawVolume } from './raw-objects.ts';

function capture(source: Partial<RecipeSource> = {}) {
  return captureRecipe({
    claim: rawClaim,
    volume: rawVolume,
    storageClass: rawClass,
    method: 'SnapshotMove',
    toolVersion: '0.1.0',
    recordedAtMs: Date.UTC(2026, 10, 22, 18),
    ...source,
  });
}

describe('a recipe', () => {
  test('keeps the raw objects whole, fields unknown to us included, without who set which field', () => {
    const future = { spec: { futureField: { deep: [1, 2] } } };
    const recipe = capture({ claim: change(rawClaim, future) });
    expect(recipe.claim.spec.futureField).toEqual({ deep: [1, 2] });
    expect(recipe.claim.metadata.ownerReferences).toEqual(rawClaim.metadata.ownerReferences);
    expect(recipe.volume?.spec.claimRef).toEqual(rawVolume.spec.claimRef);
    expect(recipe.claim.metadata).not.toHaveProperty('managedFields');
  });

  test('names zone, policy, modes and time', () => {
    const recipe = capture();
    expect(recipe.topology).toMatchObject({ zones: ['b'], regions: [], hosts: [], source: 'node-affinity' });
    expect(recipe.topology.rawTerms).toEqual(rawVolume.spec.nodeAffinity.required.nodeSelectorTerms);
    expect(recipe).toMatchObject({ reclaimPolicy: 'Delete', accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem' });
    expect(recipe.recordedAt).toBe('2026-11-22T18:00:00.000Z');
  });

  test('tells three sizes apart while a resize is under way', () => {
    const recipe = capture({
      claim: change(rawClaim, {
        spec: { resources: { requests: { storage: '1Gi' } } },
        status: { conditions: [{ type: 'FileSystemResizePending', status: 'True' }] },
      }),
      volume: change(rawVolume, { spec: { capacity: { storage: '1Gi' } } }),
    });
    const gibibyte = 2 ** 30;
    expect(recipe.sizes).toEqual({
      requestedBytes: gibibyte,
      provisionedBytes: gibibyte,
      filesystemBytes: 200 * 2 ** 20,
      usedBytes: null,
    });
    expect(recipe.conditions).toEqual([{ type: 'FileSystemResizePending', status: 'True', message: null }]);
  });

  test.each(['ControllerResizeInfeasible', 'NodeResizeInfeasible', 'ControllerResizeFailed'])(
    'knows that %s means a size that was never reached',
    (status) => {
      const claim = change(rawClaim, { status: { allocatedResourceStatuses: { storage: status } } });
      expect(capture({ claim }).resizeInfeasible).toBe(true);
      expect(capture().resizeInfeasible).toBe(false);
    },
  );

  test('holds no secret of the driver, says which values are missing, and keeps the names of Secret objects', () => {
    const recipe = capture({
      volume: change(rawVolume, { spec: { csi: { volumeAttributes: { pool: 'fast', password: 'hunter2' } } } }),
      storageClass: change(rawClass, {
        parameters: { 'csi.storage.k8s.io/provisioner-secret-name': 'ceph', adminSecret: 's3cr3t' },
      }),
    });
    expect(recipe.redacted).toEqual([
      'volume.spec.csi.volumeAttributes.password',
      'storageClass.parameters.adminSecret',
    ]);
    expect(JSON.stringify(recipe)).not.toMatch(/hunter2|s3cr3t/);
    expect(recipe.storageClass?.parameters?.['csi.storage.k8s.io/provisioner-secret-name']).toBe('ceph');
    expect(recipe.volume?.spec.csi?.volumeAttributes?.pool).toBe('fast');
  });

  test('can be made from a claim alone, and says what could not be read', () => {
    const recipe = capture({ volume: null, storageClass: null, unread: ['volume', 'storageClass'] });
    expect(recipe).toMatchObject({ volume: null, storageClass: null, reclaimPolicy: null });
    expect(recipe.unread).toEqual(['volume', 'storageClass']);
    expect(recipe.sizes.provisionedBytes).toBeNull();
  });
});

describe('the place of a volume', () => {
  const terms = (...expressions: [string, string[]][]) => ({
    nodeAffinity: {
      required: {
        nodeSelectorTerms: expressions.map(([key, values]) => ({
          matchExpressions: [{ key, operator: 'In', values }],
        })),
      },
    },
  });
  const bare = change(rawVolume, { spec: { nodeAffinity: undefined } });

  test.each([
    ['topology.ebs.csi.aws.com/zone', ['eu-1a'], { zones: ['eu-1a'] }],
    ['topology.gke.io/zone', ['europe-west1-b'], { zones: ['europe-west1-b'] }],
    ['topology.csi.vmware.com/k8s-zone', ['z1'], { zones: ['z1'] }],
    ['failure-domain.beta.kubernetes.io/zone', ['z1'], { zones: ['z1'] }],
    ['topology.disk.csi.azure.com/zone', [''], { zones: [], hosts: [] }],
    ['topology.kubernetes.io/region', ['eu'], { regions: ['eu'], zones: [] }],
    ['topology.hostpath.csi/node', ['node-1'], { hosts: ['node-1'] }],
    ['kubernetes.io/hostname', ['node-1'], { hosts: ['node-1'] }],
    ['topology.example/rack', ['r1'], { zones: [], regions: [], hosts: [], source: 'none' }],
  ])('is read from the key %s of the node affinity', (key, values, expected) => {
    const recipe = capture({ volume: change(bare, { spec: terms([key, values]) }) });
    expect(recipe.topology).toMatchObject(expected);
  });

  test('is every zone that some term allows', () => {
    const zone = 'topology.kubernetes.io/zone';
    expect(
      capture({ volume: change(bare, { spec: terms([zone, ['a']], [zone, ['b', 'a']]) }) }).topology.zones,
    ).toEqual(['a', 'b']);
  });

  test('is told by labels where there is no affinity, and by the attached node where there is neither', () => {
    const labelled = change(bare, { metadata: { labels: { 'failure-domain.beta.kubernetes.io/zone': 'a__b' } } });
    expect(capture({ volume: labelled }).topology).toMatchObject({ zones: ['a', 'b'], source: 'labels' });
    const attachedNodeLabels = { 'topology.kubernetes.io/zone': 'c' };
    expect(capture({ volume: bare, attachedNodeLabels }).topology).toMatchObject({
      zones: ['c'],
      source: 'attached-node',
    });
    expect(capture({ volume: bare }).topology).toMatchObject({ zones: [], source: 'none' });
  });
});

test.each([
  ['web-0', 'web', 0],
  ['web-2-11', 'web-2', 11],
  ['web-2', 'web-2', null],
  ['web-a-1', 'web', null],
])('the ordinal of pod %s of set %s is %s', (pod, set, ordinal) => {
  expect(ordinalOf(pod, set)).toBe(ordinal);
});
