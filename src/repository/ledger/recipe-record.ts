/** Records the recipe of a backup whose shape has no place for it, such as K8up's. */
import { recipeRecordPath } from '../claim-layout.ts';
import type { Repository } from '../repository.ts';
import { type StoreOptions, storeRecord } from './store-record.ts';

export interface RecipeRecord {
  readonly namespace: string;
  readonly claim: string;
  /** The backup that it is the recipe of. */
  readonly backupId: string;
  readonly host: string;
  readonly fileName: string;
  readonly content: Buffer;
}

/** The id of the record. */
export function recordRecipe(repository: Repository, record: RecipeRecord, options?: StoreOptions): Promise<string> {
  const labels = { path: recipeRecordPath(record), tags: [`of=${record.backupId}`] };
  return storeRecord(repository, { ...record, ...labels }, options);
}
