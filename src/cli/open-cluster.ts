/**
 * The cluster that the settings name, for the time of a command.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { connect, readClusterUid } from '../cluster/connect.ts';
import type { CommandContext } from './command.ts';

export async function withCluster<T>({ settings }: CommandContext, use: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = await connect({ kubeconfig: settings.kubeconfig, context: settings.kubeContext });
  try {
    return await use(cluster);
  } finally {
    cluster.close();
  }
}

/** The given identity of the cluster, or its own. Throws CLUSTER_DENIED where that may not be read. */
export async function clusterUidOf(cluster: Cluster, given: string | undefined): Promise<string> {
  const uid = given ?? (await readClusterUid(cluster));
  if (uid !== undefined) return uid;
  const reason = 'its UID stands for the cluster; give it with --cluster-uid instead';
  throw new HoldfastError('CLUSTER_DENIED', { verb: 'get', resource: 'the namespace kube-system', reason });
}
