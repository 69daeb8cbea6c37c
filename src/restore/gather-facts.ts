/** Reads from the cluster what a plan has to know. Only reads. */
import type { Cluster } from '../cluster/client.ts';
import { conditionOf, type KubeObject, listAt, textAt, valueAt } from '../cluster/object.ts';
import {
  ATTRIBUTES_CLASS,
  CLAIM,
  CSI_NODE,
  NAMESPACE,
  NODE,
  STORAGE_CLASS,
  VOLUME_ATTACHMENT,
} from '../cluster/resources.ts';
import { storageClassSchema } from '../manifest/kube-shapes.ts';
import type { Recipe } from '../manifest/recipe.ts';
import { claimOf, contentFolderOf, isComplete, isInStorage } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type {
  BackupFacts,
  ClusterFacts,
  ExistingClaim,
  NodeFacts,
  RestoreWishes,
  Surroundings,
  TargetFacts,
} from './facts.ts';
import { gatherKept } from './gather-kept.ts';
import { attachableOn, gatherCapacities, gatherQuotas } from './gather-room.ts';
import { backupMark, originMark, planMark, restoreIdOf, restoreLabel, restoreObjectName } from './marks.ts';
import { targetOf } from './plan.ts';

export interface FactsRequest {
  readonly backupId: string;
  readonly recipe: Recipe;
  readonly wishes: RestoreWishes;
  readonly signal?: AbortSignal | undefined;
}

/** @throws HoldfastError CLUSTER_DENIED when a right is missing: a plan made without knowing would be a guess. */
export async function gatherFacts(cluster: Cluster, request: FactsRequest): Promise<ClusterFacts> {
  const [surroundings, target] = await Promise.all([
    gatherSurroundings(cluster, [request.recipe], request.signal),
    gatherTarget(cluster, request),
  ]);
  return { ...surroundings, ...target };
}

/** What all claims of these recipes have to know. Throws like gatherFacts. */
export async function gatherSurroundings(
  cluster: Cluster,
  recipes: readonly Recipe[],
  signal?: AbortSignal,
): Promise<Surroundings> {
  const needsAttributes = recipes.some(({ claim }) => claim.spec.volumeAttributesClassName);
  const [classes, attributes, nodes, drivers, attachments, capacities] = await Promise.all([
    cluster.list(STORAGE_CLASS, { signal }),
    needsAttributes ? cluster.list(ATTRIBUTES_CLASS, { signal }) : [],
    cluster.list(NODE, { signal }),
    cluster.list(CSI_NODE, { signal }),
    cluster.list(VOLUME_ATTACHMENT, { signal }),
    gatherCapacities(cluster, signal),
  ]);
  return {
    // A copy that an unfinished restore made is no class for anybody to choose.
    storageClasses: classes
      .filter((object) => object.metadata.labels?.[restoreLabel] === undefined)
      .map((object) => storageClassSchema.parse(object)),
    attributesClasses: attributes.map((object) => ({
      name: object.metadata.name,
      driver: textAt(object, 'driverName') ?? '',
    })),
    nodes: nodes.map((node) => nodeFacts(node, drivers, attachments)),
    capacities,
  };
}

/** What is in the place that a claim is restored to. Throws like gatherFacts. */
export async function gatherTarget(cluster: Cluster, request: FactsRequest): Promise<TargetFacts> {
  const { backupId, recipe, wishes, signal } = request;
  const { namespace, name } = targetOf(recipe, wishes);
  const temporaryName = restoreObjectName(restoreIdOf(backupId, namespace, name));
  const [space, target, temporary, room, kept] = await Promise.all([
    cluster.get(NAMESPACE, undefined, namespace, signal),
    cluster.get(CLAIM, namespace, name, signal),
    cluster.get(CLAIM, namespace, temporaryName, signal),
    gatherQuotas(cluster, namespace, signal),
    gatherKept(cluster, recipe, signal),
  ]);
  return {
    kept,
    namespace: stateOfNamespace(space),
    target: target ? existingClaim(target) : null,
    unfinished: temporary?.metadata.annotations?.[planMark] ?? null,
    ...room,
  };
}

/** The facts that a restic snapshot itself tells about a backup that has a recipe. */
export function backupFactsOf(snapshot: StoredSnapshot): BackupFacts {
  return {
    id: snapshot.id,
    complete: isComplete(snapshot),
    files: snapshot.summary?.total_files_processed ?? null,
    bytes: snapshot.summary?.total_bytes_processed ?? null,
    contentFolder: folderOfContent(snapshot),
    ...(isInStorage(snapshot) ? { inStorage: true } : {}),
  };
}

/** A backup that has lost its tags is still known by its recipe, which lies beside the content: as readRecipe finds it. */
function folderOfContent(snapshot: StoredSnapshot): string {
  return claimOf(snapshot) ? contentFolderOf(snapshot) : `${snapshot.paths[0]}/volume`;
}

function stateOfNamespace(namespace: KubeObject | undefined): ClusterFacts['namespace'] {
  if (!namespace) return 'missing';
  return namespace.metadata.deletionTimestamp === undefined ? 'active' : 'terminating';
}

function existingClaim(claim: KubeObject): ExistingClaim {
  return {
    uid: claim.metadata.uid,
    phase: textAt(claim, 'status', 'phase') ?? 'Pending',
    restoreId: claim.metadata.labels?.[restoreLabel] ?? null,
    backupId: claim.metadata.annotations?.[backupMark] ?? null,
    restoredFrom: claim.metadata.annotations?.[originMark] ?? null,
  };
}

function nodeFacts(node: KubeObject, drivers: readonly KubeObject[], attachments: readonly KubeObject[]): NodeFacts {
  const csiNode = drivers.find((one) => one.metadata.name === node.metadata.name);
  const driverKeys: Record<string, string[]> = {};
  for (const driver of listAt(csiNode, 'spec', 'drivers')) {
    const keys = listAt(driver, 'topologyKeys').filter((key) => typeof key === 'string');
    driverKeys[textAt(driver, 'name') ?? ''] = keys;
  }
  return {
    name: node.metadata.name,
    usable: isUsable(node),
    labels: node.metadata.labels ?? {},
    driverKeys,
    attachable: attachableOn(csiNode, attachments),
  };
}

function isUsable(node: KubeObject): boolean {
  const taints = listAt(node, 'spec', 'taints');
  const closed = taints.some((taint) => textAt(taint, 'effect')?.startsWith('No') === true);
  return conditionOf(node, 'Ready')?.status === 'True' && valueAt(node, 'spec', 'unschedulable') !== true && !closed;
}
