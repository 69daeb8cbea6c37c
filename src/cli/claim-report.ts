/**
 * What is said of the backups of claims, one by one, whoever started them.
 */
import type { LeftClaim } from '../backup/plan.ts';
import type { ClaimBackupResult } from '../backup/run.ts';
import type { ClaimOutcome } from '../backup/run-claims.ts';
import type { Shrunken } from '../backup/shrunken.ts';
import { HoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import type { GroupRecord } from '../manifest/recipe.ts';
import { ranHookWords } from './hook-words.ts';
import { formatAmount, formatCount, formatTime, type Output, shortId } from './output.ts';

/** What a backup ends with in which files are missing. */
export function incompleteBackup({ backupId, errorCount }: ClaimBackupResult): HoldfastError {
  return new HoldfastError('BACKUP_INCOMPLETE', { backup: shortId(backupId), count: errorCount });
}

/** A backup of a claim, as text or as one line of JSON. */
export function printClaimBackup(result: ClaimBackupResult, output: Output): void {
  const { claim, backupId, counts, errors, errorCount, warnings, durationMs, cutTime, snapshotClass, group } = result;
  const { hooks = [] } = result;
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
  const kind = group?.way === 'VolumeGroupSnapshot' ? 'group snapshot' : 'snapshot';
  const by = snapshotClass === undefined ? 'copied while in use' : `by CSI ${kind} (${snapshotClass})`;
  output.line(`  cut     ${formatTime(cutTime)} ${by}`);
  if (group !== undefined) output.line(`  group   ${groupOf(group)}`);
  for (const record of hooks) output.line(`  hook    ${ranHookWords(record)}`);
  for (const line of dataLines(result)) output.line(line);
  output.line(`  took    ${formatDuration(durationMs)}`);
}

function dataLines({ method, counts }: ClaimBackupResult): string[] {
  if (method === 'Snapshot') return ['  data    stays in the storage system; the repository has the recipe alone'];
  const { bytesStored = 0, bytesAdded = 0 } = counts;
  return [
    `  files   ${filesOf(counts)}`,
    `  stored  ${formatSize(bytesStored)} for ${formatSize(bytesAdded)} of new content`,
  ];
}

function groupOf({ name, members, way, skewMs, windowMs }: GroupRecord): string {
  const apart = `${skewMs} ms apart, within ${formatDuration(windowMs)}`;
  return `${name}: ${members} claims ${way === 'window' ? apart : 'at one instant'}`;
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

export function printOutcome(outcome: ClaimOutcome, output: Output): void {
  if ('result' in outcome) printClaimBackup(outcome.result, output);
  else if (outcome.status === 'skipped') output.note(`${outcome.claim}: skipped: ${outcome.error.message}`);
  else output.note(`${outcome.claim}: failed: ${outcome.error.message}`);
}

/** No claim is forgotten: those that nothing selects are named, and why. */
export function printUncovered(uncovered: readonly LeftClaim[], output: Output): void {
  for (const { claim, error } of uncovered) output.note(`${claim}: not covered: ${String(error.context.reason)}`);
}

/** Volumes that are suddenly empty or a tenth of what they were. */
export function printShrunken(shrunken: readonly Shrunken[], output: Output): void {
  for (const { claim, backupId, fromBytes, toBytes, earlier } of shrunken) {
    const sizes = `${claim} shrank from ${formatSize(fromBytes)} to ${formatSize(toBytes)}`;
    const held = `${formatAmount(earlier.length, 'earlier backup')} of it ${earlier.length === 1 ? 'is' : 'are'} held`;
    const message = `${sizes}: ${held}, until you run \`holdfast release ${claim}\``;
    const facts = { claim, backupId, fromBytes, toBytes, held: earlier };
    output.problem(`warning: ${message}`, { type: 'warning', code: 'VOLUME_SHRANK', message, ...facts });
  }
}
