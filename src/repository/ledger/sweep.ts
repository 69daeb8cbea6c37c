/** Which records nobody needs any more: those that only name backups which are gone. */
import { HoldfastError } from '../../base/errors.ts';
import { ledgerPath, tagOf } from '../claim-layout.ts';
import type { StoredSnapshot } from '../format/snapshot.ts';
import type { Repository } from '../repository.ts';
import { isLedger, listSnapshots, timeOf } from '../snapshots.ts';
import type { RunRecord } from './documents.ts';
import { readLedger, readRuns, recordsOf } from './ledger.ts';

/** A run that made no backup at all is worth knowing of for so long. */
const emptyRunsStayMs = 30 * 86_400_000;

/**
 * Removes records whose backups are all gone, by their ids and those of their originals; the ids of the removed ones. What
 * cannot be read stays. Adoptions of clusters stay, too.
 */
export async function sweepRecords(
  repository: Repository,
  { nowMs, signal }: { readonly nowMs: number; readonly signal?: AbortSignal },
): Promise<string[]> {
  const before = await listSnapshots(repository);
  if (!before.some(isLedger)) return [];
  // A record is stored after its backups: whoever is seen now without them in a second look has lost them.
  const doomed = await spentRecords(repository, before, await listSnapshots(repository), nowMs);
  const removed: string[] = [];
  for (const id of doomed) {
    signal?.throwIfAborted();
    await repository.store.remove('snapshots', id);
    removed.push(id);
  }
  return removed;
}

async function spentRecords(
  repository: Repository,
  records: readonly StoredSnapshot[],
  present: readonly StoredSnapshot[],
  nowMs: number,
): Promise<string[]> {
  const there = new Set(present.flatMap(({ id, original }) => [id, ...(original === undefined ? [] : [original])]));
  const isSpent = (ids: readonly string[]): boolean => !ids.some((id) => there.has(id));
  const recipes = records.filter(({ paths }) => paths[0]?.startsWith(`${ledgerPath}recipe/`));
  const spent = recipes.filter((record) => isSpent([tagOf(record, 'of') ?? record.id])).map(({ id }) => id);
  for (const { id, document } of await readRuns(repository, doubtfulRuns(records, present), () => undefined)) {
    const ids = namedBackups(document);
    const isOld = nowMs - Date.parse(document.startedAt) > emptyRunsStayMs;
    if (ids.length === 0 ? isOld : isSpent(ids)) spent.push(id);
  }
  return [...spent, ...(await spentHolds(repository, records, isSpent))];
}

/** Holds of which nothing is left, and the releases of these. */
async function spentHolds(
  repository: Repository,
  records: readonly StoredSnapshot[],
  isSpent: (ids: readonly string[]) => boolean,
): Promise<string[]> {
  try {
    const { holds, releases } = await readLedger(repository, records);
    const gone = new Set<string | undefined>(
      holds.filter(({ document }) => isSpent(document.backups)).map(({ id }) => id),
    );
    const stay = holds.filter(({ id }) => !gone.has(id)).flatMap(({ id, original }) => [id, original]);
    const idle = releases.filter(({ document }) => !document.holds.some((id) => stay.includes(id)));
    return [...gone, ...idle.map(({ id }) => id)].filter((id) => id !== undefined);
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'LEDGER_UNREADABLE') return [];
    throw error;
  }
}

/** Those of which no backup bears the name: only they have to be read. */
function doubtfulRuns(records: readonly StoredSnapshot[], present: readonly StoredSnapshot[]): StoredSnapshot[] {
  const alive = new Set(present.flatMap((one) => (isLedger(one) ? [] : [tagOf(one, 'run')])));
  return recordsOf(records, 'RunRecord')
    .filter((record) => !alive.has(tagOf(record, 'run') ?? ''))
    .sort((one, other) => (timeOf(one) < timeOf(other) ? -1 : 1));
}

function namedBackups({ claims }: Pick<RunRecord, 'claims'>): string[] {
  return claims.flatMap((claim) => ('backupId' in claim ? [claim.backupId] : []));
}
