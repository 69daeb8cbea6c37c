import { realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { formatDuration, formatSize } from '../../base/units.ts';
import { currentUser } from '../../base/user.ts';
import { type BackupProgress, type BackupSummary, backupFolder } from '../../volume/backup.ts';
import type { ExcludeRules } from '../../volume/exclude.ts';
import { claimBackupOptions, policyOptions } from '../claim-options.ts';
import { type CommandContext, defineCommand, text, texts } from '../command.ts';
import { excludeOptions, excludeRules, refuseExclusions } from '../exclude-options.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress } from '../progress.ts';

const options = {
  dir: text('--dir <path>', 'back up this folder, instead of claims'),
  tag: texts('--tag <tag[,tag…]>', 'with --dir: tag of the backup'),
  host: text('--host <name>', 'with --dir: host that the backup is of (default: the name of this machine)'),
  ...excludeOptions,
  ...policyOptions,
  ...claimBackupOptions,
};

interface FolderRequest {
  readonly dir: string;
  readonly tags: readonly string[];
  readonly host: string;
  readonly exclude: ExcludeRules;
}

export const backupCommand = defineCommand({
  description:
    'A claim is cut by a CSI snapshot while its pods go on, and moved by a Job in its namespace. ' +
    'Only what is new or changed since the last backup of the same claim or folder is stored.',
  arguments: [{ name: '[claims...]', help: 'claims to back up, as NAMESPACE/CLAIM' }],
  options,
  examples: [
    ['holdfast backup shop/data --repository-secret holdfast', 'a claim'],
    ['holdfast backup --policy nightly.yaml', 'every claim that a policy selects, then its retention'],
    ['holdfast backup --dir /var/lib/shop', 'a folder'],
    ['holdfast backup --dir ~/photos --tag holiday --tag 2026', 'with tags'],
    [
      "holdfast backup --dir ~ --exclude '*.tmp' --exclude /home/*/.cache --exclude-caches",
      'without what is not needed',
    ],
    ['holdfast backup --dir . --json | tail -n 1', 'the summary, for a script'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, claims, context) => {
    const { dir, tag, host = hostname(), policy, policyName } = given;
    const ways = [claims.length > 0, dir !== undefined, policy !== undefined].filter((is) => is);
    if (ways.length !== 1) {
      const problem = ways.length === 0 ? 'Nothing to back up was named: give one of' : 'Give only one of';
      throw new HoldfastError('USAGE', { problem: `${problem} NAMESPACE/CLAIM, --policy FILE and --dir PATH` });
    }
    if (dir === undefined) refuseExclusions(given);
    if (policy !== undefined) {
      const { backUpByPolicy, readPolicy } = await import('../policy-run.ts');
      await backUpByPolicy(await readPolicy(policy, policyName), given, context);
      return;
    }
    if (dir === undefined) {
      const { backUpClaims } = await import('../claim-backup.ts');
      await backUpClaims(claims, given, context);
      return;
    }
    const tags = tag.flatMap((list) => list.split(',')).filter((one) => one !== '');
    const exclude = await excludeRules(given, context.settings.env);
    await backUpFolder({ dir, host, tags, exclude }, context);
  },
});

async function backUpFolder({ dir, tags, host, exclude }: FolderRequest, context: CommandContext): Promise<void> {
  const path = resolve(dir);
  const source = await realFolder(path);
  const { output } = context;
  const progress = createProgress(output);
  const startMs = Date.now();
  const summary = await withLockedRepository(context, (repository, signal, lock) =>
    backupFolder(repository, {
      source,
      host,
      tags,
      paths: [path],
      exclude,
      username: currentUser().username,
      onProgress: (now) => progress.update(() => progressLine(now, Date.now() - startMs)),
      signal,
      confirmLock: () => lock.confirm(),
    }),
  ).finally(progress.clear);
  for (const { path: file, message } of summary.errors) {
    output.problem(`cannot read ${file}: ${message}`, { type: 'file-error', path: file, message });
  }
  if (output.json) output.value({ type: 'summary', ...summary, errors: summary.errors.length });
  else printSummary(path, summary, output);
  if (summary.errors.length > 0) {
    throw new HoldfastError('BACKUP_INCOMPLETE', { backup: shortId(summary.backupId), count: summary.errors.length });
  }
}

/** A link to a folder is followed, as in restic; the backup is named as it was asked for. */
async function realFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path, reason: messageOf(error) }, { cause: error });
  }
}

function progressLine({ files, bytes, errors }: BackupProgress, elapsedMs: number): string {
  const speed = `${formatSize(bytes / Math.max(elapsedMs / 1000, 0.1))}/s`;
  const parts = [formatAmount(files, 'file'), formatSize(bytes), speed, formatDuration(elapsedMs)];
  if (errors > 0) parts.push(formatAmount(errors, 'error'));
  return `backing up: ${parts.join(', ')}`;
}

function printSummary(path: string, summary: BackupSummary, output: Output): void {
  const { filesNew, filesChanged, filesUnmodified } = summary;
  const counts = [`${formatCount(filesNew)} new`, `${formatCount(filesChanged)} changed`];
  output.line(`backup ${output.bold(shortId(summary.backupId))} of ${path}`);
  output.line(`  files   ${counts.join(', ')}, ${formatCount(filesUnmodified)} unmodified`);
  output.line(`  size    ${formatSize(summary.bytesProcessed)}`);
  output.line(`  stored  ${formatSize(summary.bytesStored)} for ${formatSize(summary.bytesAdded)} of new content`);
  output.line(`  took    ${formatDuration(summary.durationMs)}`);
}
