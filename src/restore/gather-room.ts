/** Reads what limits the room for new claims: quotas, limits, what the storage and the nodes have left. Only reads. */
import { parseQuantity } from '../base/quantity.ts';
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { isRecord, type KubeObject, listAt, textAt, valueAt } from '../cluster/object.ts';
import { LIMIT_RANGE, RESOURCE_QUOTA, type Resource, STORAGE_CAPACITY } from '../cluster/resources.ts';
import type { CapacityFacts, LimitFacts, QuotaFacts } from './facts.ts';

/** Null for what may not be read. */
export async function gatherQuotas(
  cluster: Cluster,
  namespace: string,
  signal: AbortSignal | undefined,
): Promise<{ quotas: QuotaFacts[] | null; limits: LimitFacts[] | null }> {
  const [quotas, limits] = await Promise.all([
    listIfAllowed(cluster, RESOURCE_QUOTA, namespace, signal),
    listIfAllowed(cluster, LIMIT_RANGE, namespace, signal),
  ]);
  return {
    quotas: quotas === null ? null : quotas.map(quotaFacts),
    limits: limits === null ? null : limits.flatMap(limitFacts),
  };
}

export async function gatherCapacities(
  cluster: Cluster,
  signal: AbortSignal | undefined,
): Promise<CapacityFacts[] | null> {
  const found = await listIfAllowed(cluster, STORAGE_CAPACITY, undefined, signal);
  return found === null ? null : found.flatMap(capacityFacts);
}

/** How many volumes of each driver a node may still have; a driver without a limit is not in it. */
export function attachableOn(
  csiNode: KubeObject | undefined,
  attachments: readonly KubeObject[],
): Record<string, number> {
  const left: Record<string, number> = {};
  for (const driver of listAt(csiNode, 'spec', 'drivers')) {
    const count = valueAt(driver, 'allocatable', 'count');
    const name = textAt(driver, 'name') ?? '';
    if (typeof count !== 'number') continue;
    const isTaken = (one: KubeObject) =>
      textAt(one, 'spec', 'attacher') === name && textAt(one, 'spec', 'nodeName') === csiNode?.metadata.name;
    left[name] = count - attachments.filter(isTaken).length;
  }
  return left;
}

async function listIfAllowed(
  cluster: Cluster,
  resource: Resource,
  namespace: string | undefined,
  signal: AbortSignal | undefined,
): Promise<KubeObject[] | null> {
  try {
    return await cluster.list(resource, { namespace, signal });
  } catch (error) {
    if (isDenied(error)) return null;
    throw error;
  }
}

/** A quota with a scope is for pods. One that was made just now has no status yet: nothing is used of it. */
function quotaFacts(quota: KubeObject): QuotaFacts {
  const hard = valueAt(quota, 'spec', 'hard');
  const left: Record<string, number> = {};
  for (const [resource, limit] of Object.entries(isRecord(hard) ? hard : {})) {
    const used = parseQuantity(textAt(quota, 'status', 'used', resource) ?? '0') ?? 0;
    const total = parseQuantity(String(limit));
    if (total !== undefined) left[resource] = total - used;
  }
  return { name: quota.metadata.name, left };
}

function limitFacts(range: KubeObject): LimitFacts[] {
  const ofClaims = listAt(range, 'spec', 'limits').filter((one) => textAt(one, 'type') === 'PersistentVolumeClaim');
  return ofClaims.map((one) => ({
    name: range.metadata.name,
    minBytes: bytesAt(one, 'min'),
    maxBytes: bytesAt(one, 'max'),
  }));
}

function bytesAt(limit: unknown, which: 'min' | 'max'): number | null {
  const quantity = textAt(limit, which, 'storage');
  return quantity === undefined ? null : (parseQuantity(quantity) ?? null);
}

/** As the scheduler reads it: the largest volume counts where it is told, else what is left. */
function capacityFacts(object: KubeObject): CapacityFacts[] {
  const quantity = textAt(object, 'maximumVolumeSize') ?? textAt(object, 'capacity');
  const labels = valueAt(object, 'nodeTopology', 'matchLabels');
  // Without a topology no node reaches it; expressions nobody writes.
  if (!isRecord(valueAt(object, 'nodeTopology')) || listAt(object, 'nodeTopology', 'matchExpressions').length > 0)
    return [];
  return [
    {
      storageClass: textAt(object, 'storageClassName') ?? '',
      labels: isRecord(labels) ? (labels as Record<string, string>) : {},
      bytes: quantity === undefined ? 0 : (parseQuantity(quantity) ?? 0),
    },
  ];
}
