/** What is in the target and not in the backup: found while the trees are walked, removed after everything else is done. */
import { type BigIntStats, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { codeOf, messageOf } from '../base/errors.ts';
import { joinBelow, type OpenFolders, withoutHandles } from './open-folders.ts';
import { statIfThere } from './restore-existing.ts';
import type { Selection } from './restore-selection.ts';
import { isOfTarget, isTargetLost } from './restore-target.ts';

export interface DeleteContext {
  readonly folders: OpenFolders;
  readonly selection: Selection;
  /** Of the target's file system: what is mounted below it is not touched. */
  readonly device: bigint;
  /** `path` is latin1, below the target. */
  readonly onError: (path: string, message: string) => void;
}

export interface Surplus {
  /** Below the target, latin1. */
  readonly path: string;
  readonly isFolder: boolean;
}

/**
 * Entries of the folder that are not among `names`, with all that is in them and is selected: what is in a folder comes
 * before it, a folder that keeps something stays. None where the folder is not there.
 */
export function* surplusOf(
  context: DeleteContext,
  folder: string,
  names: ReadonlySet<string>,
): Generator<Surplus, void> {
  for (const name of namesIn(context, folder)) {
    if (names.has(name) || (folder === '' && isOfTarget(name))) continue;
    yield* surplusBelow(context, folder, name);
  }
}

/** One entry with all that is in it, likewise. Not recursive, since folders may lie deeper than a stack allows. */
export function* surplusBelow(context: DeleteContext, folder: string, name: string): Generator<Surplus, void> {
  const levels = [{ folder, names: [name], next: 0, keeps: false }];
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const current = level.names[level.next];
    const above = levels.at(-2);
    if (current === undefined) {
      levels.pop();
      if (!above) return;
      const left = above.names[above.next - 1]!;
      yield* entryOf(context, above, left, level.keeps);
      above.keeps ||= level.keeps || !isSelected(context, above.folder, left);
      continue;
    }
    level.next += 1;
    const stat = statOf(context, level.folder, current);
    if (!stat) continue;
    const path = joinBelow(level.folder, Buffer.from(current, 'latin1'));
    if (stat.isDirectory() && stat.dev !== context.device) {
      context.onError(path, 'it is not deleted: another file system is mounted there');
      level.keeps = true;
    } else if (stat.isDirectory()) levels.push({ folder: path, names: namesIn(context, path), next: 0, keeps: false });
    else if (isSelected(context, level.folder, current)) yield { path, isFolder: false };
    else level.keeps = true;
  }
}

/** Removes it; tells where that fails. Whether it is gone. */
export function removeSurplus({ folders, onError }: DeleteContext, { path, isFolder }: Surplus): boolean {
  const slash = path.lastIndexOf('/');
  try {
    folders.forget(path);
    const entry = folders.entry(path.slice(0, Math.max(slash, 0)), Buffer.from(path.slice(slash + 1), 'latin1'));
    if (isFolder) rmdirSync(entry);
    else unlinkSync(entry);
    return true;
  } catch (error) {
    if (isTargetLost(error)) throw error;
    if (codeOf(error) === 'ENOENT') return true;
    onError(path, `it is not deleted: ${withoutHandles(messageOf(error))}`);
    return false;
  }
}

interface Level {
  readonly folder: string;
}

function* entryOf(context: DeleteContext, { folder }: Level, name: string, keeps: boolean): Generator<Surplus, void> {
  if (keeps || !isSelected(context, folder, name)) return;
  yield { path: joinBelow(folder, Buffer.from(name, 'latin1')), isFolder: true };
}

function isSelected({ selection }: DeleteContext, folder: string, name: string): boolean {
  return selection.of(joinBelow(folder, Buffer.from(name, 'latin1'))).isSelected;
}

function statOf({ folders }: DeleteContext, folder: string, name: string): BigIntStats | undefined {
  return statIfThere(folders.entry(folder, Buffer.from(name, 'latin1')));
}

function namesIn({ folders, onError }: DeleteContext, folder: string): string[] {
  try {
    return readdirSync(folders.itself(folder), { encoding: 'latin1' });
  } catch (error) {
    if (isTargetLost(error)) throw error;
    const isNone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(error) ?? '');
    if (!isNone) onError(folder, `what is in it is not deleted: ${withoutHandles(messageOf(error))}`);
    return [];
  }
}
