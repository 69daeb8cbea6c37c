/** From what the user typed to a backup, and what is needed to read it. */
import { formatDuration } from '../base/units.ts';
import { BlobReader } from '../repository/blob-reader.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import { type LoadedIndex, loadIndex } from '../repository/load-index.ts';
import type { Repository } from '../repository/repository.ts';
import { findSnapshot, type SnapshotFilter } from '../repository/snapshots.ts';
import { describeBackup, isIncomplete, subjectOf } from './describe-backup.ts';
import { formatTime, type Output, shortId } from './output.ts';
import { shownText } from './shown-path.ts';

/** For the help of every argument that findSnapshot reads. */
export const backupArgumentHelp =
  'id of a backup or its beginning; latest or NAMESPACE/CLAIM for the newest; latest~2 for the second before it; ' +
  'latest@2026-11-01 or latest@2026-11-01T06:00 for the newest up to then';

/** A person is told what a name has turned out to be, and how old that is. */
export async function chooseBackup(
  repository: Repository,
  name: string,
  filter: SnapshotFilter,
  output: Output,
): Promise<StoredSnapshot> {
  const snapshot = await findSnapshot(repository, name, filter);
  if (output.stderr.isTTY) output.note(backupLine(snapshot));
  return snapshot;
}

/** `backup 1f2e3d4c of shop/data, 2026-11-22 19:30:05 +01:00 (3h12m ago)` */
export function backupLine(snapshot: StoredSnapshot, nowMs = Date.now()): string {
  const entry = describeBackup(snapshot);
  const state = isIncomplete(entry) ? ', incomplete' : '';
  const subject = shownText(subjectOf(entry));
  return `backup ${shortId(entry.id)} of ${subject}, ${formatTime(entry.time)} (${ageOf(snapshot, nowMs)})${state}`;
}

export function ageOf({ time }: StoredSnapshot, nowMs = Date.now()): string {
  const ageMs = nowMs - Date.parse(time);
  return ageMs < 0 ? `${formatDuration(-ageMs)} ahead of this clock` : `${formatDuration(ageMs)} ago`;
}

export interface BackupReading {
  readonly index: LoadedIndex;
  readonly reader: BlobReader;
}

export async function openReading(repository: Repository): Promise<BackupReading> {
  const index = await loadIndex(repository, 'read');
  return { index, reader: new BlobReader(repository, index) };
}
