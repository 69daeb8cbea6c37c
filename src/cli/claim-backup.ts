/**
 * `holdfast backup NAMESPACE/CLAIM…`: one run over the claims that were named.
 */
import { backupClaim } from '../backup/backup-claim.ts';
import { backupFinder } from '../backup/find-backup.ts';
import type { ClaimBackupResult, ClaimBackupRun } from '../backup/run.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { formatDuration, formatSize } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import { connect } from '../cluster/connect.ts';
import { type ClaimBackupOptionValues, parseClaim } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { withRepository } from './open-repository.ts';
import { formatCount, formatTime, type Output, shortId } from './output.ts';

export async function backUpClaims(
  claims: readonly string[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const wanted = claims.map(parseClaim);
  const { kubeconfig, kubeContext, passwordSource } = context.settings;
  const common = {
    ...moverSettings(options, context),
    repository: await repositoryAccess(options, context),
    snapshotClass: options.snapshotClass,
    clusterName: options.clusterName,
    clusterUid: options.clusterUid,
    keepOnFailure: options.keepOnFailure,
    run: `manual-${new Date()
      .toISOString()
      .replace(/[^0-9]/g, '')
      .slice(0, 14)}`,
    signal: context.signal,
  };
  const cluster = await connect({ kubeconfig, context: kubeContext });
  try {
    // Where this process has the password, it looks in the repository itself whether the backup is there.
    await (passwordSource.kind === 'none'
      ? backUpEach(cluster, wanted, common, context.output)
      : withRepository(context, (repository) =>
          backUpEach(cluster, wanted, { ...common, finder: backupFinder(repository) }, context.output),
        ));
  } finally {
    cluster.close();
  }
}

/** One after the other; a claim that fails does not keep the others from being backed up. Throws the first failure. */
async function backUpEach(
  cluster: Cluster,
  claims: readonly { readonly namespace: string; readonly name: string }[],
  common: Omit<ClaimBackupRun, 'namespace' | 'claim'>,
  output: Output,
): Promise<void> {
  const failures: HoldfastError[] = [];
  for (const { namespace, name } of claims) {
    common.signal?.throwIfAborted();
    try {
      const result = await backupClaim(cluster, {
        ...common,
        namespace,
        claim: name,
        onEvent: ({ claim, phase, message }) => output.note(`${claim}: ${phase}: ${message}`),
      });
      printResult(result, output);
      if (result.errorCount > 0) failures.push(incomplete(result));
    } catch (error) {
      if (!isHoldfastError(error) || common.signal?.aborted) throw error;
      failures.push(error);
    }
  }
  for (const failure of failures.slice(1))
    output.problem(`error: ${failure.message} ${failure.hint}`, failure.toJSON());
  if (failures[0] !== undefined) throw failures[0];
}

function incomplete({ backupId, errorCount }: ClaimBackupResult): HoldfastError {
  return new HoldfastError('BACKUP_INCOMPLETE', { backup: shortId(backupId), count: errorCount });
}

function printResult(result: ClaimBackupResult, output: Output): void {
  const { claim, backupId, counts, errors, errorCount, warnings, durationMs, snapshotCutTime } = result;
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
  output.line(`  cut     ${formatTime(snapshotCutTime)} by CSI snapshot (${result.snapshotClass})`);
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
