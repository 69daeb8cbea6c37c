/** What `hold` and `release` have in common, and what other commands say of held backups. */
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { NamedSnapshot } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { heldBackups, type Ledger, readLedger } from '../repository/ledger/ledger.ts';
import type { Repository } from '../repository/repository.ts';
import { backupsOf, findSnapshot, listSnapshots, matchesFilter } from '../repository/snapshots.ts';
import { describeBackup, subjectOf } from './describe-backup.ts';

export interface HeldState {
  readonly backups: readonly NamedSnapshot[];
  readonly ledger: Ledger;
  /** By backup the reasons. */
  readonly held: ReadonlyMap<string, readonly string[]>;
}

/** Throws LEDGER_UNREADABLE. */
export async function readHeld(repository: Repository): Promise<HeldState> {
  const snapshots = await listSnapshots(repository);
  const backups = backupsOf(snapshots);
  const ledger = await readLedger(repository, snapshots);
  return { backups, ledger, held: heldReasons(ledger, backups) };
}

export function heldReasons(
  ledger: Ledger,
  backups: readonly StoredSnapshot[],
): ReadonlyMap<string, readonly string[]> {
  const held = heldBackups(ledger, backups);
  return new Map([...held].map(([id, holds]) => [id, holds.map(({ reason }) => reason)]));
}

/** A claim (NAMESPACE/CLAIM) stands for all of its backups, anything else for one. Throws BACKUP_NOT_FOUND, BACKUP_AMBIGUOUS. */
export async function chooseBackups(
  repository: Repository,
  { backups }: HeldState,
  names: readonly string[],
): Promise<NamedSnapshot[]> {
  const chosen = new Map<string, NamedSnapshot>();
  for (const name of names) {
    const [namespace = '', claim = ''] = /^[a-z0-9.-]+\/[a-z0-9.-]+$/.test(name) ? name.split('/') : [];
    const ofClaim =
      claim === ''
        ? []
        : backups.filter((backup) => matchesFilter(backup, { namespaces: [namespace], claims: [claim] }));
    for (const backup of ofClaim.length > 0 ? ofClaim : [await findSnapshot(repository, name)])
      chosen.set(backup.id, backup);
  }
  return [...chosen.values()];
}

/** What a backup is of, in a list. */
export function titleOf(backup: NamedSnapshot): string {
  return subjectOf(describeBackup(backup));
}

/** What can be read, for lists; where a record cannot be, nothing is known to be held. */
export async function ledgerOr(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  onError: (error: HoldfastError) => void,
): Promise<Ledger> {
  try {
    return await readLedger(repository, snapshots);
  } catch (error) {
    if (!isHoldfastError(error, 'LEDGER_UNREADABLE')) throw error;
    onError(error);
    return { holds: [], releases: [], adoptions: [] };
  }
}
