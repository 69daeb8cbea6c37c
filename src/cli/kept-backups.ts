/**
 * Backups whose data is a CSI snapshot in a storage system: only the cluster can tell whether it is there, and remove it.
 * Loaded only where there are such backups.
 */
import { type KeptHere, keptHere } from '../backup/expire-kept.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { NAMESPACE } from '../cluster/resources.ts';
import { executeForget, type ForgetPlan, type ForgetResult } from '../repository/forget.ts';
import type { Repository } from '../repository/repository.ts';
import type { CommandContext } from './command.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';

/** A list that nobody asked the cluster for does not wait for one that is not there. */
const PATIENCE_MS = 5000;

/** undefined where there is no cluster, or it does not let itself be asked. */
export async function keptIfReachable(context: CommandContext, repository: Repository): Promise<KeptHere | undefined> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(PATIENCE_MS)]);
  try {
    return await withCluster(context, async (cluster) => {
      const clusterUid = (await cluster.get(NAMESPACE, undefined, 'kube-system', signal))?.metadata.uid;
      return clusterUid === undefined
        ? undefined
        : keptHere(cluster, { repositoryId: repository.id, clusterUid, signal });
    });
  } catch (error) {
    context.signal.throwIfAborted();
    if (isHoldfastError(error) || signal.aborted) return undefined;
    throw error;
  }
}

/** Removes the snapshots first. Without a cluster, those backups stay that would leave one behind. */
export async function forgetWithStorage(
  repository: Repository,
  plan: ForgetPlan,
  context: CommandContext,
  signal: AbortSignal,
): Promise<ForgetResult> {
  try {
    return await withCluster(context, async (cluster) => {
      const clusterUid = await clusterUidOf(cluster, undefined);
      const { release } = await keptHere(cluster, { repositoryId: repository.id, clusterUid, signal });
      return executeForget(repository, plan, { signal, release });
    });
  } catch (error) {
    if (!(error instanceof HoldfastError) || !error.code.startsWith('CLUSTER_')) throw error;
    return executeForget(repository, plan, { signal });
  }
}
