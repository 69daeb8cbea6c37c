/**
 * Reads what a plan of backups has to know. Only reads, and lists once what all claims of a run share, so that a run of
 * many claims asks the API server little more than one of few.
 */
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { MANAGED_BY } from '../cluster/labels.ts';
import { conditionOf, type KubeObject, listAt, nameOf, textAt, valueAt } from '../cluster/object.ts';
import {
  CLAIM,
  CSI_NODE,
  NODE,
  POD,
  SNAPSHOT_CLASS,
  STORAGE_CLASS,
  VOLUME,
  VOLUME_ATTACHMENT,
} from '../cluster/resources.ts';
import { hasEnded, listWorkloads } from '../cluster/workload.ts';
import type { HookRule } from '../policy/hooks-schema.ts';
import type { BackupFacts, ClaimFacts, ClusterFacts, HookFacts, LastBackup, NodeFacts } from './facts.ts';

export interface ClaimName {
  readonly namespace: string;
  readonly name: string;
}

/** Either the claims that were named, or all of some namespaces. */
export type Scope = { readonly claims: readonly ClaimName[] } | { readonly namespaces: readonly string[] | 'all' };

export interface FactsRequest {
  readonly scope: Scope;
  /** What an earlier look found, where that is recent enough. */
  readonly cluster?: ClusterFacts | undefined;
  /** By uid of the claim. */
  readonly lastBackups?: ReadonlyMap<string, LastBackup> | undefined;
  /** Of the policy: what they need to know is gathered as well. */
  readonly hooks?: readonly HookRule[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** More claims than this are found faster in one list of all volumes. */
const READ_ONE_BY_ONE = 5;

/** Throws CLUSTER_DENIED where a right is missing without which a plan would be a guess. */
export async function gatherFacts(cluster: Cluster, request: FactsRequest): Promise<BackupFacts> {
  const { signal } = request;
  const [shared, found] = await Promise.all([
    request.cluster ?? gatherClusterFacts(cluster, signal),
    findClaims(cluster, request.scope, signal),
  ]);
  const { claims, missing } = found;
  const namespaces = [...new Set(claims.map((claim) => claim.metadata.namespace ?? ''))];
  const [volumes, attachments, pods] = await Promise.all([
    readVolumes(cluster, claims, signal),
    unlessDenied(() => cluster.list(VOLUME_ATTACHMENT, { signal })),
    Promise.all(namespaces.map((namespace) => unlessDenied(() => cluster.list(POD, { namespace, signal })))),
  ]);
  const allPods = pods.flatMap((list) => list ?? []);
  const facts = claims.map((claim): ClaimFacts => {
    const volume = volumes.get(textAt(claim, 'spec', 'volumeName') ?? '');
    return {
      claim,
      volume,
      pods: allPods.filter((pod) => isConsumer(pod, claim)),
      attachedNode: attachedNode(attachments ?? [], volume),
      lastBackup: request.lastBackups?.get(claim.metadata.uid),
    };
  });
  const hooks = request.hooks && (await gatherHookFacts(cluster, request.hooks, allPods, namespaces, signal));
  return { cluster: shared, claims: facts, missing, hooks };
}

async function gatherHookFacts(
  cluster: Cluster,
  rules: readonly HookRule[],
  pods: readonly KubeObject[],
  namespaces: readonly string[],
  signal: AbortSignal | undefined,
): Promise<HookFacts> {
  const scales = rules.some(({ scaleToZero }) => scaleToZero !== undefined);
  const lists = (scales ? namespaces : []).map((namespace) => listWorkloads(cluster, namespace, signal));
  return { pods: pods.filter(isAtWork), workloads: (await Promise.all(lists)).flat() };
}

export async function gatherClusterFacts(cluster: Cluster, signal?: AbortSignal): Promise<ClusterFacts> {
  const [servesSnapshots, snapshotClasses, storageClasses, nodes, drivers] = await Promise.all([
    cluster.serves(SNAPSHOT_CLASS, signal),
    cluster.list(SNAPSHOT_CLASS, { signal }),
    cluster.list(STORAGE_CLASS, { signal }),
    unlessDenied(() => cluster.list(NODE, { signal })),
    unlessDenied(() => cluster.list(CSI_NODE, { signal })),
  ]);
  const known = nodes !== undefined && drivers !== undefined;
  return {
    servesSnapshots,
    snapshotClasses,
    storageClasses,
    nodes: known ? nodes.map((node) => nodeFacts(node, drivers)) : undefined,
  };
}

/** Whether a pod that has not ended, and is not one of ours, uses the claim. */
export function isConsumer(pod: KubeObject, claim: KubeObject): boolean {
  if (!isAtWork(pod)) return false;
  if (pod.metadata.namespace !== claim.metadata.namespace) return false;
  return listAt(pod, 'spec', 'volumes').some((volume) => claimNameOf(pod, volume) === claim.metadata.name);
}

function isAtWork(pod: KubeObject): boolean {
  return !hasEnded(pod) && pod.metadata.labels?.[MANAGED_BY] !== 'holdfast';
}

/** A generic ephemeral volume is a claim that is named after pod and volume. */
export function claimNameOf(pod: KubeObject, volume: unknown): string | undefined {
  const isEphemeral = valueAt(volume, 'ephemeral', 'volumeClaimTemplate') !== undefined;
  if (isEphemeral) return `${pod.metadata.name}-${textAt(volume, 'name') ?? ''}`;
  return textAt(volume, 'persistentVolumeClaim', 'claimName');
}

async function findClaims(cluster: Cluster, scope: Scope, signal: AbortSignal | undefined) {
  if ('namespaces' in scope) {
    const namespaces = scope.namespaces === 'all' ? [undefined] : [...new Set(scope.namespaces)];
    // Those that Holdfast made for the time of a run are nobody's data.
    const labelSelector = `${MANAGED_BY}!=holdfast`;
    const lists = namespaces.map((namespace) => cluster.list(CLAIM, { namespace, labelSelector, signal }));
    const claims = (await Promise.all(lists)).flat();
    return { claims: claims.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)), missing: [] };
  }
  const found = await Promise.all(
    scope.claims.map(async ({ namespace, name }) => ({
      title: `${namespace}/${name}`,
      claim: await cluster.get(CLAIM, namespace, name, signal),
    })),
  );
  return {
    claims: found.flatMap(({ claim }) => (claim === undefined ? [] : [claim])),
    missing: found.filter(({ claim }) => claim === undefined).map(({ title }) => title),
  };
}

