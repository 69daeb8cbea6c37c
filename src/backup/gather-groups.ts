/** Reads what a plan of groups has to know: asked only where groups are wanted. */
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { CLAIM } from '../cluster/resources.ts';
import { servedGroupApi } from '../cluster/volume-group-snapshot.ts';
import type { BackupFacts, GroupFacts } from './facts.ts';

export async function gatherGroupFacts(
  cluster: Cluster,
  { claims }: BackupFacts,
  signal?: AbortSignal,
): Promise<GroupFacts> {
  const namespaces = [...new Set(claims.flatMap(({ claim }) => claim.metadata.namespace ?? []))];
  const [classes, ...lists] = await Promise.all([
    gatherClasses(cluster, signal),
    ...namespaces.map((namespace) => cluster.list(CLAIM, { namespace, signal })),
  ]);
  return { ...classes, claims: lists.flat() };
}

async function gatherClasses(
  cluster: Cluster,
  signal: AbortSignal | undefined,
): Promise<Pick<GroupFacts, 'api' | 'classes'>> {
  try {
    const api = await servedGroupApi(cluster, signal);
    return { api, classes: api === undefined ? [] : await cluster.list(api.class, { signal }) };
  } catch (error) {
    if (!isDenied(error)) throw error;
    return { api: undefined, classes: undefined };
  }
}
