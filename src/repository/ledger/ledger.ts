/**
 * The ledger: records of Holdfast's own beside the backups, written once, never changed. What is true now follows from all
 * of them: a backup is held while a hold names it that no release takes back, a cluster has the backups of those that it
 * adopted.
 */
import { HoldfastError, isHoldfastError, messageOf } from '../../base/errors.ts';
import { tagOf } from '../claim-layout.ts';
import type { StoredSnapshot } from '../format/snapshot.ts';
import type { LoadedIndex } from '../load-index.ts';
import type { Repository } from '../repository.ts';
import type { Adoption, Hold, LedgerDocument, RecordKind, Release, RunRecord } from './documents.ts';
import { RecordReader } from './read-record.ts';
import { recordPath } from './record-folders.ts';

export interface Recorded<D> {
  /** Of the record's snapshot. */
  readonly id: string;
  /** Its first id, where it was copied from another repository. */
  readonly original: string | undefined;
  readonly document: D;
}

export interface Ledger {
  readonly holds: readonly Recorded<Hold>[];
  readonly releases: readonly Recorded<Release>[];
  readonly adoptions: readonly Recorded<Adoption>[];
}

type OfKind<K extends RecordKind> = Extract<LedgerDocument, { kind: K }>;

/** What rules depend on; runs are history. Throws LEDGER_UNREADABLE. */
export async function readLedger(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  index?: LoadedIndex,
): Promise<Ledger> {
  const reader = new RecordReader(repository, index);
  return {
    holds: await readAll(reader, snapshots, 'Hold'),
    releases: await readAll(reader, snapshots, 'Release'),
    adoptions: await readAll(reader, snapshots, 'ClusterAdoption'),
  };
}

/** Records of runs, oldest first. Throws LEDGER_UNREADABLE, or tells of each that cannot be read and goes on. */
export function readRuns(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  onError?: (error: HoldfastError) => void,
): Promise<Recorded<RunRecord>[]> {
  return readAll(new RecordReader(repository), snapshots, 'RunRecord', onError);
}

/** The snapshots that are records of this kind. */
export function recordsOf(snapshots: readonly StoredSnapshot[], kind: RecordKind): StoredSnapshot[] {
  const path = recordPath(kind);
  return snapshots.filter(({ paths }) => paths[0] === path);
}

async function readAll<K extends RecordKind>(
  reader: RecordReader,
  snapshots: readonly StoredSnapshot[],
  kind: K,
  onError?: (error: HoldfastError) => void,
): Promise<Recorded<OfKind<K>>[]> {
  const found: Recorded<OfKind<K>>[] = [];
  for (const snapshot of recordsOf(snapshots, kind)) {
    try {
      found.push({ id: snapshot.id, original: snapshot.original, document: await readOne(reader, snapshot, kind) });
    } catch (error) {
      if (onError === undefined || !(error instanceof HoldfastError)) throw error;
      onError(error);
    }
  }
  return found;
}

async function readOne<K extends RecordKind>(
  reader: RecordReader,
  snapshot: StoredSnapshot,
  kind: K,
): Promise<OfKind<K>> {
  const bytes = await reader.read(snapshot);
  // What reads them is large, and most commands find no records.
  const { parseRecord } = await import('./documents.ts');
  try {
    const document = parseRecord(bytes);
    if (isOfKind(document, kind)) return document;
    throw new Error(`it is a ${document.kind} among those of kind ${kind}`);
  } catch (error) {
    throw new HoldfastError('LEDGER_UNREADABLE', { record: snapshot.id, reason: messageOf(error) }, { cause: error });
  }
}

function isOfKind<K extends RecordKind>(document: LedgerDocument, kind: K): document is OfKind<K> {
  return document.kind === kind;
}

/** By backup why it is held, for those of `backups` that are. Copies are held as their originals are. */
export function heldBackups(
  { holds, releases }: Pick<Ledger, 'holds' | 'releases'>,
  backups: readonly Pick<StoredSnapshot, 'id' | 'original'>[],
): Map<string, readonly HoldOf[]> {
  const held = new Map<string, HoldOf[]>();
  for (const hold of holds) {
    const lifts = releases.filter(({ document }) =>
      document.holds.some((id) => id === hold.id || id === hold.original),
    );
    const lifted = new Set(lifts.flatMap(({ document }) => document.backups));
    const named = new Set(hold.document.backups);
    for (const backup of backups) {
      const ids = [backup.id, backup.original].filter((id) => id !== undefined);
      if (!ids.some((id) => named.has(id)) || ids.some((id) => lifted.has(id))) continue;
      held.set(backup.id, [...(held.get(backup.id) ?? []), { record: hold.id, reason: hold.document.reason }]);
    }
  }
  return held;
}

export interface HoldOf {
  /** Id of the record. */
  readonly record: string;
  readonly reason: string;
}

/** The cluster itself and all whose backups it took over, directly or through another one. */
export function ownClusters({ adoptions }: Pick<Ledger, 'adoptions'>, clusterUid: string): ReadonlySet<string> {
  const own = new Set([clusterUid]);
  // A set also visits what is added to it meanwhile.
  for (const uid of own) for (const { document } of adoptions) if (document.to === uid) own.add(document.from);
  return own;
}

/** The run of this name or beginning of it, or `latest`. Throws RUN_NOT_FOUND, LEDGER_UNREADABLE. */
export async function findRun(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  name: string,
): Promise<Recorded<RunRecord>> {
  const records = recordsOf(snapshots, 'RunRecord');
  // Tags can be taken away, the document cannot be changed.
  const tagged = records.filter((record) => tagOf(record, 'run')?.startsWith(name));
  const found = await readRuns(
    repository,
    name === 'latest' ? records.slice(-1) : tagged.length > 0 ? tagged : records,
  );
  const matching = name === 'latest' ? found : found.filter(({ document }) => document.run.startsWith(name));
  const run =
    matching.find(({ document }) => document.run === name) ?? (matching.length === 1 ? matching[0] : undefined);
  if (run === undefined) throw new HoldfastError('RUN_NOT_FOUND', { name });
  return run;
}

/** The cluster that has the backups of this one by now: itself, unless another one adopted them. */
function clusterNow({ adoptions }: Pick<Ledger, 'adoptions'>, clusterUid: string): string {
  const passed = new Set<string>();
  let uid = clusterUid;
  for (;;) {
    passed.add(uid);
    const next = adoptions.find(({ document }) => document.from === uid)?.document.to;
    if (next === undefined || passed.has(next)) return uid;
    uid = next;
  }
}

/**
 * From the UID of a cluster to that of the one which has its backups by now. Where the ledger cannot be read, nothing was
 * adopted: whoever wants a backup back has to say which of two clusters is meant, and gets it.
 */
export async function readAdoptions(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
): Promise<(clusterUid: string) => string> {
  try {
    const adoptions = await readAll(new RecordReader(repository), snapshots, 'ClusterAdoption');
    return (uid) => clusterNow({ adoptions }, uid);
  } catch (error) {
    if (!isHoldfastError(error, 'LEDGER_UNREADABLE')) throw error;
    return (uid) => uid;
  }
}