async function readVolumes(cluster: Cluster, claims: readonly KubeObject[], signal: AbortSignal | undefined) {
  const names = claims.flatMap((claim) => textAt(claim, 'spec', 'volumeName') ?? []);
  const volumes =
    names.length <= READ_ONE_BY_ONE
      ? await Promise.all(names.map((name) => cluster.get(VOLUME, undefined, name, signal)))
      : await cluster.list(VOLUME, { signal });
  return new Map(volumes.flatMap((volume) => (volume === undefined ? [] : [[volume.metadata.name, volume]])));
}

function attachedNode(attachments: readonly KubeObject[], volume: KubeObject | undefined): string | undefined {
  const own = attachments.find(
    (one) => textAt(one, 'spec', 'source', 'persistentVolumeName') === volume?.metadata.name,
  );
  return textAt(own, 'spec', 'nodeName');
}

function nodeFacts(node: KubeObject, drivers: readonly KubeObject[]): NodeFacts {
  const csiNode = drivers.find((one) => one.metadata.name === node.metadata.name);
  return {
    name: node.metadata.name,
    ready: conditionOf(node, 'Ready')?.status === 'True',
    labels: node.metadata.labels ?? {},
    drivers: listAt(csiNode, 'spec', 'drivers').flatMap((driver) => textAt(driver, 'name') ?? []),
  };
}

/** undefined where the account lacks the right, and the plan can do without. */
async function unlessDenied<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isDenied(error)) throw error;
    return undefined;
  }
}
