/** Adds a record to the ledger. */
import { systemClock } from '../../base/clock.ts';
import type { Repository } from '../repository.ts';
import { encodeRecord, type RecordContent, recordFileName } from './documents.ts';
import { recordPath } from './record-folders.ts';
import { type StoreOptions, storeRecord } from './store-record.ts';

/** The id of the record. The caller holds a lock. `host` as that of the backups that it is about. */
export async function writeRecord(
  repository: Repository,
  content: RecordContent,
  { host, tags = [], ...options }: StoreOptions & { readonly host: string; readonly tags?: readonly string[] },
): Promise<string> {
  const { clock = systemClock } = options;
  const nowMs = clock.nowMs();
  const path = recordPath(content.kind);
  const file = { path, tags, host, fileName: recordFileName, content: encodeRecord(content, nowMs) };
  return storeRecord(repository, file, { timeMs: nowMs, ...options });
}
