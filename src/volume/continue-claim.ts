/**
 * In which shape the next backup of a claim is made: Holdfast's own, or that of K8up, VolSync or Velero where they made
 * the ones before, so that their grouping, their restores and the detection of changes go on (restic format,
 * "Layouts to adopt").
 */
import { HoldfastError } from '../base/errors.ts';
import type { Layout, LayoutChoice } from '../base/layouts.ts';
import {
  claimOf,
  isOwnTag,
  k8upRoot,
  type NamedSnapshot,
  tagOf,
  veleroHost,
  volsyncHost,
  volsyncPath,
} from '../repository/claim-layout.ts';
import type { Repository } from '../repository/repository.ts';
import { listBackups } from '../repository/snapshots.ts';
import type { BackupOptions } from './backup.ts';

export interface ClaimHistory {
  readonly namespace: string;
  readonly claim: string;
  /** Of the claim, where it is known: Velero's backups are found by it. */
  readonly uid?: string | undefined;
  /** Backups of other clusters are not this claim's. */
  readonly clusterUid?: string | undefined;
  /** `auto`: as the newest backup of the claim. */
  readonly layout: LayoutChoice;
}

/** What of a backup depends on the shape. `tags` come on top of those of the caller. */
export type ClaimShape = Pick<BackupOptions, 'host' | 'paths' | 'tags' | 'place' | 'exclude' | 'parentId'> & {
  readonly layout: Exclude<Layout, 'holdfast'>;
};

/**
 * Undefined for Holdfast's own shape. Throws BACKUP_NOT_FOUND where Velero's is asked for and there is none to go on
 * from, REPOSITORY_UNSUPPORTED where VolSync's is another claim's.
 */
export async function shapeOf(repository: Repository, history: ClaimHistory): Promise<ClaimShape | undefined> {
  if (history.layout === 'holdfast') return undefined;
  const all = await listBackups(repository);
  const backups = all.filter((backup) => isOfClaim(backup, history));
  const newest = backups.at(-1);
  const layout = history.layout === 'auto' ? newest && claimOf(newest)?.layout : history.layout;
  switch (layout) {
    case 'k8up':
      return k8upShape(history, backups);
    case 'volsync':
      return volsyncShape(repository, history, all);
    case 'velero':
      return veleroShape(history, backups);
    default:
      return undefined;
  }
}

function isOfClaim(backup: NamedSnapshot, { namespace, claim, uid, clusterUid }: ClaimHistory): boolean {
  const cluster = tagOf(backup, 'cluster-uid');
  if (clusterUid !== undefined && cluster !== undefined && cluster !== clusterUid) return false;
  const identity = claimOf(backup);
  if (uid !== undefined && identity?.uid === uid) return true;
  return identity?.namespace === namespace && identity.claim === claim;
}

function k8upShape({ namespace, claim }: ClaimHistory, backups: readonly NamedSnapshot[]): ClaimShape {
  const paths = [`${k8upRoot}/${claim}`];
  const place = { dirs: [k8upRoot.slice(1)], name: claim, files: [] };
  const last = backups.findLast((backup) => backup.hostname === namespace && backup.paths.join() === paths.join());
  return { layout: 'k8up', ...fixedParts('k8up', last), host: namespace, paths, place };
}

/** VolSync has a repository for each claim: its backups do not say which. */
function volsyncShape(repository: Repository, history: ClaimHistory, all: readonly NamedSnapshot[]): ClaimShape {
  const synced = all.filter((backup) => claimOf(backup)?.layout === 'volsync');
  const other = synced.find((backup) => claimOf(backup)?.claim !== undefined && !isOfClaim(backup, history));
  if (other) {
    const { namespace, claim } = claimOf(other) ?? {};
    const reason = `VolSync's shape is of one claim alone, and here it is that of ${namespace}/${claim}`;
    throw new HoldfastError('REPOSITORY_UNSUPPORTED', { url: repository.url, reason });
  }
  return {
    layout: 'volsync',
    ...fixedParts('volsync', synced.at(-1)),
    host: volsyncHost,
    paths: [volsyncPath],
    // At the root of a volume with an ext4 file system.
    exclude: { patterns: ['lost+found'] },
  };
}

/** Its paths are those of the pod that had the claim, and say nothing else. */
function veleroShape({ namespace, claim }: ClaimHistory, backups: readonly NamedSnapshot[]): ClaimShape {
  const last = backups.findLast((backup) => claimOf(backup)?.layout === 'velero');
  if (!last) throw new HoldfastError('BACKUP_NOT_FOUND', { name: `${namespace}/${claim}, made by Velero` });
  return { layout: 'velero', ...fixedParts('velero', last), host: veleroHost, paths: last.paths, parentId: last.id };
}

/** Which backup and which pod a backup of Velero's was of, a later one does not repeat. */
const passing = /^(backup|backup-uid|pod|pod-uid)=/;

function fixedParts(layout: Layout, last: NamedSnapshot | undefined): { readonly tags: readonly string[] } {
  const kept = (last?.tags ?? []).filter((tag) => !isOwnTag(tag) && !(layout === 'velero' && passing.test(tag)));
  return { tags: [`layout=${layout}`, ...kept] };
}
