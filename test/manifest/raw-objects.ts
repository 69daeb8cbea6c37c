/** Raw API objects as a cluster of three zones gives them, for tables of recipes and plans. */

export const rawClaim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: {
    name: 'data-db-0',
    namespace: 'shop',
    uid: 'c1a1',
    resourceVersion: '812',
    creationTimestamp: '2026-11-20T10:00:00Z',
    labels: { app: 'db', 'velero.io/backup-name': 'x', 'topology.kubernetes.io/zone': 'b' },
    annotations: {
      'pv.kubernetes.io/bind-completed': 'yes',
      'pv.kubernetes.io/bound-by-controller': 'yes',
      'volume.kubernetes.io/storage-provisioner': 'csi.test',
      'volume.kubernetes.io/selected-node': 'node-b',
      'team.example/owner': 'shop',
    },
    finalizers: ['kubernetes.io/pvc-protection'],
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: '5e7' }],
    managedFields: [{ manager: 'kubectl' }],
  },
  spec: {
    accessModes: ['ReadWriteOnce'],
    volumeMode: 'Filesystem',
    storageClassName: 'standard',
    volumeName: 'pvc-c1a1',
    resources: { requests: { storage: '200Mi' } },
    dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'old' },
  },
  status: { phase: 'Bound', capacity: { storage: '200Mi' }, accessModes: ['ReadWriteOnce'] },
};

export const rawVolume = {
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'pvc-c1a1', uid: 'f0', annotations: { 'pv.kubernetes.io/provisioned-by': 'csi.test' } },
  spec: {
    capacity: { storage: '200Mi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Delete',
    storageClassName: 'standard',
    volumeMode: 'Filesystem',
    claimRef: { kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'data-db-0', uid: 'c1a1' },
    csi: { driver: 'csi.test', volumeHandle: 'vol-1', fsType: 'ext4', volumeAttributes: { pool: 'fast' } },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: ['b'] }] },
        ],
      },
    },
  },
  status: { phase: 'Bound' },
};

export const rawClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'standard', uid: '5c' },
  provisioner: 'csi.test',
  parameters: { pool: 'fast' },
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
};

/** A copy of a raw object with some of its fields, at any depth, replaced; undefined takes a field away. */
export function change(object: object, changes: object): object {
  const result: Record<string, unknown> = { ...object };
  for (const [key, value] of Object.entries(changes)) {
    const before = result[key];
    if (value === undefined) delete result[key];
    else if (isPlain(value) && isPlain(before)) result[key] = change(before, value);
    else result[key] = value;
  }
  return result;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
