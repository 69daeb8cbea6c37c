/**
 * `holdfast backup NAMESPACE/CLAIM…`: one run over the claims that were named.
 */
import type { BackupFacts, LastBackup } from '../backup/facts.ts';
import { backupFinder } from '../backup/find-backup.ts';
import { type ClaimName, gatherFacts, gatherLastBackups } from '../backup/gather-facts.ts';
import { type BackupPlan, planBackup } from '../backup/plan.ts';
import { type ClaimOutcome, type ClaimsRun, defaultLimits, runClaims } from '../backup/run-claims.ts';
import type { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { newRunId, randomPart } from '../cluster/labels.ts';
import type { Repository } from '../repository/repository.ts';
import { printBackupPlan } from './backup-plan-report.ts';
import { type ClaimBackupOptionValues, parseClaim } from './claim-options.ts';
import { incompleteBackup, printClaimBackup, throwFirst } from './claim-report.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, moverWishes, repositoryAccess } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';

export async function backUpClaims(
  claims: readonly string[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const named = new Map(claims.map((given) => [given, parseClaim(given)]));
  const wanted = [...named.values()];
  if (options.plan) {
    await showPlan(wanted, options, context);
    return;
  }
  const { output, signal } = context;
  const common = {
    ...moverSettings(options, context),
    ...moverWishes(options, context),
    repository: await repositoryAccess(options, context),
    ...{ method: options.method, snapshotClass: options.snapshotClass },
    ...{ clusterName: options.clusterName, clusterUid: options.clusterUid },
    layout: options.layout,
    keepOnFailure: options.keepOnFailure,
    run: newRunId(Date.now(), randomPart),
    onEvent: ({ claim, phase, message }) => output.note(`${claim}: ${phase}: ${message}`),
    signal,
  } satisfies ClaimsRun['common'];
  const outcomes = await withCluster(context, (cluster) =>
    // Where this process has the password, it looks in the repository itself whether the backup is there.
    withKnownRepository(context, async (repository) => {
      const { plan, facts } = await planNamed(cluster, wanted, options, context);
      return runClaims(cluster, plan, {
        // Somebody is there who can try again, and knows better whether that makes sense.
        limits: { claims: options.parallel ?? defaultLimits.claims, retries: 0 },
        common: {
          ...common,
          clusterFacts: facts.cluster,
          ...(repository === undefined ? {} : { finder: backupFinder(repository), writable: repository }),
        },
        onOutcome: (outcome) => {
          if ('result' in outcome) printClaimBackup(outcome.result, output);
          else output.note(`${outcome.claim}: failed: ${outcome.error.message}`);
        },
      });
    }),
  );
  throwFirst(failuresOf(outcomes), output);
}

/** A claim that was named and is left out is a failure: whoever named it counts on its backup. */
function failuresOf(outcomes: readonly ClaimOutcome[]): HoldfastError[] {
  const failed = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []));
  const incomplete = outcomes.flatMap((outcome) => (outcome.status === 'incomplete' ? [outcome.result] : []));
  return [...failed, ...incomplete.map(incompleteBackup)];
}

async function showPlan(
  wanted: readonly ClaimName[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const { plan } = await withCluster(context, (cluster) =>
    withKnownRepository(context, async (repository) => {
      const last = repository && (await gatherLastBackups(repository, await clusterUidOf(cluster, options.clusterUid)));
      return planNamed(cluster, wanted, options, context, last);
    }),
  );
  printBackupPlan(plan, context.output);
  if (plan.claims.some(({ status }) => status !== 'ready')) context.endWith(1);
}

async function planNamed(
  cluster: Cluster,
  claims: readonly ClaimName[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
  lastBackups?: ReadonlyMap<string, LastBackup>,
): Promise<{ plan: BackupPlan; facts: BackupFacts }> {
  const facts = await gatherFacts(cluster, { scope: { claims }, lastBackups, signal: context.signal });
  const { method, snapshotClass } = options;
  return { plan: planBackup(facts, { method, snapshotClass, ...moverWishes(options, context) }), facts };
}

/** undefined where this process was not given the password, which then only the movers have. */
export function withKnownRepository<T>(
  context: CommandContext,
  use: (repository: Repository | undefined) => Promise<T>,
): Promise<T> {
  return context.settings.passwordSource.kind === 'none' ? use(undefined) : withRepository(context, use);
}
