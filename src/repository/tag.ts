/** Other tags for snapshots: a new snapshot with the id of the first one as its original, and then without the old. */
import type { Snapshot, StoredSnapshot } from './format/snapshot.ts';
import { requireReplaceable, SnapshotSaver } from './replace-snapshot.ts';
import type { Repository } from './repository.ts';
import { listSnapshots } from './snapshots.ts';

export interface TagChange {
  /** In place of all tags; an empty list for none. */
  readonly set?: readonly string[];
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

export interface Retagged {
  readonly from: string;
  readonly to: string;
  readonly tags: readonly string[];
}

/** The tags after a change, in their order, each once; undefined where nothing changes. */
export function changeTags(tags: readonly string[], { set, add = [], remove = [] }: TagChange): string[] | undefined {
  const kept = (set ?? tags).filter((tag) => set !== undefined || !remove.includes(tag));
  const changed = [...new Set([...kept, ...add])];
  return changed.join('\0') === tags.join('\0') ? undefined : changed;
}

/** What a change would do, without ids of what it would write. */
export function planTags(snapshots: readonly StoredSnapshot[], change: TagChange): { id: string; tags: string[] }[] {
  return snapshots.flatMap(({ id, tags = [] }) => {
    const changed = changeTags(tags, change);
    return changed ? [{ id, tags: changed }] : [];
  });
}

/**
 * Changes the tags of these snapshots, those where nothing changes excepted. The caller holds an exclusive lock.
 * Run again after it was killed, it does not make a second copy.
 */
export async function retag(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  change: TagChange,
  signal?: AbortSignal,
): Promise<Retagged[]> {
  requireReplaceable(repository);
  const saver = new SnapshotSaver(repository, await listSnapshots(repository));
  const changed: Retagged[] = [];
  for (const { id, ...snapshot } of snapshots) {
    const tags = changeTags(snapshot.tags ?? [], change);
    if (!tags) continue;
    signal?.throwIfAborted();
    const next: Snapshot = { ...snapshot, tags, original: snapshot.original ?? id };
    const to = await saver.save(next);
    await repository.store.remove('snapshots', id);
    changed.push({ from: id, to, tags });
  }
  return changed;
}
