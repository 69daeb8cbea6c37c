/** Reads what a restore into an existing claim has to know: the claim, who uses it, and how it can be snapshotted. */
import { HoldfastError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import type { Cluster } from '../cluster/client.ts';
import { REPLICAS_BEFORE } from '../cluster/labels.ts';
import { type KubeObject, listAt, textAt } from '../cluster/object.ts';
import { CLAIM, POD, SNAPSHOT_CLASS, VOLUME } from '../cluster/resources.ts';
import { chooseSnapshotClass, SNAPSHOT_CLASS_MARK } from '../cluster/snapshot-class.ts';
import { hasEnded, isPodOf, listWorkloads, replicasOf, titleOf } from '../cluster/workload.ts';
import { begunOf, restoreLabel } from './marks.ts';
import type { ConsumerFacts, InPlaceFacts } from './plan-in-place.ts';
import { heldOf } from './scale-away.ts';

export interface InPlaceQuestion {
  readonly namespace: string;
  readonly name: string;
  /** On the command line. */
  readonly snapshotClass?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws HoldfastError CLUSTER_DENIED when a right is missing. */
export async function gatherInPlace(cluster: Cluster, question: InPlaceQuestion): Promise<InPlaceFacts> {
  const { namespace, name, signal } = question;
  const [claim, pods, workloads] = await Promise.all([
    cluster.get(CLAIM, namespace, name, signal),
    cluster.list(POD, { namespace, signal }),
    listWorkloads(cluster, namespace, signal),
  ]);
  const using = pods.filter((pod) => usesClaim(pod, name) && !hasEnded(pod) && !isOurs(pod));
  const consumers = workloads.filter((one) => using.some((pod) => isPodOf(pod, one)) || heldFor(one, name));
  const others = using.filter((pod) => !consumers.some((one) => isPodOf(pod, one)));
  return {
    claim: claim === undefined ? null : claimFacts(claim),
    consumers: consumers.map(consumerFacts),
    otherPods: others.map(describePod),
    snapshotClass:
      claim === undefined ? noSnapshot(question, 'it is not there') : await classFor(cluster, claim, question),
  };
}

export function usesClaim(pod: KubeObject, claim: string): boolean {
  return listAt(pod, 'spec', 'volumes').some(
    (volume) => textAt(volume, 'persistentVolumeClaim', 'claimName') === claim,
  );
}

/** The mover of this or of another restore. */
export function isOurs(pod: KubeObject): boolean {
  return pod.metadata.labels?.[restoreLabel] !== undefined;
}

function heldFor(workload: KubeObject, claim: string): boolean {
  return heldOf(workload)?.claim === claim;
}

function claimFacts(claim: KubeObject): NonNullable<InPlaceFacts['claim']> {
  return {
    uid: claim.metadata.uid,
    phase: textAt(claim, 'status', 'phase') ?? 'Pending',
    volumeMode: textAt(claim, 'spec', 'volumeMode') ?? 'Filesystem',
    capacityBytes: parseQuantity(textAt(claim, 'status', 'capacity', 'storage') ?? '0') ?? 0,
    restoreId: claim.metadata.labels?.[restoreLabel] ?? null,
    begun: begunOf(claim) ?? null,
  };
}

function consumerFacts(workload: KubeObject): ConsumerFacts {
  const { name, uid } = workload.metadata;
  const owner = workload.metadata.ownerReferences?.find(({ controller }) => controller === true);
  const atZero = workload.metadata.annotations?.[REPLICAS_BEFORE] !== undefined;
  const obstacle = atZero
    ? `a backup holds ${titleOf(workload)} at zero: wait for its end`
    : owner &&
      `${titleOf(workload)} belongs to ${owner.kind} ${owner.name}, whose operator would start it again: stop it first`;
  return {
    ...{ kind: workload.kind, name, uid },
    replicas: replicasOf(workload),
    obstacle: obstacle ?? null,
    heldBy: heldOf(workload)?.restoreId ?? null,
  };
}

function describePod(pod: KubeObject): string {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  const of = owner === undefined ? 'of nobody who could make it again' : `of ${owner.kind} ${owner.name}`;
  return `pod ${pod.metadata.name} uses it, ${of}: stop it first`;
}

async function classFor(
  cluster: Cluster,
  claim: KubeObject,
  question: InPlaceQuestion,
): Promise<string | HoldfastError> {
  const volumeName = textAt(claim, 'spec', 'volumeName');
  const volume = volumeName === undefined ? undefined : await cluster.get(VOLUME, undefined, volumeName);
  const driver = textAt(volume, 'spec', 'csi', 'driver');
  if (driver === undefined) return noSnapshot(question, 'its volume is of no CSI driver');
  try {
    const classes = await cluster.list(SNAPSHOT_CLASS, { signal: question.signal });
    const annotated = claim.metadata.annotations?.[SNAPSHOT_CLASS_MARK];
    const named = question.snapshotClass;
    const found = chooseSnapshotClass(classes, {
      claim: `${question.namespace}/${question.name}`,
      driver,
      named,
      annotated,
    });
    return (
      found?.class.metadata.name ?? noSnapshot(question, `there is no VolumeSnapshotClass of the driver ${driver}`)
    );
  } catch (error) {
    if (error instanceof HoldfastError && /^SNAPSHOT_/.test(error.code)) return error;
    throw error;
  }
}

function noSnapshot({ namespace, name }: InPlaceQuestion, reason: string): HoldfastError {
  return new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: `${namespace}/${name}`, reason });
}
