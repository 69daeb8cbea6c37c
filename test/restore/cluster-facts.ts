/** The facts of a cluster of three zones, for tables of plans. */
import { captureRecipe } from '../../src/manifest/capture.ts';
import { type RecordedStorageClass, storageClassSchema } from '../../src/manifest/kube-shapes.ts';
import type { Recipe } from '../../src/manifest/recipe.ts';
import type { BackupFacts, ClusterFacts, NodeFacts } from '../../src/restore/facts.ts';
import { change, rawClaim, rawClass, rawVolume } from '../manifest/raw-objects.ts';

export const zoneKey = 'topology.kubernetes.io/zone';

export const backup: BackupFacts = {
  id: 'ab'.repeat(32),
  complete: true,
  files: 10,
  bytes: 50 * 2 ** 20,
  contentFolder: '/shop/data-db-0/volume',
};

export function recipeOf(changes: { claim?: object; volume?: object; storageClass?: object } = {}): Recipe {
  return captureRecipe({
    claim: change(rawClaim, changes.claim ?? {}),
    volume: change(rawVolume, changes.volume ?? {}),
    storageClass: change(rawClass, changes.storageClass ?? {}),
    method: 'SnapshotMove',
    toolVersion: '0.1.0',
    recordedAtMs: 0,
  });
}

/** A recipe of a volume whose affinity allows these values of a key. */
export function recipeIn(key: string, ...values: string[]): Recipe {
  const nodeSelectorTerms = [{ matchExpressions: [{ key, operator: 'In', values }] }];
  return recipeOf({ volume: { spec: { nodeAffinity: { required: { nodeSelectorTerms } } } } });
}

export function classOf(changes: object = {}): RecordedStorageClass {
  return storageClassSchema.parse(change(rawClass, changes));
}

export function nodeOf(zone: string, changes: Partial<NodeFacts> = {}): NodeFacts {
  const labels = { [zoneKey]: zone, 'kubernetes.io/hostname': `node-${zone}` };
  return {
    name: `node-${zone}`,
    usable: true,
    labels,
    driverKeys: { 'csi.test': [zoneKey] },
    attachable: {},
    ...changes,
  };
}

export const facts: ClusterFacts = {
  namespace: 'active',
  target: null,
  unfinished: null,
  quotas: [],
  limits: [],
  capacities: [],
  storageClasses: [
    classOf(),
    classOf({ metadata: { name: 'immediate' }, volumeBindingMode: 'Immediate' }),
    classOf({
      metadata: { name: 'only-b' },
      volumeBindingMode: 'Immediate',
      allowedTopologies: [{ matchLabelExpressions: [{ key: zoneKey, values: ['b'] }] }],
    }),
    classOf({ metadata: { name: 'manual' }, provisioner: 'kubernetes.io/no-provisioner' }),
  ],
  attributesClasses: [
    { name: 'gold', driver: 'csi.test' },
    { name: 'foreign', driver: 'csi.other' },
  ],
  nodes: [nodeOf('a'), nodeOf('b'), nodeOf('c')],
};
