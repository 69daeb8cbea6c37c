/**
 * What dead runs left of claims that are not there any more: no later run of the claim comes by to sweep it, and in
 * another namespace than the claim's it does not even go with that.
 */
import type { Clock } from '../base/clock.ts';
import { isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { CLAIM_UID, MANAGED_BY, ROLE, WORKS_FOR } from '../cluster/labels.ts';
import type { KubeObject } from '../cluster/object.ts';
import { CLAIM, JOB, type Resource, SNAPSHOT, SNAPSHOT_CONTENT } from '../cluster/resources.ts';
import { sweepLostGroups } from './group-leftovers.ts';
import { type Sweep, sweepLeftovers } from './leftovers.ts';

export interface OrphanSweep extends Pick<Sweep, 'namespace' | 'moverNamespace' | 'run' | 'timeoutMs' | 'signal'> {
  /** UIDs of the claims of the namespace: their own runs sweep after them. */
  readonly known: ReadonlySet<string>;
  /** `claim`: namespace/name. */
  onFound(claim: string, run: string, objects: number): void;
  /** What could not be removed now stays for the next run. */
  onProblem(claim: string, reason: string): void;
}

/** Only of claims of the namespace, wherever their movers were; a run that still lives is left alone. */
export async function sweepOrphans(cluster: Cluster, clock: Clock, o: OrphanSweep): Promise<void> {
  const objects = await findOurs(cluster, o);
  const left = Map.groupBy(objects, (object) => object.metadata.labels?.[CLAIM_UID] ?? '');
  for (const [claimUid, found] of left) {
    const title = worksFor(found[0]);
    if (claimUid === '' || o.known.has(claimUid)) continue;
    try {
      const onFound = (run: string, count: number) => o.onFound(title, run, count);
      await sweepLeftovers(cluster, clock, { ...o, claimUid, title, onFound });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      if (error.code !== 'BACKUP_RUNNING') o.onProblem(title, error.message);
    }
  }
  const namespaces = [...new Set([o.namespace, o.moverNamespace])];
  try {
    await sweepLostGroups(cluster, { ...o, namespaces });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    o.onProblem(`groups of ${o.namespace}`, error.message);
  }
}

async function findOurs(cluster: Cluster, { namespace, moverNamespace }: OrphanSweep): Promise<KubeObject[]> {
  const labelSelector = `${MANAGED_BY}=holdfast,${ROLE}=backup`;
  const listIn = (from: string | undefined, resources: readonly Resource[]) =>
    resources.map((resource) => cluster.list(resource, { namespace: from, labelSelector }));
  const isOwn = moverNamespace !== namespace;
  const lists = [
    ...listIn(namespace, [JOB, CLAIM, SNAPSHOT]),
    ...(isOwn ? [...listIn(moverNamespace, [JOB, CLAIM, SNAPSHOT]), ...listIn(undefined, [SNAPSHOT_CONTENT])] : []),
  ];
  // Holdfast's own namespace has movers of others as well.
  return (await Promise.all(lists)).flat().filter((one) => worksFor(one).startsWith(`${namespace}/`));
}

function worksFor(object: KubeObject | undefined): string {
  return object?.metadata.annotations?.[WORKS_FOR] ?? '';
}
