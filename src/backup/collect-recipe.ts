/**
 * Gathers what the recipe of a claim records: raw objects, and who uses the claim. What the account may not read is
 * noted as unread instead of failing the backup.
 */

import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { isRecord, type KubeObject, listAt, type OwnerReference, textAt } from '../cluster/object.ts';
import {
  CSI_DRIVER,
  NODE,
  POD,
  REPLICA_SET,
  type Resource,
  STORAGE_CLASS,
  VOLUME_ATTACHMENT,
} from '../cluster/resources.ts';
import { captureRecipe, ordinalOf } from '../manifest/capture.ts';
import type { Consumer, Recipe } from '../manifest/recipe.ts';
import { isConsumer } from './gather-facts.ts';
import type { Consistency } from './run.ts';
import type { BackupSource } from './source.ts';

export interface RecipeFacts {
  readonly method: string;
  readonly consistency: Consistency;
  readonly snapshotClass: KubeObject | undefined;
  readonly clusterUid: string | null;
  readonly clusterName: string | null;
  readonly toolVersion: string;
  readonly recordedAtMs: number;
}

export interface CollectedRecipe {
  readonly recipe: Recipe;
  /** Pods that use the claim and have not ended. */
  readonly pods: readonly KubeObject[];
}

export async function collectRecipe(
  cluster: Cluster,
  source: BackupSource,
  facts: RecipeFacts,
): Promise<CollectedRecipe> {
  const unread: string[] = [];
  /** Denied reads are noted under the field of the recipe that stays empty. */
  const tryRead = async <T>(field: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!isDenied(error)) throw error;
      unread.push(field);
      return undefined;
    }
  };
  const named = (field: string, resource: Resource, name: string | undefined) =>
    name === undefined ? undefined : tryRead(field, () => cluster.get(resource, undefined, name));
  const { claim, volume, driver, storageClassName } = source;
  const pods = (await tryRead('consumers', () => podsOf(cluster, claim))) ?? [];
  const recipe = captureRecipe({
    claim,
    volume,
    storageClass: (await named('storageClass', STORAGE_CLASS, storageClassName)) ?? null,
    snapshotClass: facts.snapshotClass ?? null,
    csiDriver: (await named('csiDriver', CSI_DRIVER, driver)) ?? null,
    attachedNodeLabels: (await tryRead('topology', () => attachedNodeLabels(cluster, volume, pods))) ?? null,
    consumers: await Promise.all(pods.map((pod) => consumerOf(cluster, pod))),
    method: facts.method,
    consistency: facts.consistency,
    cluster: { uid: facts.clusterUid, name: facts.clusterName },
    toolVersion: facts.toolVersion,
    recordedAtMs: facts.recordedAtMs,
    unread,
  });
  return { recipe, pods };
}

/** The tolerations of the pods that use a claim: their nodes may be tainted for everybody else (R10.4). */
export function tolerationsOf(pods: readonly KubeObject[]): unknown[] {
  const seen = new Map<string, unknown>();
  for (const pod of pods) {
    for (const toleration of listAt(pod, 'spec', 'tolerations')) seen.set(JSON.stringify(toleration), toleration);
  }
  return [...seen.values()];
}

async function podsOf(cluster: Cluster, claim: KubeObject): Promise<KubeObject[]> {
  const pods = await cluster.list(POD, { namespace: claim.metadata.namespace });
  return pods.filter((pod) => isConsumer(pod, claim));
}

/** Labels of the node that has the volume; from its attachment, or the pod that uses it where that is not to be had. */
async function attachedNodeLabels(cluster: Cluster, volume: KubeObject, pods: readonly KubeObject[]) {
  const attachments = await cluster.list(VOLUME_ATTACHMENT);
  const own = attachments.find((one) => textAt(one, 'spec', 'source', 'persistentVolumeName') === volume.metadata.name);
  const name = textAt(own, 'spec', 'nodeName') ?? textAt(pods[0], 'spec', 'nodeName');
  if (name === undefined) return null;
  return (await cluster.get(NODE, undefined, name))?.metadata.labels ?? null;
}

async function consumerOf(cluster: Cluster, pod: KubeObject): Promise<Consumer> {
  const controller = controllerOf(pod);
  const owner = controller === undefined ? undefined : await rootOwner(cluster, pod, controller);
  return {
    pod: pod.metadata.name,
    node: textAt(pod, 'spec', 'nodeName') ?? null,
    owner: owner === undefined ? null : { kind: owner.kind, name: owner.name },
    ordinal: owner?.kind === 'StatefulSet' ? ordinalOf(pod.metadata.name, owner.name) : null,
  };
}

/** A ReplicaSet is a Deployment's business, where that may be read. */
async function rootOwner(cluster: Cluster, pod: KubeObject, controller: OwnerReference): Promise<OwnerReference> {
  if (controller.kind !== 'ReplicaSet') return controller;
  try {
    const set = await cluster.get(REPLICA_SET, pod.metadata.namespace, controller.name);
    return (isRecord(set) ? controllerOf(set) : undefined) ?? controller;
  } catch (error) {
    if (isDenied(error)) return controller;
    throw error;
  }
}

function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}
