/**
 * `holdfast backup NAMESPACE/CLAIM…`: one run over the claims that were named.
 */
import { backupClaim } from '../backup/backup-claim.ts';
import { backupFinder } from '../backup/find-backup.ts';
import type { ClaimBackupRun } from '../backup/run.ts';
import { type HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { newRunId, randomPart } from '../cluster/labels.ts';
import { type ClaimBackupOptionValues, parseClaim } from './claim-options.ts';
import { incompleteBackup, printClaimBackup, throwFirst } from './claim-report.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import type { Output } from './output.ts';

export async function backUpClaims(
  claims: readonly string[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const wanted = claims.map(parseClaim);
  const common = {
    ...moverSettings(options, context),
    repository: await repositoryAccess(options, context),
    snapshotClass: options.snapshotClass,
    clusterName: options.clusterName,
    clusterUid: options.clusterUid,
    layout: options.layout,
    keepOnFailure: options.keepOnFailure,
    run: newRunId(Date.now(), randomPart),
    signal: context.signal,
  };
  await withCluster(context, (cluster) =>
    // Where this process has the password, it looks in the repository itself whether the backup is there.
    context.settings.passwordSource.kind === 'none'
      ? backUpEach(cluster, wanted, common, context.output)
      : withRepository(context, (repository) =>
          backUpEach(cluster, wanted, { ...common, finder: backupFinder(repository) }, context.output),
        ),
  );
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
      printClaimBackup(result, output);
      if (result.errorCount > 0) failures.push(incompleteBackup(result));
    } catch (error) {
      if (!isHoldfastError(error) || common.signal?.aborted) throw error;
      failures.push(error);
    }
  }
  throwFirst(failures, output);
}
