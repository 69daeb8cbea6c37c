/**
 * Volumes that are suddenly empty, or a tenth of what they were: their backup is as good as any, but the ones before it may
 * be all that is left of the data. Found from the backups alone, so that a run which was killed costs nothing. Pure.
 */
import { claimOf, isComplete, isInStorage, type NamedSnapshot } from '../repository/claim-layout.ts';
import type { Ledger } from '../repository/ledger/ledger.ts';

export interface Shrunken {
  /** namespace/name */
  readonly claim: string;
  readonly backupId: string;
  readonly fromBytes: number;
  readonly toBytes: number;
  /** Backups of the claim before it that no hold was ever made for: these are to be held. */
  readonly earlier: readonly string[];
}

const TENTH = 10;
/** Below this, a tenth more or less is a matter of a few files. */
const LEAST_LOSS_BYTES = 1 << 20;

/** `backups` are those of one cluster, oldest first. What was once held for this and released is not held again. */
export function findShrunken(backups: readonly NamedSnapshot[], holds: Ledger['holds']): Shrunken[] {
  const known = new Set(holds.flatMap(({ document }) => (document.by === 'shrunken' ? document.backups : [])));
  const byId = new Map(backups.flatMap((one) => [one.id, one.original].map((id) => [id ?? '', one] as const)));
  const byClaim = new Map<string, NamedSnapshot[]>();
  const found: Shrunken[] = [];
  for (const backup of backups) {
    const { namespace, claim } = claimOf(backup) ?? {};
    if (namespace === undefined || claim === undefined || !isComplete(backup)) continue;
    const title = `${namespace}/${claim}`;
    const before = byClaim.get(title) ?? [];
    byClaim.set(title, [...before, backup]);
    const last = lastBefore(backup, byId, before);
    const [fromBytes, toBytes] = [last, backup].map((one) => one?.summary?.total_bytes_processed);
    if (fromBytes === undefined || toBytes === undefined || !isShrunken(fromBytes, toBytes)) continue;
    const earlier = before.filter(({ id, original }) => !known.has(id) && !known.has(original ?? id));
    if (earlier.length === 0) continue;
    for (const { id } of earlier) known.add(id);
    found.push({ claim: title, backupId: backup.id, fromBytes, toBytes, earlier: earlier.map(({ id }) => id) });
  }
  return found;
}

/**
 * The complete backup that came right before. Retention thins out old ones, so that what is left of a volume which shrank
 * slowly would look like a leap: only the parent counts, or where there is none (another host) the newest.
 */
function lastBefore(
  backup: NamedSnapshot,
  byId: ReadonlyMap<string, NamedSnapshot>,
  before: readonly NamedSnapshot[],
): NamedSnapshot | undefined {
  if (backup.parent === undefined) return before.findLast((one) => !isInStorage(one));
  let last = byId.get(backup.parent);
  while (last !== undefined && (!isComplete(last) || isInStorage(last))) last = byId.get(last.parent ?? '');
  return last;
}

function isShrunken(fromBytes: number, toBytes: number): boolean {
  if (toBytes === 0) return fromBytes > 0;
  return toBytes * TENTH <= fromBytes && fromBytes - toBytes >= LEAST_LOSS_BYTES;
}
