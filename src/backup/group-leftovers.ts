/** Group snapshots that dead runs left behind. They work for several claims, and go with the last of them. */
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { runSelector } from '../cluster/labels.ts';
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
  const api = await servedGroupApi(cluster).catch((error: unknown) => {
    // Who may not look for groups has made none.
    if (isDenied(error)) return undefined;
    throw error;
  });
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
  if (api === undefined || groups.length === 0) return;
  const labelSelector = runSelector('backup', where.run);
  const lists = where.namespaces.map((namespace) => cluster.list(JOB, { namespace, labelSelector }));
  if ((await Promise.all(lists)).flat().length > 0) return;
  for (const group of groups) await removeGroupSnapshot(cluster, api, group, where.timeoutMs);
}
