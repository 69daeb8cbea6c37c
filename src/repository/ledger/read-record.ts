/** Reads what records say (store-record.ts). */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { BlobReader } from '../blob-reader.ts';
import { isDamage } from '../check-findings.ts';
import type { StoredSnapshot } from '../format/snapshot.ts';
import { type LoadedIndex, loadIndex } from '../load-index.ts';
import type { Repository } from '../repository.ts';

/** Reads the files of records; the index is loaded for the first one. */
export class RecordReader {
  readonly #repository: Repository;
  #index: LoadedIndex | undefined;
  #reader: BlobReader | undefined;

  constructor(repository: Repository, index?: LoadedIndex) {
    this.#repository = repository;
    this.#index = index;
  }

  /** The only file of a record. Throws LEDGER_UNREADABLE, and what the store throws. */
  async read({ id, tree }: StoredSnapshot): Promise<Buffer> {
    try {
      this.#index ??= await loadIndex(this.#repository, 'read');
      this.#reader ??= new BlobReader(this.#repository, this.#index);
      const [file] = await this.#reader.loadTree(tree);
      const parts: Buffer[] = [];
      for (const blob of file?.content ?? []) parts.push(await this.#reader.load('data', blob));
      return Buffer.concat(parts);
    } catch (error) {
      throw unreadable(id, error);
    }
  }
}

/** Damage and what is missing are the record's own; what is wrong with the store is not. */
function unreadable(id: string, error: unknown): unknown {
  if (!isDamage(error)) return error;
  return new HoldfastError('LEDGER_UNREADABLE', { record: id, reason: messageOf(error) }, { cause: error });
}
