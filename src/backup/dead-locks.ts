/**
 * Locks that killed movers left in the repository. One goes only if nobody refreshed it for 30 minutes by the store's
 * clock and the pod it names is gone from its own cluster.
 */
import type { Cluster } from '../cluster/client.ts';
import { POD } from '../cluster/resources.ts';
import { removeStaleLocks, type StoredLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';

/** `namespaces`: all in which movers may be. The host names of the removed locks. Locks of other clusters and of programs elsewhere are left alone. */
export async function removeDeadMoverLocks(
  repository: Repository,
  cluster: Cluster,
  clusterUid: string,
  namespaces: readonly string[],
): Promise<string[]> {
  let uids: Set<string> | undefined;
  const isGone = async ({ content }: StoredLock): Promise<boolean> => {
    const podUid = content === undefined ? undefined : podUidOf(content.hostname, clusterUid);
    if (podUid === undefined) return false;
    uids ??= await podUids(cluster, namespaces);
    return !uids.has(podUid);
  };
  const removed = await removeStaleLocks(repository, { isGone });
  return removed.map(({ content }) => content?.hostname ?? 'unknown');
}

async function podUids(cluster: Cluster, namespaces: readonly string[]): Promise<Set<string>> {
  const lists = [...new Set(namespaces)].map((namespace) => cluster.list(POD, { namespace }));
  return new Set((await Promise.all(lists)).flat().map((pod) => pod.metadata.uid));
}

/** From `<pod>.<pod uid>.<cluster uid>`; undefined for a pod of another cluster or namespace, and for no pod at all. */
export function podUidOf(lockHost: string, clusterUid: string): string | undefined {
  const parts = lockHost.split('.');
  const own = parts.at(-1) === clusterUid;
  return own && parts.length >= 3 ? parts.at(-2) : undefined;
}
