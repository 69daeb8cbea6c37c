import { resolve } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { formatDuration, formatSize } from '../../base/units.ts';
import { contentFolderOf, tagOf } from '../../repository/claim-layout.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import { parseSnapshotName } from '../../repository/snapshot-name.ts';
import type { SnapshotFilter } from '../../repository/snapshots.ts';
import { type RestoreProgress, type RestoreSummary, restoreFolder } from '../../volume/restore.ts';
import { backupArgumentHelp, chooseBackup } from '../choose-backup.ts';
import { claimRestoreOptions } from '../claim-options.ts';
import { type CommandContext, defineCommand, flag, longName, type OptionValues, text } from '../command.ts';
import { type BackupEntry, describeBackup, isIncomplete, subjectOf } from '../describe-backup.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatTime, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  dir: text('--dir <path>', 'restore into this folder, which is made if needed, instead of a claim'),
  overwrite: flag('--overwrite', 'with --dir: the folder may have content; files of the same name are replaced'),
  ...claimRestoreOptions,
  ...filterOptions,
};

interface FolderRequest {
  readonly name: string;
  readonly filter: SnapshotFilter;
  readonly target: string;
  readonly overwrite: boolean;
}

export const restoreCommand = defineCommand({
  description:
    'A backup of a claim comes back as a claim with its volume: in its zone, with its size, class and reclaim policy, ' +
    'unless told otherwise. With --dir any backup comes back as files, with owners, modes, times and links.',
  arguments: [{ name: '<backup>', help: backupArgumentHelp }],
  options,
  examples: [
    ['holdfast restore 1f2e3d4c --plan', 'what would be made, where and why'],
    ['holdfast restore 1f2e3d4c --to staging/data --zone eu-1b', 'a claim under another name, in another zone'],
    ['holdfast restore shop/data@2026-11-01', 'a claim as it was at the end of that day'],
    ['holdfast restore latest --dir /tmp/shop', 'the newest backup, into a new folder'],
    ['holdfast restore 1f2e3d4c --dir /var/lib/shop --overwrite', 'a certain one, over what is there'],
    ['holdfast restore latest --path /var/lib/shop --dir /tmp/shop', 'the newest backup of a certain folder'],
  ],
  exitCodes: [10, 11, 12],
  run: async (given, [name = ''], context) => {
    const filter = filterFrom(given);
    if (given.dir === undefined && given.abandon) {
      const { abandonClaimRestore } = await import('../abandon-restore.ts');
      await abandonClaimRestore({ name, filter, options: given }, context);
      return;
    }
    if (given.dir === undefined) {
      const { restoreToClaim } = await import('../claim-restore.ts');
      await restoreToClaim({ name, filter, options: given }, context);
      return;
    }
    refuseClaimOptions(given);
    await restoreIntoFolder({ name, target: resolve(given.dir), overwrite: given.overwrite, filter }, context);
  },
});

/** `--dir` with an option that only a claim has would leave a wish unheard. */
function refuseClaimOptions(given: OptionValues<typeof options>): void {
  const unheard = ['to', 'zone', 'storageClass', 'size', 'createNamespace', 'plan', 'abandon'] as const;
  const first = unheard.find((name) => given[name] !== undefined && given[name] !== false);
  if (first === undefined) return;
  throw new HoldfastError('USAGE', { problem: `${longName(options[first].flags)} is for claims, not for --dir` });
}

async function restoreIntoFolder(request: FolderRequest, context: CommandContext): Promise<void> {
  const { output, settings } = context;
  const { target, overwrite } = request;
  const progress = createProgress(output);
  const { backup, summary } = await withLockedRepository(context, async (repository, signal) => {
    const snapshot = await chooseBackup(repository, request.name, request.filter, output);
    const entry = describeBackup(snapshot);
    if (isIncomplete(entry)) output.note('This backup is incomplete: some files could not be read when it was made.');
    const restored = await restoreFolder(repository, {
      snapshot,
      subfolder: dataFolderOf(request.name, snapshot),
      target,
      overwrite,
      env: settings.env,
      onProgress: (now) => progress.update(() => progressLine(now, entry)),
      signal,
    });
    return { backup: entry, summary: restored };
  }).finally(progress.clear);
  report(backup, target, summary, output);
  if (summary.errors.length > 0) {
    throw new HoldfastError('RESTORE_INCOMPLETE', { target, count: summary.errors.length });
  }
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

function progressLine({ files, bytes, errors }: RestoreProgress, { sizeBytes = 0 }: BackupEntry): string {
  const size =
    sizeBytes > 0
      ? `${formatBar(bytes, sizeBytes)}  ${formatSize(bytes)} of ${formatSize(sizeBytes)}`
      : formatSize(bytes);
  const failed = errors > 0 ? `, ${formatAmount(errors, 'error')}` : '';
  return `restoring ${size}, ${formatAmount(files, 'file')}${failed}`;
}

function report(backup: BackupEntry, target: string, summary: RestoreSummary, output: Output): void {
  for (const { path, message } of summary.errors) {
    output.problem(`cannot restore ${path}: ${message}`, { type: 'file-error', path, message });
  }
  for (const { message, firstPath, count } of summary.warnings) {
    const others = count > 1 ? ` (and ${formatAmount(count - 1, 'other')})` : '';
    output.problem(`warning: ${message}: ${firstPath}${others}`, { type: 'warning', message, path: firstPath, count });
  }
  if (output.json) {
    output.value({ type: 'summary', backupId: backup.id, target, ...summary, errors: summary.errors.length });
    return;
  }
  const { files, folders, others, skipped, bytes, durationMs } = summary;
  const kinds = [formatAmount(files, 'file'), formatAmount(folders, 'folder')];
  if (others > 0) kinds.push(formatAmount(others, 'link or device', 'links and devices'));
  if (skipped > 0) kinds.push(`${formatAmount(skipped, 'socket')} left out`);
  output.line(`restored backup ${output.bold(shortId(backup.id))} of ${subjectOf(backup)}`);
  output.line(`  made    ${formatTime(backup.time)}`);
  output.line(`  into    ${target}`);
  output.line(`  content ${kinds.join(', ')}, ${formatSize(bytes)}`);
  output.line(`  took    ${formatDuration(durationMs)}`);
}
