/** Records the recipe of a backup whose shape has no place for it: a snapshot of its own beside it. */
import { recipeRecordPath } from '../repository/claim-layout.ts';
import type { Repository } from '../repository/repository.ts';
import { storeFiles } from './backup-place.ts';
import { type RunOptions, runBackup } from './backup-run.ts';

export interface RecipeRecord {
  readonly namespace: string;
  readonly claim: string;
  /** The backup that it is the recipe of. */
  readonly backupId: string;
  readonly fileName: string;
  readonly content: Buffer;
}

/** The id of the record. Throws what runBackup throws. */
export async function recordRecipe(
  repository: Repository,
  record: RecipeRecord,
  options: Pick<RunOptions, 'host' | 'timeMs' | 'signal' | 'confirmLock' | 'clock'>,
): Promise<string> {
  const labels = { paths: [recipeRecordPath(record)], tags: [`of=${record.backupId}`] };
  const { backupId } = await runBackup(
    repository,
    { ...options, ...labels, workers: 1 },
    {
      parent: undefined,
      store: ({ walk, timeNs }) => storeFiles(walk, [{ name: record.fileName, content: record.content }], timeNs),
    },
  );
  return backupId;
}
