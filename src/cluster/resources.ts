/**
 * The kinds of Kubernetes objects that Holdfast reads or writes, and where the API server keeps them.
 */

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const SNAPSHOT_API = 'snapshot.storage.k8s.io/v1';
const STORAGE_API = 'storage.k8s.io/v1';

export const CLAIM = namespaced('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const POD = namespaced('v1', 'Pod', 'pods');
export const SECRET = namespaced('v1', 'Secret', 'secrets');
export const CONFIG_MAP = namespaced('v1', 'ConfigMap', 'configmaps');
export const EVENT = namespaced('v1', 'Event', 'events');
export const JOB = namespaced('batch/v1', 'Job', 'jobs');
export const CRON_JOB = namespaced('batch/v1', 'CronJob', 'cronjobs');
export const STATEFUL_SET = namespaced('apps/v1', 'StatefulSet', 'statefulsets');
export const REPLICA_SET = namespaced('apps/v1', 'ReplicaSet', 'replicasets');
export const DEPLOYMENT = namespaced('apps/v1', 'Deployment', 'deployments');
export const SNAPSHOT = namespaced(SNAPSHOT_API, 'VolumeSnapshot', 'volumesnapshots');
export const RESOURCE_QUOTA = namespaced('v1', 'ResourceQuota', 'resourcequotas');
export const LIMIT_RANGE = namespaced('v1', 'LimitRange', 'limitranges');
export const STORAGE_CAPACITY = namespaced(STORAGE_API, 'CSIStorageCapacity', 'csistoragecapacities');

export const VOLUME = clusterWide('v1', 'PersistentVolume', 'persistentvolumes');
export const NAMESPACE = clusterWide('v1', 'Namespace', 'namespaces');
export const NODE = clusterWide('v1', 'Node', 'nodes');
export const STORAGE_CLASS = clusterWide(STORAGE_API, 'StorageClass', 'storageclasses');
export const CSI_DRIVER = clusterWide(STORAGE_API, 'CSIDriver', 'csidrivers');
export const CSI_NODE = clusterWide(STORAGE_API, 'CSINode', 'csinodes');
export const VOLUME_ATTACHMENT = clusterWide(STORAGE_API, 'VolumeAttachment', 'volumeattachments');
export const ATTRIBUTES_CLASS = clusterWide(STORAGE_API, 'VolumeAttributesClass', 'volumeattributesclasses');
export const SNAPSHOT_CLASS = clusterWide(SNAPSHOT_API, 'VolumeSnapshotClass', 'volumesnapshotclasses');
export const SNAPSHOT_CONTENT = clusterWide(SNAPSHOT_API, 'VolumeSnapshotContent', 'volumesnapshotcontents');

/** The kinds of group snapshots in one version of their API. */
export interface GroupSnapshotApi {
  readonly group: Resource;
  readonly content: Resource;
  readonly class: Resource;
}

/** Newest first: which of them a cluster serves has to be asked (R2.1). */
export const GROUP_SNAPSHOT_APIS: readonly GroupSnapshotApi[] = ['v1', 'v1beta2', 'v1beta1'].map((version) => {
  const api = `groupsnapshot.storage.k8s.io/${version}`;
  return {
    group: namespaced(api, 'VolumeGroupSnapshot', 'volumegroupsnapshots'),
    content: clusterWide(api, 'VolumeGroupSnapshotContent', 'volumegroupsnapshotcontents'),
    class: clusterWide(api, 'VolumeGroupSnapshotClass', 'volumegroupsnapshotclasses'),
  };
});

const ALL: readonly Resource[] = [
  ...[CLAIM, POD, SECRET, CONFIG_MAP, EVENT, JOB, CRON_JOB, STATEFUL_SET, REPLICA_SET, DEPLOYMENT, SNAPSHOT],
  ...[VOLUME, NAMESPACE, NODE, STORAGE_CLASS, CSI_DRIVER, CSI_NODE, VOLUME_ATTACHMENT, ATTRIBUTES_CLASS],
  ...[SNAPSHOT_CLASS, SNAPSHOT_CONTENT, RESOURCE_QUOTA, LIMIT_RANGE, STORAGE_CAPACITY],
  ...GROUP_SNAPSHOT_APIS.flatMap((api) => Object.values(api)),
];

/** One object: its kind, its namespace (undefined for what has none) and its name. */
export interface Ref {
  readonly resource: Resource;
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** Which objects of a resource; all namespaces where none is named. */
export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The resource of an object by its apiVersion and kind. Throws on a kind that is not in the table. */
export function resourceOf(object: { apiVersion: string; kind: string }): Resource {
  const found = ALL.find((one) => one.kind === object.kind && one.apiVersion === object.apiVersion);
  if (found === undefined) throw new TypeError(`no resource is known for ${object.apiVersion} ${object.kind}`);
  return found;
}

export function refOf(object: {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}): Ref {
  return { resource: resourceOf(object), namespace: object.metadata.namespace, name: object.metadata.name };
}

/** "pods shop/mover-1", for messages. */
export function describeRef(ref: Ref): string {
  return `${ref.resource.plural} ${ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`}`;
}

/** The path of a collection, or of one object in it. */
export function pathOf(resource: Resource, namespace?: string, name?: string): string {
  const group = resource.apiVersion.includes('/') ? `/apis/${resource.apiVersion}` : `/api/${resource.apiVersion}`;
  const space = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const item = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${group}${space}/${resource.plural}${item}`;
}

function namespaced(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, plural, namespaced: true };
}

function clusterWide(apiVersion: string, kind: string, plural: string): Resource {
  return { apiVersion, kind, plural, namespaced: false };
}
