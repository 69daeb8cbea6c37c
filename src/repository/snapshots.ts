/** The snapshots of a repository: list, save, find by what a user types. */
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { hasAllTags } from '../policy/retention.ts';
import { claimOf, completeClaims, ledgerPath, type NamedSnapshot, tagOf } from './claim-layout.ts';
import { decodeSnapshot, encodeSnapshot, type Snapshot, type StoredSnapshot } from './format/snapshot.ts';
import { parseTime } from './format/time.ts';
import { readAdoptions } from './ledger/ledger.ts';
import { loadFile, type Repository, saveFile } from './repository.ts';
import { parseSnapshotName, type SnapshotName } from './snapshot-name.ts';

export interface SnapshotFilter {
  /** Any of these hosts. */
  readonly hosts?: readonly string[];
  /** All tags of any of these lists; an empty tag stands for no tags at all. */
  readonly tags?: readonly (readonly string[])[];
  /** All of these paths. */
  readonly paths?: readonly string[];
  /** Any of these namespaces, and any of these claims, whichever program made the backups. */
  readonly namespaces?: readonly string[];
  readonly claims?: readonly string[];
}

export interface ListOptions {
  /** Told of each snapshot that cannot be read, which is then left out. Without it, the first one is thrown. */
  readonly onError?: (error: HoldfastError, id: string) => void;
}

const loadsAtOnce = 16;
const shortIdLength = 8;

/** Whether a snapshot is a ledger entry: never `latest`, not a backup. */
export function isLedger(snapshot: Snapshot): boolean {
  return snapshot.paths.some((path) => path.startsWith(ledgerPath));
}

/** All snapshots, ledger entries too, oldest first. */
export async function listSnapshots(repository: Repository, options: ListOptions = {}): Promise<StoredSnapshot[]> {
  const found = await mapLimited(repository.store.list('snapshots'), loadsAtOnce, async ({ name }) => {
    try {
      return await loadSnapshot(repository, name);
    } catch (error) {
      // Another process forgets at the same time.
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
      if (!options.onError || !(error instanceof HoldfastError)) throw error;
      options.onError(error, name);
      return undefined;
    }
  });
  return found.filter((snapshot) => snapshot !== undefined).sort(byTime);
}

/** The backups of a repository that pass the filter: all snapshots but ledger entries, oldest first, by their claims. */
export async function listBackups(
  repository: Repository,
  filter: SnapshotFilter = {},
  options: ListOptions = {},
): Promise<NamedSnapshot[]> {
  return backupsOf(await listSnapshots(repository, options), filter);
}

/** Of all snapshots those that are backups and pass the filter. */
export function backupsOf(snapshots: readonly StoredSnapshot[], filter: SnapshotFilter = {}): NamedSnapshot[] {
  return completeClaims(snapshots).filter((snapshot) => !isLedger(snapshot) && matchesFilter(snapshot, filter));
}

/** Throws FILE_NOT_FOUND, FILE_DAMAGED. */
export async function loadSnapshot(repository: Repository, id: string): Promise<StoredSnapshot> {
  return decodeSnapshot(await loadFile(repository, 'snapshots', id), id);
}

/** Stores a snapshot; its id. */
export function saveSnapshot(repository: Repository, snapshot: Snapshot): Promise<string> {
  return saveFile(repository, 'snapshots', encodeSnapshot(snapshot));
}

/**
 * The snapshot that `name` means, as parseSnapshotName reads it; the filter narrows all but ids.
 * Throws BACKUP_NOT_FOUND, BACKUP_AMBIGUOUS, BACKUP_OF_SEVERAL_CLUSTERS.
 */
export async function findSnapshot(
  repository: Repository,
  name: string,
  filter: SnapshotFilter = {},
): Promise<NamedSnapshot> {
  const meaning = parseSnapshotName(name);
  const found =
    meaning?.kind === 'newest'
      ? await findNewest(repository, meaning, name, filter)
      : await findById(repository, meaning?.prefix ?? '', name);
  if (!found) throw new HoldfastError('BACKUP_NOT_FOUND', { name });
  return found;
}

async function findNewest(
  repository: Repository,
  { claim, back, beforeNs }: Extract<SnapshotName, { kind: 'newest' }>,
  name: string,
  filter: SnapshotFilter,
): Promise<NamedSnapshot | undefined> {
  const snapshots = await listSnapshots(repository);
  const ofClaim = claim === undefined ? {} : { namespaces: [claim.namespace], claims: [claim.name] };
  const matching = backupsOf(snapshots, filter).filter(
    (backup) => matchesFilter(backup, ofClaim) && (beforeNs === undefined || timeOf(backup) < beforeNs),
  );
  // Clusters that share a repository may have claims of the same name.
  const clusters = new Set(claim === undefined ? [] : matching.flatMap(clusterOf));
  if (clusters.size > 1) {
    const now = new Set([...clusters].map(await readAdoptions(repository, snapshots)));
    if (now.size > 1) throw ofSeveralClusters(name, now);
  }
  return matching.at(-1 - back);
}

function ofSeveralClusters(name: string, clusters: ReadonlySet<string>): HoldfastError {
  return new HoldfastError('BACKUP_OF_SEVERAL_CLUSTERS', { name, clusters: [...clusters].sort().join(', ') });
}

/** The cluster that a backup is of, if it says so. Other programs do not. */
export function clusterOf(backup: NamedSnapshot): string[] {
  const uid = tagOf(backup, 'cluster-uid');
  if (uid !== undefined) return [uid];
  return claimOf(backup)?.layout === 'holdfast' ? ['none'] : [];
}

async function findById(repository: Repository, prefix: string, name: string): Promise<StoredSnapshot | undefined> {
  const matches: string[] = [];
  for await (const file of repository.store.list('snapshots')) {
    if (prefix !== '' && file.name.startsWith(prefix)) matches.push(file.name);
  }
  if (matches.length > 1) throw ambiguous(name, matches);
  const [id] = matches;
  return id === undefined ? undefined : loadSnapshot(repository, id);
}

export function matchesFilter(snapshot: NamedSnapshot, filter: SnapshotFilter): boolean {
  const { hosts = [], tags = [], paths = [], namespaces = [], claims = [] } = filter;
  const byClaim = namespaces.length > 0 || claims.length > 0 ? claimOf(snapshot) : undefined;
  return (
    (hosts.length === 0 || hosts.includes(snapshot.hostname ?? '')) &&
    (tags.length === 0 || tags.some((wanted) => hasAllTags(snapshot.tags ?? [], wanted))) &&
    paths.every((path) => snapshot.paths.includes(path)) &&
    (namespaces.length === 0 || namespaces.includes(byClaim?.namespace ?? '')) &&
    (claims.length === 0 || claims.includes(byClaim?.claim ?? ''))
  );
}

/** When a snapshot was taken, in nanoseconds since 1970. */
export function timeOf(snapshot: Snapshot): bigint {
  return parseTime(snapshot.time) ?? 0n;
}

function byTime(a: StoredSnapshot, b: StoredSnapshot): number {
  const [timeA, timeB] = [timeOf(a), timeOf(b)];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function ambiguous(name: string, ids: readonly string[]): HoldfastError {
  const matches = ids.map((id) => id.slice(0, shortIdLength)).sort();
  return new HoldfastError('BACKUP_AMBIGUOUS', { name, count: ids.length, matches: matches.join(', ') });
}
