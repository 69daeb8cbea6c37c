/** Backs up one folder as one snapshot: what changed since its parent is read and stored. */
import { statSync } from 'node:fs';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { isInStorage } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { Repository } from '../repository/repository.ts';
import { listSnapshots, timeOf } from '../repository/snapshots.ts';
import { type Place, storeSource } from './backup-place.ts';
import { type RunOptions, runBackup } from './backup-run.ts';
import { type BackupSummary, nsOf } from './backup-summary.ts';
import { type ExcludeRules, makeExclusion } from './exclude.ts';

export interface BackupOptions extends Omit<RunOptions, 'excludes'> {
  /** An existing directory, or a symbolic link to one. */
  readonly source: string;
  /** What is left out; patterns are matched from the root of the first of `paths`. */
  readonly exclude?: ExcludeRules;
  /** Default: the content becomes the root of the tree. */
  readonly place?: Place;
  /** What to compare with: a snapshot id, null for nothing, default the newest of the same host and paths. */
  readonly parentId?: string | null;
  /** Do not count as a change: a new inode number (and with it a new ctime), or a new ctime alone. */
  readonly ignoreInode?: boolean;
  readonly ignoreCtime?: boolean;
  /** Makes no snapshot where the tree is the parent's. */
  readonly skipIfUnchanged?: boolean;
}

/**
 * Stores the folder, as runBackup does. Files that cannot be read are in `errors`, everything else throws: USAGE
 * (exclusions), SOURCE_UNREADABLE, BACKUP_NOT_FOUND (parent), and what runBackup throws.
 */
export async function backupFolder(repository: Repository, options: BackupOptions): Promise<BackupSummary> {
  const { exclude, source, paths, place, skipIfUnchanged = false } = options;
  const { ignoreInode = false, ignoreCtime = false } = options;
  requireFolder(source);
  const exclusion = exclude && makeExclusion(exclude, source, paths[0] ?? source);
  const parent = await chooseParent(repository, options);
  const excludes = [...(exclude?.patterns ?? []), ...(exclude?.patternsIgnoringCase ?? [])];
  return runBackup(
    repository,
    { ...options, excludes },
    {
      parent,
      exclusion,
      skipIfUnchanged,
      change: { ignoreInode, ignoreCtime: ignoreCtime || ignoreInode },
      store: ({ walk, reader, timeNs }) =>
        storeSource(walk, reader, { path: source, place, timeNs, parentTree: parent?.tree }),
    },
  );
}

function requireFolder(source: string): void {
  try {
    if (!statSync(source).isDirectory()) throw new Error('it is not a folder');
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path: source, reason: messageOf(error) }, { cause: error });
  }
}

/** The newest of those that are not younger than this backup; where all are, the newest of all still saves reading. */
async function chooseParent(repository: Repository, options: BackupOptions): Promise<StoredSnapshot | undefined> {
  if (options.parentId === null) return undefined;
  const snapshots = await listSnapshots(repository);
  if (options.parentId !== undefined) {
    const found = snapshots.find((snapshot) => snapshot.id === options.parentId);
    if (!found) throw new HoldfastError('BACKUP_NOT_FOUND', { name: options.parentId });
    return found;
  }
  const paths = options.paths.join('\0');
  const ofSame = snapshots.filter(
    (one) => !isInStorage(one) && one.hostname === options.host && one.paths.join('\0') === paths,
  );
  if (options.timeMs === undefined) return ofSame.at(-1);
  const ownNs = nsOf(options.timeMs);
  return ofSame.findLast((snapshot) => timeOf(snapshot) <= ownNs) ?? ofSame.at(-1);
}
