/**
 * One CSI snapshot: made under a fixed name, waited for in two steps (cut, then readable), verified, removed together
 * with what it holds in the storage.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from './client.ts';
import { type Labels, MOVER_NAMESPACE, WORKS_FOR } from './labels.ts';
import { type KubeObject, listAt, type OwnerReference, textAt, valueAt } from './object.ts';
import { waitGone } from './removal.ts';
import { type Ref, refOf, SNAPSHOT, SNAPSHOT_CONTENT } from './resources.ts';

export interface SnapshotWish {
  readonly namespace: string;
  readonly name: string;
  readonly claimName: string;
  readonly className: string;
  readonly labels: Labels;
  readonly owners: readonly OwnerReference[];
  /** Where its mover is, if not in the same namespace. */
  readonly moverNamespace?: string | undefined;
}

export interface SnapshotWatch {
  /** namespace/name of the claim, for messages. */
  readonly claim: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of every error that shows up; they may pass (R1.13). */
  onProblem?(problem: string): void;
}

export function createSnapshot(cluster: Cluster, wish: SnapshotWish, signal?: AbortSignal): Promise<KubeObject> {
  return cluster.create(
    {
      apiVersion: SNAPSHOT.apiVersion,
      kind: SNAPSHOT.kind,
      metadata: {
        name: wish.name,
        namespace: wish.namespace,
        labels: wish.labels,
        annotations: {
          [WORKS_FOR]: `${wish.namespace}/${wish.claimName}`,
          ...(wish.moverNamespace === undefined ? {} : { [MOVER_NAMESPACE]: wish.moverNamespace }),
        },
        ownerReferences: wish.owners,
      },
      spec: {
        volumeSnapshotClassName: wish.className,
        source: { persistentVolumeClaimName: wish.claimName },
      },
    },
    signal,
  );
}

/** Waits until the point in time is taken: from here on the application may write again (R1.10). */
export function waitForCut(cluster: Cluster, snapshot: KubeObject, watch: SnapshotWatch): Promise<KubeObject> {
  const isCut = (current: KubeObject) => textAt(current, 'status', 'creationTime') !== undefined || isReady(current);
  return waitForSnapshot(cluster, snapshot, watch, 'the cut of', isCut);
}

/** Waits until a claim can be made of it, and makes sure that what is bound to it is its own (R1.11). */
export async function waitForReady(cluster: Cluster, snapshot: KubeObject, watch: SnapshotWatch): Promise<KubeObject> {
  const ready = await waitForSnapshot(cluster, snapshot, watch, 'the copy of', isReady);
  const content = await contentOf(cluster, ready);
  const back = valueAt(content, 'spec', 'volumeSnapshotRef');
  if (textAt(back, 'uid') !== ready.metadata.uid || textAt(back, 'namespace') !== ready.metadata.namespace) {
    throw snapshotFailed(watch, `its content ${content?.metadata.name ?? 'is gone or'} belongs to another snapshot`);
  }
  return ready;
}

/** Bytes a volume made of it must have at least; undefined where the driver tells none (R1.15). */
export function restoreSizeOf(snapshot: KubeObject): string | undefined {
  const size = textAt(snapshot, 'status', 'restoreSize');
  return size === undefined || /^0\D*$/.test(size) ? undefined : size;
}

/** Whether it was made for a copy that is there already, which somebody else may own (R1.18). */
export function isStatic(content: KubeObject): boolean {
  return textAt(content, 'spec', 'source', 'snapshotHandle') !== undefined;
}

/**
 * A class that retains contents leaves the copy in the storage behind for ever (R1.23): the content of this snapshot is
 * told to go along with it. Returns the content, undefined where there is none of its own, or only a static one.
 */
export async function dropContentWithSnapshot(cluster: Cluster, snapshot: KubeObject): Promise<KubeObject | undefined> {
  const content = await contentOf(cluster, snapshot);
  if (content === undefined || isStatic(content)) return undefined;
  if (textAt(content, 'spec', 'volumeSnapshotRef', 'uid') !== snapshot.metadata.uid) return undefined;
  if (textAt(content, 'spec', 'deletionPolicy') === 'Delete') return content;
  return cluster.patch(refOf(content), { merge: { spec: { deletionPolicy: 'Delete' } } });
}

/** Removes the snapshot with this UID and its copy in the storage, and waits until both are gone. */
export async function removeSnapshot(cluster: Cluster, ref: Ref, uid: string, timeoutMs: number): Promise<void> {
  const snapshot = await cluster.get(SNAPSHOT, ref.namespace, ref.name);
  const content = snapshot?.metadata.uid === uid ? await dropContentWithSnapshot(cluster, snapshot) : undefined;
  await cluster.remove(ref, { uid });
  await waitGone(cluster, ref, uid, timeoutMs);
  if (content !== undefined) await waitGone(cluster, refOf(content), content.metadata.uid, timeoutMs);
}

