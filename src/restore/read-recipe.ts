/**
 * Finds the recipe of a backup of a claim: `<path of the backup>/manifest.json` in its tree, or in a record of its own
 * where Holdfast went on in the shape of another program.
 */
import { parseRecipe, type Recipe, recipeFileName } from '../manifest/recipe.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import { claimOf, ledgerPath, tagOf } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { listSnapshots } from '../repository/snapshots.ts';

/**
 * Null when the backup is not of a claim.
 * @throws HoldfastError RECIPE_UNREADABLE, and what reading the repository throws.
 */
export async function readRecipe(
  repository: Repository,
  snapshot: StoredSnapshot,
  index?: LoadedIndex,
): Promise<Recipe | null> {
  const found = await recipeFolderOf(repository, snapshot);
  if (found === undefined) return null;
  const reader = new BlobReader(repository, index ?? (await loadIndex(repository, 'read')));
  let tree: string | undefined = found.tree;
  for (const name of found.folders) {
    const nodes: Awaited<ReturnType<BlobReader['loadTree']>> = await reader.loadTree(tree);
    tree = nodes.find((node) => node.name.equals(Buffer.from(name)))?.subtree;
    if (tree === undefined) return null;
  }
  const file = (await reader.loadTree(tree)).find((node) => node.name.equals(Buffer.from(recipeFileName)));
  if (file?.type !== 'file') return null;
  const parts: Buffer[] = [];
  for (const id of file.content ?? []) parts.push(await reader.load('data', id));
  return parseRecipe(Buffer.concat(parts));
}

/** The tree, and in it the folder, where the recipe lies. A volume of another shape may hold a file of that name, which is none. */
async function recipeFolderOf(
  repository: Repository,
  snapshot: StoredSnapshot,
): Promise<{ readonly tree: string; readonly folders: readonly string[] } | undefined> {
  const layout = claimOf(snapshot)?.layout ?? 'holdfast';
  const [path, ...others] = snapshot.paths;
  if (layout === 'holdfast') {
    return path === undefined || others.length > 0
      ? undefined
      : { tree: snapshot.tree, folders: path.split('/').filter((name) => name !== '') };
  }
  const ids = [snapshot.id, snapshot.original];
  const records = (await listSnapshots(repository)).filter(({ paths }) => paths[0]?.startsWith(`${ledgerPath}recipe/`));
  const record = records.findLast((one) => ids.includes(tagOf(one, 'of')));
  return record && { tree: record.tree, folders: [] };
}
