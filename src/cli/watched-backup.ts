/** What all backups by hand have in common: options, progress, and the report at the end. */
import { hostname } from 'node:os';
import { HoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import { currentUser } from '../base/user.ts';
import type { Repository } from '../repository/repository.ts';
import { discardingStore } from '../store/discarding-store.ts';
import type { RunOptions } from '../volume/backup-run.ts';
import type { BackupProgress, BackupSummary } from '../volume/backup-summary.ts';
import { BackupThreads } from '../volume/backup-thread.ts';
import { type FolderOptionValues, orVariable, parseCompression, parsePackSize } from './backup-options.ts';
import type { CommandContext } from './command.ts';
import { withLockedRepository } from './open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from './output.ts';
import { createProgress } from './progress.ts';

export type BackupRequest = FolderOptionValues & { readonly plan: boolean };

/** Everything that a backup takes from the command line, whatever it is of. */
export function labelsFrom(
  { tag, host, time, packSize, compression, noExtraVerify }: BackupRequest,
  { settings }: CommandContext,
) {
  const { env } = settings;
  const packSizeBytes = orVariable(packSize, env, ['HOLDFAST_PACK_SIZE', 'RESTIC_PACK_SIZE'], parsePackSize);
  const compressed = orVariable(compression, env, ['HOLDFAST_COMPRESSION', 'RESTIC_COMPRESSION'], parseCompression);
  return {
    host: orVariable(host, env, ['HOLDFAST_HOST', 'RESTIC_HOST'], String) ?? hostname(),
    tags: tag.flatMap((list) => list.split(',')).filter((one) => one !== ''),
    username: currentUser().username,
    ...(time === undefined ? {} : { timeMs: time }),
    ...(packSizeBytes === undefined ? {} : { packSizeBytes }),
    ...(compressed === undefined ? {} : { compression: compressed }),
    verify: !noExtraVerify,
  };
}

type RunParts = Required<Pick<RunOptions, 'onProgress' | 'signal' | 'confirmLock' | 'threads'>>;

/** Runs a backup under a lock, with its progress shown; a plan reads everything and writes nothing but the lock. */
export async function runWatched(
  context: CommandContext,
  plan: boolean,
  run: (repository: Repository, parts: RunParts) => Promise<BackupSummary>,
): Promise<BackupSummary> {
  const progress = createProgress(context.output);
  const startMs = Date.now();
  const threads = new BackupThreads();
  threads.prepare();
  try {
    return await withLockedRepository(context, (repository, signal, lock) =>
      run(plan ? { ...repository, store: discardingStore(repository.store) } : repository, {
        onProgress: (now) => progress.update(() => progressLine(now, Date.now() - startMs)),
        signal,
        confirmLock: () => lock.confirm(),
        threads,
      }),
    );
  } finally {
    progress.clear();
    // Those that the backup did not come to use.
    await threads.close();
  }
}

/** Throws BACKUP_INCOMPLETE where something could not be read. */
export function reportBackup(what: string, summary: BackupSummary, plan: boolean, output: Output): void {
  for (const { path, message } of summary.errors) {
    output.problem(`cannot read ${path}: ${message}`, { type: 'file-error', path, message });
  }
  const { isSkipped, backupId, errors } = summary;
  if (output.json) {
    const type = plan ? 'plan' : 'summary';
    output.value({ type, ...summary, backupId: plan || isSkipped ? null : backupId, errors: errors.length });
  } else printSummary(what, summary, plan, output);
  if (errors.length > 0) {
    const backup = plan ? 'that is planned' : shortId(backupId);
    throw new HoldfastError('BACKUP_INCOMPLETE', { backup, count: errors.length });
  }
}

function progressLine({ files, bytes, errors }: BackupProgress, elapsedMs: number): string {
  const speed = `${formatSize(bytes / Math.max(elapsedMs / 1000, 0.1))}/s`;
  const parts = [formatAmount(files, 'file'), formatSize(bytes), speed, formatDuration(elapsedMs)];
  if (errors > 0) parts.push(formatAmount(errors, 'error'));
  return `backing up: ${parts.join(', ')}`;
}

function printSummary(what: string, summary: BackupSummary, plan: boolean, output: Output): void {
  const { filesNew, filesChanged, filesUnmodified, parentId } = summary;
  const id = output.bold(shortId(summary.backupId));
  if (summary.isSkipped) output.line(`${what} is as in backup ${id}: no backup was ${plan ? 'to be ' : ''}made`);
  else if (plan)
    output.line(
      `${output.bold('plan')}: a backup of ${what}, compared with ${parentId ? shortId(parentId) : 'nothing'}`,
    );
  else output.line(`backup ${id} of ${what}`);
  const counts = [`${formatCount(filesNew)} new`, `${formatCount(filesChanged)} changed`];
  output.line(`  files   ${counts.join(', ')}, ${formatCount(filesUnmodified)} unmodified`);
  output.line(`  size    ${formatSize(summary.bytesProcessed)}`);
  const stored = `${formatSize(summary.bytesStored)} for ${formatSize(summary.bytesAdded)} of new content`;
  output.line(`  ${plan ? 'to store' : 'stored '} ${stored}`);
  output.line(`  took    ${formatDuration(summary.durationMs)}`);
}
