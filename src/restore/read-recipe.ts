/** Finds the recipe in a backup of a claim: `<path of the backup>/manifest.json`. */
import { parseRecipe, type Recipe, recipeFileName } from '../manifest/recipe.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';

/**
 * Null when the backup is not of a claim.
 * @throws HoldfastError RECIPE_UNREADABLE, and what reading the repository throws.
 */
export async function readRecipe(
  repository: Repository,
  snapshot: StoredSnapshot,
  index?: LoadedIndex,
): Promise<Recipe | null> {
  const reader = new BlobReader(repository, index ?? (await loadIndex(repository, 'read')));
  const [path, ...others] = snapshot.paths;
  if (path === undefined || others.length > 0) return null;
  let tree: string | undefined = snapshot.tree;
  for (const name of path.split('/').filter((part) => part !== '')) {
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
