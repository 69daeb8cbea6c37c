/** `holdfast restore BACKUP --dir PATH`: a backup comes back as files, or the plan of that is shown. */
import { HoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import { contentFolderOf, isInStorage, tagOf } from '../repository/claim-layout.ts';
import type { StoredSnapshot } from '../repository/format/snapshot.ts';
import type { Repository } from '../repository/repository.ts';
import { parseSnapshotName } from '../repository/snapshot-name.ts';
import type { SnapshotFilter } from '../repository/snapshots.ts';
import { restoreFolder } from '../volume/restore.ts';
import type { RestoreOptions, RestoreProgress, RestoreSummary } from '../volume/restore-options.ts';
import { chooseBackup } from './choose-backup.ts';
import type { CommandContext } from './command.ts';
import { type BackupEntry, describeBackup, isIncomplete, subjectOf } from './describe-backup.ts';
import { type FolderRestoreOptionValues, selectionRules, splitBackupPath } from './folder-restore-options.ts';
import { showRestorePlan } from './folder-restore-plan.ts';
import { withLockedRepository } from './open-repository.ts';
import { formatAmount, formatTime, type Output, shortId } from './output.ts';
import { createProgress, formatBar } from './progress.ts';

export interface FolderRestoreRequest {
  /** As typed, with the folder of the backup behind it. */
  readonly name: string;
  readonly filter: SnapshotFilter;
  readonly target: string;
  readonly plan: boolean;
  readonly options: FolderRestoreOptionValues;
}

export async function restoreIntoFolder(request: FolderRestoreRequest, context: CommandContext): Promise<void> {
  const { output, settings } = context;
  const { target, options } = request;
  const select = await selectionRules(options, settings.env);
  const progress = createProgress(output);
  const done = await withLockedRepository(context, async (repository, signal) => {
    const { snapshot, subfolder } = await choose(repository, request, output);
    const { overwrite, delete: isToDelete, verify } = options;
    const wanted = { snapshot, subfolder, select, target, delete: isToDelete, ...(overwrite && { overwrite }), signal };
    if (request.plan) {
      await showRestorePlan(repository, wanted, output);
      return undefined;
    }
    const entry = describeBackup(snapshot);
    const onProgress = (now: RestoreProgress) => progress.update(() => progressLine(now, entry));
    const wishes: RestoreOptions = { ...wanted, verify, env: settings.env, onProgress };
    return { entry, summary: await restoreFolder(repository, wishes) };
  }).finally(progress.clear);
  if (!done) return;
  report(done.entry, request, done.summary, output);
  const count = incompleteEntries(done.summary);
  if (count > 0) throw new HoldfastError('RESTORE_INCOMPLETE', { target, count });
}

async function choose(repository: Repository, { name, filter }: FolderRestoreRequest, output: Output) {
  const { backup, folder } = splitBackupPath(name);
  const snapshot = await chooseBackup(repository, backup, filter, output);
  if (folder === undefined && isInStorage(snapshot)) {
    const reason = 'the repository has its recipe alone, so there are no files for a folder';
    throw new HoldfastError('KEPT_SNAPSHOT_UNUSABLE', { reason, fix: 'Restore it into a claim: leave out --dir.' });
  }
  if (isIncomplete(describeBackup(snapshot)))
    output.note('This backup is incomplete: some files could not be read when it was made.');
  return { snapshot, subfolder: folder ?? dataFolderOf(backup, snapshot) };
}

/**
 * Of a claim only the files go into the folder, not what is around them. A backup that only looks like one of K8up's is
 * restored whole, as restic does, unless it was asked for by the name of a claim.
 */
function dataFolderOf(name: string, snapshot: StoredSnapshot): string {
  const meaning = parseSnapshotName(name);
  const isClaim = tagOf(snapshot, 'claim') !== undefined || (meaning?.kind === 'newest' && meaning.claim !== undefined);
  return isClaim ? contentFolderOf(snapshot) : '';
}

/** Entries that are not there as they were: what failed, and attributes that could not be set. */
function incompleteEntries({ errors, warnings }: RestoreSummary): number {
  return errors.length + warnings.reduce((sum, { count }) => sum + count, 0);
}

function progressLine({ files, bytes, errors }: RestoreProgress, { sizeBytes = 0 }: BackupEntry): string {
  const size =
    sizeBytes > 0
      ? `${formatBar(bytes, sizeBytes)}  ${formatSize(bytes)} of ${formatSize(sizeBytes)}`
      : formatSize(bytes);
  const failed = errors > 0 ? `, ${formatAmount(errors, 'error')}` : '';
  return `restoring ${size}, ${formatAmount(files, 'file')}${failed}`;
}

function report(backup: BackupEntry, request: FolderRestoreRequest, summary: RestoreSummary, output: Output): void {
  const { target, options } = request;
  for (const { path, message } of summary.errors) {
    output.problem(`cannot restore ${path}: ${message}`, { type: 'file-error', path, message });
  }
  for (const { message, firstPath, count } of summary.warnings) {
    const others = count > 1 ? ` (and ${formatAmount(count - 1, 'other')})` : '';
    output.problem(`warning: ${message}: ${firstPath}${others}`, { type: 'warning', message, path: firstPath, count });
  }
  if (output.json) {
    const { verify } = options;
    output.value({
      type: 'summary',
      backupId: backup.id,
      target,
      ...summary,
      errors: summary.errors.length,
      verified: verify,
    });
    return;
  }
  const { filesUnchanged, bytes, bytesUnchanged, leftAlone, deleted, durationMs } = summary;
  output.line(`restored backup ${output.bold(shortId(backup.id))} of ${subjectOf(backup)}`);
  output.line(`  made    ${formatTime(backup.time)}`);
  output.line(`  into    ${target}`);
  output.line(`  content ${contentLine(summary)}, ${formatSize(bytes)}`);
  if (filesUnchanged > 0 || bytesUnchanged > 0)
    output.line(
      `  kept    ${formatAmount(filesUnchanged, 'file')}, ${formatSize(bytesUnchanged)} that were right already`,
    );
  if (leftAlone > 0)
    output.line(
      `  left    ${formatAmount(leftAlone, 'entry', 'entries')} as they are (--overwrite ${options.overwrite})`,
    );
  if (deleted > 0) output.line(`  deleted ${formatAmount(deleted, 'entry', 'entries')} that the backup does not have`);
  if (options.verify && summary.errors.length === 0) output.line('  checked all content, read back from the disk');
  output.line(`  took    ${formatDuration(durationMs)}`);
}

function contentLine({ files, folders, others, skipped }: RestoreSummary): string {
  const kinds = [formatAmount(files, 'file'), formatAmount(folders, 'folder')];
  if (others > 0) kinds.push(formatAmount(others, 'link or device', 'links and devices'));
  if (skipped > 0) kinds.push(`${formatAmount(skipped, 'socket')} left out`);
  return kinds.join(', ');
}
