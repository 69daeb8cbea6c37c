/**
 * `holdfast backup NAMESPACE/CLAIM…`: one run over the claims that were named.
 */
import { backupClaim } from '../backup/backup-claim.ts';
import type { BackupFinder, ClaimBackupResult } from '../backup/run.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import { connect } from '../cluster/connect.ts';
import { listBackups } from '../repository/snapshots.ts';
import { type ClaimBackupOptionValues, parseClaim } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { describeBackup, tagValue } from './describe-backup.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { withRepository } from './open-repository.ts';
import { formatAmount, type Output, shortId } from './output.ts';

export async function backUpClaims(
  claims: readonly string[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const { settings, output, signal } = context;
  const wanted = claims.map(parseClaim);
  const run = `manual-${new Date()
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(0, 14)}`;
  const cluster = await connect({ kubeconfig: settings.kubeconfig, context: settings.kubeContext });
  try {
    const common = {
      ...moverSettings(options, context),
      repository: await repositoryAccess(options, context),
      snapshotClass: options.snapshotClass,
      clusterName: options.clusterName,
      clusterUid: options.clusterUid,
      keepOnFailure: options.keepOnFailure,
      run,
      signal,
      ...finderFor(context),
    };
    const failures: HoldfastError[] = [];
    for (const { namespace, name } of wanted) {
      signal.throwIfAborted();
      try {
        const result = await backupClaim(cluster, {
          ...common,
          namespace,
          claim: name,
          onEvent: ({ claim, phase, message }) => output.note(`${claim}: ${phase}: ${message}`),
        });
        const failure = report(result, output);
        if (failure !== undefined) failures.push(failure);
      } catch (error) {
        if (!isHoldfastError(error) || signal.aborted) throw error;
        failures.push(error);
      }
    }
    for (const failure of failures.slice(1))
      output.problem(`error: ${failure.message} ${failure.hint}`, failure.toJSON());
    if (failures[0] !== undefined) throw failures[0];
  } finally {
    cluster.close();
  }
}

/** Where this process has the password, it looks in the repository itself whether the backup is there. */
function finderFor(context: CommandContext): { readonly finder?: BackupFinder } {
  if (context.settings.passwordSource.kind === 'none') return {};
  return {
    finder: {
      find: (run, claimUid) =>
        withRepository(context, async (repository) => {
          const found = await listBackups(repository, { tags: [[`run=${run}`, `uid=${claimUid}`]] });
          const backup = found.at(-1);
          if (backup === undefined) return undefined;
          const state = tagValue(describeBackup(backup).tags, 'state') === 'incomplete' ? 'incomplete' : 'complete';
          return { backupId: backup.id, state };
        }),
    },
  };
}

/** Prints the result; the failure that an incomplete one is. */
function report(result: ClaimBackupResult, output: Output): HoldfastError | undefined {
  const { claim, backupId, counts, errors, errorCount, warnings, durationMs, snapshotCutTime } = result;
  for (const { path, message } of errors) {
    output.problem(`cannot read ${path}: ${message}`, { type: 'file-error', claim, path, message });
  }
  if (output.json) {
    output.value({
      type: 'summary',
      ...result,
      ...counts,
      errors: errorCount,
      counts: undefined,
      errorCount: undefined,
    });
  } else {
    output.line(`backup ${output.bold(shortId(backupId))} of ${claim}`);
    output.line(`  cut     ${snapshotCutTime} by CSI snapshot (${result.snapshotClass})`);
    output.line(`  files   ${filesOf(counts)}`);
    output.line(
      `  stored  ${formatSize(counts.bytesStored ?? 0)} for ${formatSize(counts.bytesAdded ?? 0)} of new content`,
    );
    output.line(`  took    ${formatDuration(durationMs)}`);
    for (const warning of warnings) output.problem(`warning: ${warning}`, {});
  }
  return errorCount === 0
    ? undefined
    : new HoldfastError('BACKUP_INCOMPLETE', { backup: shortId(backupId), count: errorCount });
}

function filesOf(counts: ClaimBackupResult['counts']): string {
  const { filesNew = 0, filesChanged = 0, filesUnmodified = 0, bytesProcessed = 0 } = counts;
  const total = filesNew + filesChanged + filesUnmodified;
  return `${formatAmount(total, 'file')}, ${formatSize(bytesProcessed)} (${filesNew} new, ${filesChanged} changed)`;
}
