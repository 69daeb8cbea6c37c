/**
 * Replaces index files: what they still say goes into new ones, which are there before the old ones go. A crash in
 * between leaves packs that are listed twice, which every reader takes.
 */

import type { Clock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { encodeIndex } from './format/index-file.ts';
import { scanIndex } from './index-scan.ts';
import { IndexWriter } from './index-writer.ts';
import { type Repository, saveFile } from './repository.ts';

export interface RewriteOptions {
  /** Packs that lose rustic's mark for removal; by default all marks stay. */
  readonly isUnmarked?: (packId: string) => boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** Index files below this are put together. */
const fullBlobs = 50_000;
const removalsAtOnce = 4;

/** Takes packs out of the index; how many index files were replaced. The new ones of this run are not in `names`. */
export async function dropFromIndex(
  repository: Repository,
  names: readonly string[],
  isDropped: (packId: string) => boolean,
  options: RewriteOptions,
): Promise<number> {
  const { isUnmarked = () => false, signal } = options;
  const { chosen, owners } = await chooseFiles(repository, names, { isDropped, isUnmarked }, signal);
  if (chosen.size === 0) return 0;
  const writer = new IndexWriter(repository, options.clock);
  const marked: unknown[] = [];
  const files = names.filter((name) => chosen.has(name));
  for await (const { name, packs, packsToDelete, rawPacksToDelete } of scanIndex(repository, files, signal)) {
    for (const pack of packs) {
      if (isDropped(pack.id) || owners.get(pack.id) !== name) continue;
      owners.delete(pack.id);
      await writer.add(pack);
    }
    marked.push(...rawPacksToDelete.filter((_, at) => !isUnmarked(packsToDelete[at]!.id)));
  }
  await writer.flush();
  if (marked.length > 0) await saveFile(repository, 'index', encodeIndex([], marked));
  await removeIndexFiles(repository, files, signal);
  return files.length;
}

export async function removeIndexFiles(
  repository: Repository,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await mapLimited(names, removalsAtOnce, async (name) => {
    signal?.throwIfAborted();
    await repository.store.remove('index', name);
  });
}

/**
 * The files that list a dropped pack, or mark one that is to lose its mark, or one that an earlier file lists too; and the small ones, where there are several.
 * `owners` says which file speaks for a pack.
 */
async function chooseFiles(
  repository: Repository,
  names: readonly string[],
  { isDropped, isUnmarked }: Required<Pick<RewriteOptions, 'isUnmarked'>> & { isDropped: (packId: string) => boolean },
  signal?: AbortSignal,
): Promise<{ chosen: Set<string>; owners: Map<string, string> }> {
  const chosen = new Set<string>();
  const small: string[] = [];
  const owners = new Map<string, string>();
  for await (const { name, packs, packsToDelete } of scanIndex(repository, names, signal)) {
    let blobs = 0;
    if (packsToDelete.some(({ id }) => isUnmarked(id))) chosen.add(name);
    for (const pack of packs) {
      blobs += pack.blobs.length;
      if (isDropped(pack.id) || owners.has(pack.id)) chosen.add(name);
      else owners.set(pack.id, name);
    }
    if (blobs < fullBlobs) small.push(name);
  }
  if (small.length > 1 || chosen.size > 0) for (const name of small) chosen.add(name);
  return { chosen, owners };
}
