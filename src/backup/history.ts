/** What a repository tells of the backups before a run: whose they are, how large they were, what is noted down of them. */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type NamedSnapshot, tagOf } from '../repository/claim-layout.ts';
import { type Ledger, ownClusters, readLedger } from '../repository/ledger/ledger.ts';
import type { Repository } from '../repository/repository.ts';
import { backupsOf, listSnapshots } from '../repository/snapshots.ts';
import type { LastBackup } from './facts.ts';

export interface History {
  /** All of the repository, oldest first. */
  readonly backups: readonly NamedSnapshot[];
  /** LEDGER_UNREADABLE where a record cannot be read: that stops no backup, but whatever would remove one. */
  readonly ledger: Ledger | HoldfastError;
}

export async function readHistory(repository: Repository): Promise<History> {
  const snapshots = await listSnapshots(repository);
  const backups = backupsOf(snapshots);
  try {
    return { backups, ledger: await readLedger(repository, snapshots) };
  } catch (error) {
    if (!isHoldfastError(error, 'LEDGER_UNREADABLE')) throw error;
    return { backups, ledger: error };
  }
}

/** Throws LEDGER_UNREADABLE. */
export function ledgerOf({ ledger }: History): Ledger {
  if (ledger instanceof HoldfastError) throw ledger;
  return ledger;
}

/** Backups of this cluster and of those that it adopted. */
export function ownBackups({ backups, ledger }: History, clusterUid: string): NamedSnapshot[] {
  const own = ledger instanceof HoldfastError ? new Set([clusterUid]) : ownClusters(ledger, clusterUid);
  return backups.filter((backup) => own.has(tagOf(backup, 'cluster-uid') ?? ''));
}

/** The newest backup of each claim of this cluster, by the claim's uid. */
export function lastBackupsOf(history: History, clusterUid: string): ReadonlyMap<string, LastBackup> {
  const found = new Map<string, LastBackup>();
  for (const backup of ownBackups(history, clusterUid)) {
    const uid = tagOf(backup, 'uid');
    const bytes = backup.summary?.total_bytes_processed;
    if (uid !== undefined && bytes !== undefined) found.set(uid, { backupId: backup.id, bytes });
  }
  return found;
}

/** The host of a cluster's backups, the same whoever starts them. */
export function clusterNameOf(clusterUid: string, given: string | undefined): string {
  return given ?? `cluster-${clusterUid.slice(0, 8)}`;
}

/** Two clusters under one name could not be told apart by their hosts. Throws CLUSTER_NAME_TAKEN. */
export function refuseTakenName(history: History, clusterUid: string, name: string): void {
  // Without the ledger nobody can say which clusters were adopted.
  if (history.ledger instanceof HoldfastError) return;
  const own = ownClusters(history.ledger, clusterUid);
  for (const backup of history.backups) {
    const other = tagOf(backup, 'cluster-uid');
    if (backup.hostname !== name || other === undefined || own.has(other)) continue;
    throw new HoldfastError('CLUSTER_NAME_TAKEN', { name, other, uid: clusterUid });
  }
}
