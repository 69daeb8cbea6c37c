/** StatefulSets and Deployments: whose pods are whose, and whether they can be scaled to zero for a cut. */
import type { Cluster } from '../cluster/client.ts';
import { type KubeObject, nameOf, textAt, valueAt } from '../cluster/object.ts';
import { DEPLOYMENT, STATEFUL_SET } from '../cluster/resources.ts';

/** Of a namespace, or of all. Throws CLUSTER_DENIED. */
export async function listWorkloads(
  cluster: Cluster,
  namespace: string | undefined,
  signal: AbortSignal | undefined,
): Promise<KubeObject[]> {
  const lists = [STATEFUL_SET, DEPLOYMENT].map((resource) => cluster.list(resource, { namespace, signal }));
  return (await Promise.all(lists)).flat();
}

/** A pod that has run to its end, which it may still be there after. */
export function hasEnded(pod: KubeObject): boolean {
  const phase = textAt(pod, 'status', 'phase');
  return phase === 'Succeeded' || phase === 'Failed';
}

/** "StatefulSet shop/db" */
export function titleOf(workload: KubeObject): string {
  return `${workload.kind} ${nameOf(workload)}`;
}

export function replicasOf(workload: KubeObject | undefined): number {
  const replicas = valueAt(workload, 'spec', 'replicas');
  return typeof replicas === 'number' ? replicas : 1;
}

/** By owner; the ReplicaSet between a Deployment and its pods is named after both, so it need not be read. */
export function isPodOf(pod: KubeObject, workload: KubeObject): boolean {
  if (pod.metadata.namespace !== workload.metadata.namespace) return false;
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (workload.kind === STATEFUL_SET.kind) return owner?.uid === workload.metadata.uid;
  const hash = pod.metadata.labels?.['pod-template-hash'];
  return (
    workload.kind === DEPLOYMENT.kind &&
    owner?.kind === 'ReplicaSet' &&
    owner.name === `${workload.metadata.name}-${hash ?? ''}`
  );
}

/** In words; undefined where it can be. */
export function whyNotScalable(workload: KubeObject): string | undefined {
  const owner = workload.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner !== undefined) {
    return `${titleOf(workload)} belongs to ${owner.kind} ${owner.name}, whose operator would start it again`;
  }
  // R8.3
  if (textAt(workload, 'spec', 'persistentVolumeClaimRetentionPolicy', 'whenScaled') === 'Delete') {
    return `${titleOf(workload)} deletes its claims when it is scaled down (persistentVolumeClaimRetentionPolicy)`;
  }
  return undefined;
}
