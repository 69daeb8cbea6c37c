/** Group snapshots that dead runs left behind. They work for several claims, and go with the last of them. */
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { MANAGED_BY, ROLE, RUN, runSelector } from '../cluster/labels.ts';
import type { KubeObject } from '../cluster/object.ts';
import { type GroupSnapshotApi, JOB } from '../cluster/resources.ts';
import { dropGroupContents, removeGroupSnapshot, servedGroupApi } from '../cluster/volume-group-snapshot.ts';

export interface LeftGroups {
  /** undefined: this cluster knows no group snapshots. */
  readonly api: GroupSnapshotApi | undefined;
  readonly groups: readonly KubeObject[];
}

/**
 * The group snapshots of a run, told to keep nothing in the storage: to be called before the Jobs go that own them, for
 * with the last one they go by themselves.
 */
export async function findLeftGroups(cluster: Cluster, namespace: string, run: string): Promise<LeftGroups> {
  const api = await groupApi(cluster);
  if (api === undefined) return { api, groups: [] };
  const groups = await cluster.list(api.group, { namespace, labelSelector: runSelector('backup', run) });
  for (const group of groups) await dropGroupContents(cluster, api, group);
  return { api, groups };
}

/** Removes them, unless other claims of that run still have something there: then the sweep of the last one does. */
export async function removeLeftGroups(
  cluster: Cluster,
  { api, groups }: LeftGroups,
  where: { readonly namespaces: readonly string[]; readonly run: string; readonly timeoutMs: number },
): Promise<void> {
  if (api === undefined || groups.length === 0 || (await hasJobs(cluster, where.run, where.namespaces))) return;
  for (const group of groups) await removeGroupSnapshot(cluster, api, group, where.timeoutMs);
}

export interface LostGroups {
  readonly namespace: string;
  /** Where movers of the namespace's claims are. */
  readonly namespaces: readonly string[];
  /** The one at hand, which is left alone. */
  readonly run: string;
  readonly timeoutMs: number;
}

/**
 * Removes the group snapshots of runs that have no Job any more: no Job in another namespace can own one, so it stays
 * where a run dies between its last Job and its group.
 */
export async function sweepLostGroups(cluster: Cluster, lost: LostGroups): Promise<void> {
  const api = await groupApi(cluster);
  if (api === undefined) return;
  const labelSelector = `${MANAGED_BY}=holdfast,${ROLE}=backup`;
  const listing = cluster.list(api.group, { namespace: lost.namespace, labelSelector });
  const runs = Map.groupBy(await unlessDenied(listing, []), (group) => group.metadata.labels?.[RUN] ?? '');
  runs.delete(lost.run);
  for (const [run, groups] of runs) {
    if (await hasJobs(cluster, run, lost.namespaces)) continue;
    for (const group of groups) {
      await dropGroupContents(cluster, api, group);
      await removeGroupSnapshot(cluster, api, group, lost.timeoutMs);
    }
  }
}

function groupApi(cluster: Cluster): Promise<GroupSnapshotApi | undefined> {
  return unlessDenied(servedGroupApi(cluster), undefined);
}

/** Who may not look for groups has made none. */
function unlessDenied<T, D>(asked: Promise<T>, denied: D): Promise<T | D> {
  return asked.catch((error: unknown) => {
    if (isDenied(error)) return denied;
    throw error;
  });
}

async function hasJobs(cluster: Cluster, run: string, namespaces: readonly string[]): Promise<boolean> {
  const labelSelector = runSelector('backup', run);
  const lists = namespaces.map((namespace) => cluster.list(JOB, { namespace, labelSelector }));
  return (await Promise.all(lists)).flat().length > 0;
}