/** On a content whose snapshot is gone: lets the driver's side-car end it (R1.25). */
const BEING_DELETED = 'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted';

/** Removes a content whose snapshot is gone, with `Delete` the copy in the storage as well, and waits until it is gone. */
export async function removeContent(
  cluster: Cluster,
  content: KubeObject,
  deletionPolicy: 'Delete' | 'Retain',
  timeoutMs: number,
): Promise<void> {
  const { uid } = content.metadata;
  const ref = refOf(content);
  await cluster.patch(ref, {
    merge: { metadata: { annotations: { [BEING_DELETED]: 'yes' } }, spec: { deletionPolicy } },
  });
  await cluster.remove(ref, { uid });
  await waitGone(cluster, ref, uid, timeoutMs);
}

async function waitForSnapshot(
  cluster: Cluster,
  snapshot: KubeObject,
  watch: SnapshotWatch,
  step: string,
  isEnough: (current: KubeObject) => boolean,
): Promise<KubeObject> {
  const problems = new Set<string>();
  let last: KubeObject | undefined = snapshot;
  const probe = (current: KubeObject | undefined): KubeObject | undefined => {
    if (current === undefined || current.metadata.uid !== snapshot.metadata.uid) {
      throw snapshotFailed(watch, 'somebody removed it while it was waited for');
    }
    last = current;
    if (isEnough(current)) return current;
    const problem = textAt(current, 'status', 'error', 'message');
    if (problem !== undefined && !problems.has(problem)) {
      problems.add(problem);
      watch.onProblem?.(problem);
    }
    if (problem !== undefined && isHopeless(problem)) throw snapshotFailed(watch, problem);
    return undefined;
  };
  try {
    const what = `${step} ${watch.claim}`;
    return await cluster.waitFor(refOf(snapshot), probe, { timeoutMs: watch.timeoutMs, what, signal: watch.signal });
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const reasons = problems.size > 0 ? [...problems] : [describeSilence(last)];
    const waited = `no end of ${step} the volume in ${Math.round(watch.timeoutMs / 1000)} s`;
    throw snapshotFailed(watch, `${waited}; ${reasons.join('; ')}`);
  }
}

function isReady(snapshot: KubeObject): boolean {
  return (
    valueAt(snapshot, 'status', 'readyToUse') === true &&
    textAt(snapshot, 'status', 'boundVolumeSnapshotContentName') !== undefined
  );
}

/** The controller repeats every failure for ever; these do not pass without somebody changing something. */
function isHopeless(problem: string): boolean {
  return /cannot find CSI PersistentVolumeSource|snapshotting non-CSI volumes|volumesnapshotclass[^:]* not found/i.test(
    problem,
  );
}

/** Which part of the snapshot machinery has not done its first step (R1.1). */
function describeSilence(snapshot: KubeObject | undefined): string {
  if (snapshot?.status === undefined && listAt(snapshot, 'metadata', 'finalizers').length === 0) {
    return 'nobody touched the VolumeSnapshot: is the snapshot controller running?';
  }
  if (textAt(snapshot, 'status', 'creationTime') === undefined) {
    return 'the driver has not answered: is its csi-snapshotter running?';
  }
  return 'it is cut, and the driver still prepares it';
}

/** Milliseconds since 1970 of the cut, finer than the snapshot itself tells it: contents count nanoseconds (R1.16). */
export function cutTimeMs(content: KubeObject | undefined): number | undefined {
  const time = valueAt(content, 'status', 'creationTime');
  const digits = textAt(time, 'rawJSON') ?? (typeof time === 'number' ? String(time) : undefined);
  return digits === undefined ? undefined : Number(BigInt(digits) / 1000n) / 1000;
}

/** What holds the copy, under the name that the snapshot tells or will tell; undefined where there is none. */
export async function contentOf(cluster: Cluster, snapshot: KubeObject): Promise<KubeObject | undefined> {
  const name = textAt(snapshot, 'status', 'boundVolumeSnapshotContentName') ?? `snapcontent-${snapshot.metadata.uid}`;
  return cluster.get(SNAPSHOT_CONTENT, undefined, name);
}

function snapshotFailed(watch: SnapshotWatch, reason: string): HoldfastError {
  return new HoldfastError('SNAPSHOT_FAILED', { claim: watch.claim, reason });
}
