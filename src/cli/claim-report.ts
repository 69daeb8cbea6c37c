/**
 * What is said of the backups of claims, one by one, whoever started them.
 */
import type { ClaimBackupResult } from '../backup/run.ts';
import { HoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import { formatCount, formatTime, type Output, shortId } from './output.ts';

/** What a backup ends with in which files are missing. */
export function incompleteBackup({ backupId, errorCount }: ClaimBackupResult): HoldfastError {
  return new HoldfastError('BACKUP_INCOMPLETE', { backup: shortId(backupId), count: errorCount });
}

/** A backup of a claim, as text or as one line of JSON. */
export function printClaimBackup(result: ClaimBackupResult, output: Output): void {
  const { claim, backupId, counts, errors, errorCount, warnings, durationMs, cutTime, snapshotClass } = result;
  for (const { path, message } of errors) {
    output.problem(`cannot read ${path}: ${message}`, { type: 'file-error', claim, path, message });
  }
  for (const warning of warnings) output.problem(`warning: ${warning}`, { type: 'warning', claim, message: warning });
  if (output.json) {
    const { counts: _, errorCount: __, ...facts } = result;
    output.value({ type: 'summary', ...facts, ...counts, errors: errorCount, durationMs });
    return;
  }
  output.line(`backup ${output.bold(shortId(backupId))} of ${claim}`);
  const by = snapshotClass === undefined ? 'copied while in use' : `by CSI snapshot (${snapshotClass})`;
  output.line(`  cut     ${formatTime(cutTime)} ${by}`);
  output.line(`  files   ${filesOf(counts)}`);
  output.line(
    `  stored  ${formatSize(counts.bytesStored ?? 0)} for ${formatSize(counts.bytesAdded ?? 0)} of new content`,
  );
  output.line(`  took    ${formatDuration(durationMs)}`);
}

function filesOf(counts: ClaimBackupResult['counts']): string {
  const { filesNew = 0, filesChanged = 0, filesUnmodified = 0, bytesProcessed = 0 } = counts;
  const parts = [`${formatCount(filesNew)} new`, `${formatCount(filesChanged)} changed`];
  return `${parts.join(', ')}, ${formatCount(filesUnmodified)} unmodified, ${formatSize(bytesProcessed)}`;
}

/** Ends a command that went on after failures: all are shown, and the first one decides how it ends. */
export function throwFirst([first, ...others]: readonly HoldfastError[], output: Output): void {
  for (const error of others) output.problem(`error: ${error.message}\nhint: ${error.hint}`, error.toJSON());
  if (first !== undefined) throw first;
}
