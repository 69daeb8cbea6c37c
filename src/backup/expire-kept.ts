/**
 * The end of CSI snapshots that were kept: those whose backup was never stored, those beside the repository that newer
 * ones took the place of, and those whose recipe is to go. Always the storage first, then the recipe.
 */
import { HoldfastError } from '../base/errors.ts';
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { type KeptSnapshot, listKept, removeKept, settleKept } from '../cluster/kept-snapshot.ts';
import { CLAIM_UID, RUN } from '../cluster/labels.ts';
import { JOB } from '../cluster/resources.ts';
import { isInStorage, tagOf } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { Repository } from '../repository/repository.ts';
import { listBackups } from '../repository/snapshots.ts';

/** For each object that is removed. */
const REMOVE_KEPT_MS = 5 * 60_000;

/** What a killed run left undecided: it stays where its backup was stored, else it goes. */
export async function settlePending(
  cluster: Cluster,
  repository: Repository,
  kept: KeptSnapshot,
  timeoutMs: number,
): Promise<void> {
  const stored = await listBackups(repository, { tags: [[`run=${kept.run}`, `uid=${kept.claimUid}`]] });
  if (stored.length > 0) await settleKept(cluster, kept, 'backup');
  else await removeKept(cluster, kept, timeoutMs);
}

/** Those beside the repository, beyond the newest `keepLast` of each claim. */
export function outnumbered(kept: readonly KeptSnapshot[], keepLast: number): KeptSnapshot[] {
  const beside = kept.filter(({ as }) => as === 'beside');
  const newestFirst = beside.toSorted((a, b) => (a.madeAt < b.madeAt ? 1 : -1));
  return [...Map.groupBy(newestFirst, ({ claimUid }) => claimUid).values()].flatMap((ones) => ones.slice(keepLast));
}

export interface KeptByPolicy {
  readonly policy: { readonly namespace: string; readonly name: string };
  readonly keepLast: number;
  readonly clusterUid: string;
  readonly signal?: AbortSignal | undefined;
}

/** Settles and thins out what a policy's runs have kept; what there is then, undefined where it may not be read. */
export async function tidyKept(
  cluster: Cluster,
  repository: Repository,
  o: KeptByPolicy,
): Promise<KeptHere | undefined> {
  const { namespace, name } = o.policy;
  const all = await listUnlessDenied(cluster, repository, o.signal);
  if (all === undefined) return undefined;
  const own = all.filter(({ policy, claim }) => policy === name && claim.startsWith(`${namespace}/`));
  const pending = own.filter(({ as }) => as === 'pending');
  for (const one of pending) {
    if (!(await isAtWork(cluster, namespace, one))) await settlePending(cluster, repository, one, REMOVE_KEPT_MS);
  }
  const surplus = outnumbered(own, o.keepLast);
  for (const one of surplus) await removeKept(cluster, one, REMOVE_KEPT_MS);
  return all.length === 0
    ? keptAmong([], o.clusterUid, cluster)
    : keptHere(cluster, { ...o, repositoryId: repository.id });
}

/** An account for copies alone may not read contents, and has never kept a snapshot. */
async function listUnlessDenied(cluster: Cluster, { id }: Repository, signal: AbortSignal | undefined) {
  try {
    return await listKept(cluster, { repositoryId: id, signal });
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}

/** A run that has not ended has its Job; a dead one's was removed by the run after it. */
async function isAtWork(cluster: Cluster, namespace: string, { run, claimUid }: KeptSnapshot): Promise<boolean> {
  const jobs = await cluster.list(JOB, { namespace, labelSelector: `${RUN}=${run},${CLAIM_UID}=${claimUid}` });
  return jobs.length > 0;
}

/** Which backups have their data in this cluster's storage, and how they are told to go. */
export interface KeptHere {
  /** `unknown`: made in another cluster. */
  stateOf(backup: StoredSnapshot): 'present' | 'gone' | 'unknown';
  /** Removes what a backup has in the storage. Throws KEPT_SNAPSHOT_STAYS where that is not to be had here. */
  release(backup: StoredSnapshot): Promise<void>;
}

/** Throws CLUSTER_DENIED where contents may not be listed. */
export async function keptHere(
  cluster: Cluster,
  o: { readonly repositoryId: string; readonly clusterUid: string; readonly signal?: AbortSignal | undefined },
): Promise<KeptHere> {
  return keptAmong(await listKept(cluster, o), o.clusterUid, cluster);
}

function keptAmong(kept: readonly KeptSnapshot[], clusterUid: string, cluster: Cluster): KeptHere {
  const ofBackup = (backup: StoredSnapshot) => {
    const [run, uid] = [tagOf(backup, 'run'), tagOf(backup, 'uid')];
    return kept.filter((one) => one.run === run && one.claimUid === uid);
  };
  const stateOf = (backup: StoredSnapshot) => {
    if (ofBackup(backup).length > 0) return 'present';
    return tagOf(backup, 'cluster-uid') === clusterUid ? 'gone' : 'unknown';
  };
  return {
    stateOf,
    release: async (backup) => {
      if (isInStorage(backup) && stateOf(backup) === 'unknown') {
        throw new HoldfastError('KEPT_SNAPSHOT_STAYS', { backup: backup.id.slice(0, 8) });
      }
      for (const one of ofBackup(backup)) await removeKept(cluster, one, REMOVE_KEPT_MS);
    },
  };
}
