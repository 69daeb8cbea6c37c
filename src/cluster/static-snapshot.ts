/**
 * A snapshot made readable in another namespace: a second, static content for the same copy in the storage, and a
 * VolumeSnapshot there that is bound to it (R1.18, R1.19). The first one goes on to own the copy.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from './client.ts';
import { type Labels, WORKS_FOR } from './labels.ts';
import { type KubeObject, type OwnerReference, textAt } from './object.ts';
import { SNAPSHOT, SNAPSHOT_CONTENT } from './resources.ts';
import { contentOf, type SnapshotWatch, waitForReady } from './volume-snapshot.ts';

export interface StaticSnapshotWish {
  /** Where it is to be readable. */
  readonly namespace: string;
  /** Of both, the content too: it has to be unique in the cluster. */
  readonly name: string;
  readonly worksFor: string;
  readonly labels: Labels;
  /** Of the snapshot. The content has no namespace, and can have no owner that has one. */
  readonly owners: readonly OwnerReference[];
}

const SNAPSHOT_API = 'snapshot.storage.kubernetes.io/';
/** Which node's side-car works on a content, where each node has its own. */
const MANAGED_BY_NODE = `${SNAPSHOT_API}managed-by`;
const DELETION_SECRET = `${SNAPSHOT_API}deletion-secret-`;

/** A copy in the storage, by what the storage calls it. */
export interface StoredCopy {
  readonly driver: string;
  readonly handle: string;
  readonly className: string | undefined;
  readonly sourceVolumeMode: string | undefined;
  /** What its side-car works by. */
  readonly marks: { readonly annotations: Labels; readonly labels: Labels };
}

/** Makes both for a snapshot that is ready, and waits until the new one is. Throws SNAPSHOT_FAILED. */
export async function createStaticSnapshot(
  cluster: Cluster,
  original: KubeObject,
  wish: StaticSnapshotWish,
  watch: SnapshotWatch,
): Promise<KubeObject> {
  const content = await contentOf(cluster, original);
  if (content === undefined) {
    throw new HoldfastError('SNAPSHOT_FAILED', { claim: watch.claim, reason: 'its content is gone' });
  }
  return createStaticPair(cluster, storedCopy(content, watch.claim), wish, watch);
}

/** The same for a copy that may have no objects in this cluster any more. */
export async function createStaticPair(
  cluster: Cluster,
  copy: StoredCopy,
  wish: StaticSnapshotWish,
  watch: SnapshotWatch,
): Promise<KubeObject> {
  await cluster.create(staticContent(copy, wish), watch.signal);
  const made = await cluster.create(staticSnapshot(wish, copy.className), watch.signal);
  return waitForReady(cluster, made, watch);
}

function storedCopy({ spec, status, metadata }: KubeObject, claim: string): StoredCopy {
  const handle = textAt(status, 'snapshotHandle') ?? textAt(spec, 'source', 'snapshotHandle');
  if (handle === undefined) {
    throw new HoldfastError('SNAPSHOT_FAILED', { claim, reason: 'its content tells no handle of the storage' });
  }
  return {
    driver: textAt(spec, 'driver') ?? '',
    handle,
    className: textAt(spec, 'volumeSnapshotClassName'),
    sourceVolumeMode: textAt(spec, 'sourceVolumeMode'),
    marks: { annotations: pick(metadata.annotations, DELETION_SECRET), labels: pick(metadata.labels, MANAGED_BY_NODE) },
  };
}

function staticContent({ driver, handle, className, sourceVolumeMode, marks }: StoredCopy, wish: StaticSnapshotWish) {
  return {
    apiVersion: SNAPSHOT_CONTENT.apiVersion,
    kind: SNAPSHOT_CONTENT.kind,
    metadata: {
      name: wish.name,
      labels: { ...wish.labels, ...marks.labels },
      annotations: { ...marks.annotations, [WORKS_FOR]: wish.worksFor },
    },
    spec: {
      driver,
      // Two contents that both delete one copy would each find it gone under the other.
      deletionPolicy: 'Retain',
      source: { snapshotHandle: handle },
      ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
      ...(sourceVolumeMode === undefined ? {} : { sourceVolumeMode }),
      volumeSnapshotRef: { kind: SNAPSHOT.kind, name: wish.name, namespace: wish.namespace },
    },
  };
}

function staticSnapshot({ name, namespace, labels, worksFor, owners }: StaticSnapshotWish, className?: string) {
  return {
    apiVersion: SNAPSHOT.apiVersion,
    kind: SNAPSHOT.kind,
    metadata: { name, namespace, labels, annotations: { [WORKS_FOR]: worksFor }, ownerReferences: owners },
    spec: {
      source: { volumeSnapshotContentName: name },
      ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
    },
  };
}

function pick(values: Labels | undefined, prefix: string): Labels {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([key]) => key.startsWith(prefix)));
}
