/** A rebuilt cluster goes on with the backups of the one before: which these are, and what stands against it. Pure. */
import { HoldfastError } from '../base/errors.ts';
import { claimOf, type NamedSnapshot, tagOf } from '../repository/claim-layout.ts';
import { ownClusters } from '../repository/ledger/ledger.ts';
import { type History, ledgerOf } from './history.ts';

export interface AdoptionPlan {
  /** UIDs of the clusters. */
  readonly from: string;
  readonly to: string;
  /** Hosts under which the old cluster made its backups. */
  readonly names: readonly string[];
  readonly backups: readonly NamedSnapshot[];
  /** namespace/name, sorted. */
  readonly claims: readonly string[];
  /** True where it was adopted before: there is nothing to do. */
  readonly isDone: boolean;
}

/** `old` is a cluster's UID, its beginning, or its name. Throws ADOPTION_REFUSED, LEDGER_UNREADABLE. */
export function planAdoption(history: History, old: string, clusterUid: string): AdoptionPlan {
  const ledger = ledgerOf(history);
  const from = findCluster(history.backups, old);
  if (from === clusterUid) throw new HoldfastError('ADOPTION_REFUSED', { cluster: old, reason: 'it is this cluster' });
  const other = ledger.adoptions.find(({ document }) => document.from === from && document.to !== clusterUid);
  const isDone = ownClusters(ledger, clusterUid).has(from);
  if (other !== undefined && !isDone) {
    const reason = `the cluster ${other.document.to} adopted them already`;
    throw new HoldfastError('ADOPTION_REFUSED', { cluster: old, reason });
  }
  const backups = history.backups.filter((backup) => tagOf(backup, 'cluster-uid') === from);
  const claims = backups.flatMap((backup) => {
    const { namespace, claim } = claimOf(backup) ?? {};
    return namespace === undefined || claim === undefined ? [] : [`${namespace}/${claim}`];
  });
  const names = new Set(backups.flatMap(({ hostname }) => hostname ?? []));
  return { from, to: clusterUid, names: [...names].sort(), backups, claims: [...new Set(claims)].sort(), isDone };
}

function findCluster(backups: readonly NamedSnapshot[], old: string): string {
  const found = new Set<string>();
  for (const backup of backups) {
    const uid = tagOf(backup, 'cluster-uid');
    if (uid === undefined) continue;
    if (uid === old) return uid;
    if (uid.startsWith(old) || backup.hostname === old) found.add(uid);
  }
  const [uid, ...others] = found;
  if (uid !== undefined && others.length === 0) return uid;
  const reason = uid === undefined ? 'no backup here is of it' : `that may be any of ${[...found].sort().join(', ')}`;
  throw new HoldfastError('ADOPTION_REFUSED', { cluster: old, reason });
}
