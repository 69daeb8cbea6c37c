/**
 * `holdfast backup --policy FILE` and `holdfast forget --policy FILE`: what a CronJob runs, and what its retention does.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { clusterNameOf, lastBackupsOf, readHistory, refuseTakenName } from '../backup/history.ts';
import { planPolicyRetention } from '../backup/policy-retention.ts';
import type { Retry } from '../backup/retry.ts';
import { type PolicyResult, planPolicy, runPolicy } from '../backup/run-policy.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { newRunId, randomPart } from '../cluster/labels.ts';
import { findPolicy, type PolicyWithRepository, parsePolicyFile } from '../policy/policy-file.ts';
import type { ForgetPlan } from '../repository/forget.ts';
import type { Repository } from '../repository/repository.ts';
import { printBackupPlan } from './backup-plan-report.ts';
import { withKnownRepository } from './claim-backup.ts';
import type { ClaimBackupOptionValues } from './claim-options.ts';
import { incompleteBackup, printOutcome, printShrunken, printUncovered, throwFirst } from './claim-report.ts';
import type { CommandContext } from './command.ts';
import { keptIfReachable } from './kept-backups.ts';
import { moverSettings, moverWishes } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import { formatAmount, type Output } from './output.ts';

/** The policy of that name in the file, or its only one. */
export async function readPolicy(path: string, name: string | undefined): Promise<PolicyWithRepository> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new HoldfastError('SOURCE_UNREADABLE', { path, reason: messageOf(error) }, { cause: error });
  }
  return findPolicy(parsePolicyFile(text, path), name, path);
}

/** The repository is the policy's own, whatever the environment names. */
export function contextOf({ repository }: PolicyWithRepository, context: CommandContext): CommandContext {
  return { ...context, settings: { ...context.settings, repository: repository.spec.url } };
}

export async function backUpByPolicy(
  choice: PolicyWithRepository,
  options: ClaimBackupOptionValues,
  context: CommandContext,
  retry?: Retry,
): Promise<void> {
  if (options.plan) {
    await showPlan(choice, options, context, retry);
    return;
  }
  const { output, signal } = context;
  const { policy, repository: document } = choice;
  const settings = moverSettings(options, context, policy);
  const result = await withCluster(context, (cluster) =>
    withRepository(contextOf(choice, context), async (repository) =>
      runPolicy(cluster, repository, {
        policy,
        access: { url: document.spec.url, secretName: document.spec.secretName },
        settings,
        movers: moverWishes(options, context, policy),
        clusterUid: await clusterUidOf(cluster, options.clusterUid),
        clusterName: options.clusterName,
        ...{ method: options.method, snapshotClass: options.snapshotClass, claimsAtOnce: options.parallel },
        run: newRunId(Date.now(), randomPart),
        retry,
        hostname: hostname(),
        podUid: context.settings.env.HOLDFAST_POD_UID,
        onEvent: ({ claim, phase, message }) => output.note(`${claim}: ${phase}: ${message}`),
        onOutcome: (outcome) => printOutcome(outcome, output),
        signal,
      }),
    ),
  );
  printResult(result, output);
  throwFirst(failuresOf(result), output);
}

/** What the run would do. Without the password, how much data there is can only be told from the volumes. */
async function showPlan(
  choice: PolicyWithRepository,
  options: ClaimBackupOptionValues,
  context: CommandContext,
  retry: Retry | undefined,
): Promise<void> {
  const { plan } = await withCluster(context, (cluster) =>
    withKnownRepository(contextOf(choice, context), async (repository) => {
      const last = repository && (await readLast(cluster, repository, options));
      const { method, snapshotClass } = options;
      const wishes = { method, snapshotClass, retry, movers: moverWishes(options, context, choice.policy) };
      return planPolicy(cluster, choice.policy, last ?? new Map(), { ...wishes, signal: context.signal });
    }),
  );
  printBackupPlan(plan, context.output);
  if (plan.claims.some(({ status }) => status === 'blocked')) context.endWith(1);
}

/** Throws CLUSTER_NAME_TAKEN. */
async function readLast(
  cluster: Cluster,
  repository: Repository,
  { clusterUid: given, clusterName }: ClaimBackupOptionValues,
) {
  const clusterUid = await clusterUidOf(cluster, given);
  const history = await readHistory(repository);
  refuseTakenName(history, clusterUid, clusterNameOf(clusterUid, clusterName));
  return lastBackupsOf(history, clusterUid);
}

/** What the retention of a policy would remove now. */
export function planByPolicy(
  choice: PolicyWithRepository,
  clusterUid: string | undefined,
  context: CommandContext,
): Promise<ForgetPlan> {
  const plan = (uid: string): Promise<ForgetPlan> =>
    withRepository(contextOf(choice, context), async (repository) => {
      const kept = await keptIfReachable(context, repository);
      return planPolicyRetention(repository, { policy: choice.policy, clusterUid: uid, kept });
    });
  if (clusterUid !== undefined) return plan(clusterUid);
  return withCluster(context, async (cluster) => plan(await clusterUidOf(cluster, undefined)));
}

function printResult(result: PolicyResult, output: Output): void {
  const { run, outcomes, uncovered, removed, recordId, shrunken } = result;
  printShrunken(shrunken, output);
  const counts = { done: 0, incomplete: 0, skipped: 0, failed: 0 };
  for (const { status } of outcomes) counts[status] += 1;
  if (output.json) {
    const claims = outcomes.map((outcome) => ({
      claim: outcome.claim,
      status: outcome.status,
      ...('result' in outcome ? { backupId: outcome.result.backupId } : { error: outcome.error.toJSON() }),
    }));
    const left = uncovered.map(({ claim, error }) => ({ claim, reason: error.context.reason }));
    output.value({ type: 'run', run, recordId, ...counts, claims, uncovered: left, removed });
    return;
  }
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  output.line(`run ${output.bold(run)}: ${parts.map(([status, count]) => `${count} ${status}`).join(', ')}`);
  printUncovered(uncovered, output);
  output.line(`  removed ${formatAmount(removed.length, 'old backup')} by the retention`);
}

function failuresOf({ outcomes, failures, removalErrors }: PolicyResult): HoldfastError[] {
  return [
    ...outcomes.flatMap((outcome) => (outcome.status === 'failed' ? [outcome.error] : [])),
    ...outcomes.flatMap((outcome) => (outcome.status === 'incomplete' ? [incompleteBackup(outcome.result)] : [])),
    ...failures,
    ...(removalErrors.length > 0 ? [new HoldfastError('FORGET_INCOMPLETE', { count: removalErrors.length })] : []),
  ];
}
