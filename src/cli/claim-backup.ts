/**
 * `holdfast backup NAMESPACE/CLAIM…` and `holdfast backup -n NAMESPACE -l …`: one run over the claims that were named or
 * selected.
 */
import { hostname } from 'node:os';
import type { BackupFacts, LastBackup } from '../backup/facts.ts';
import { backupFinder } from '../backup/find-backup.ts';
import { gatherFacts } from '../backup/gather-facts.ts';
import { gatherGroupFacts } from '../backup/gather-groups.ts';
import { clusterNameOf, lastBackupsOf, readHistory, refuseTakenName } from '../backup/history.ts';
import { type BackupPlan, type PlannedClaim, planBackup } from '../backup/plan.ts';
import { planGroups } from '../backup/plan-groups.ts';
import { type EndedRun, type NotedRun, noteRun, type RunIdentity, runToEnd, underLock } from '../backup/record-run.ts';
import type { Retry } from '../backup/retry.ts';
import { type ClaimOutcome, type ClaimsRun, defaultLimits } from '../backup/run-claims.ts';
import { putBackLeftAtZero } from '../backup/scale-hook.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { newRunId, randomPart } from '../cluster/labels.ts';
import type { Repository } from '../repository/repository.ts';
import { printBackupPlan } from './backup-plan-report.ts';
import type { ClaimBackupOptionValues } from './claim-options.ts';
import { incompleteBackup, printOutcome, printShrunken, printUncovered, throwFirst } from './claim-report.ts';
import { type ClaimSelection, noSelection, readSelection } from './claim-selection.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, moverWishes, repositoryAccess } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';

export async function backUpClaims(
  claims: readonly string[],
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const selection = readSelection(claims, options);
  if (options.plan) await showPlan(selection, options, context);
  else await run(selection, options, context);
}

/** Only what failed in an earlier run over claims that were named or selected. */
export async function retryClaims(
  retry: Retry,
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const selection = { ...readSelection(retry.claims, { ...noSelection }), retryOf: retry.run };
  if (options.plan) await showPlan(selection, options, context);
  else await run(selection, options, context);
}

async function run(
  selection: ClaimSelection,
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
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
  const startedMs = Date.now();
  const { ended, noted } = await withCluster(context, (cluster) =>
    // Where this process has the password, it looks in the repository itself whether the backup is there.
    withKnownRepository(context, async (repository) => {
      const identity = repository && (await identify(cluster, repository, options, context));
      await putBackLeftAtZero(cluster, selection.scope, common);
      const { plan, facts } = await planSelected(cluster, selection, options, context);
      refuseEmpty(selection, plan);
      const ended = await runToEnd(cluster, plan, {
        // Somebody is there who can try again, and knows better whether that makes sense.
        limits: { claims: options.parallel ?? defaultLimits.claims, retries: 0 },
        common: {
          ...common,
          clusterFacts: facts.cluster,
          ...(repository === undefined ? {} : { finder: backupFinder(repository), writable: repository }),
        },
        onOutcome: (outcome) => printOutcome(outcome, output),
      });
      if (repository === undefined || identity === undefined) return { ended, noted: undefined };
      const all = { ...identity, run: common.run, retryOf: selection.retryOf, startedMs };
      return { ended, noted: await note(repository, all, ended, signal) };
    }),
  );
  if (ended.interruption !== undefined) throw ended.interruption.error;
  printUncovered(ended.uncovered, output);
  if (noted === undefined) output.note('The run was not recorded: that takes the password of the repository.');
  else if ('shrunken' in noted) printShrunken(noted.shrunken, output);
  const unrecorded = noted instanceof HoldfastError ? [noted] : [];
  throwFirst([...failuresOf(ended.outcomes, selection), ...unrecorded], output);
}

/** Throws CLUSTER_NAME_TAKEN. */
async function identify(
  cluster: Cluster,
  repository: Repository,
  { clusterUid: given, clusterName }: ClaimBackupOptionValues,
  { settings }: CommandContext,
) {
  const clusterUid = await clusterUidOf(cluster, given);
  const history = await readHistory(repository);
  refuseTakenName(history, clusterUid, clusterNameOf(clusterUid, clusterName));
  return { history, clusterUid, clusterName, hostname: hostname(), podUid: settings.env.HOLDFAST_POD_UID };
}

/** Who chooses claims by conditions counts on some backup. Throws SELECTION_EMPTY. */
function refuseEmpty({ select }: ClaimSelection, { claims }: BackupPlan): void {
  if (select === undefined || claims.some(({ status }) => status !== 'uncovered')) return;
  throw new HoldfastError('SELECTION_EMPTY', { count: claims.length });
}

/** The backups are made by then: a failure is told with theirs. */
async function note(
  repository: Repository,
  identity: RunIdentity,
  ended: EndedRun,
  signal: AbortSignal,
): Promise<NotedRun | HoldfastError> {
  try {
    return await underLock(repository, identity, signal, (lock) => noteRun(repository, lock, identity, ended));
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return error;
  }
}

/** A claim that was named and is left out is a failure: whoever named it counts on its backup. */
function failuresOf(outcomes: readonly ClaimOutcome[], { select, retryOf }: ClaimSelection): HoldfastError[] {
  const isNamed = select === undefined && retryOf === undefined;
  const failed = outcomes.flatMap((outcome) =>
    'error' in outcome && (isNamed || outcome.status === 'failed') ? [outcome.error] : [],
  );
  const incomplete = outcomes.flatMap((outcome) => (outcome.status === 'incomplete' ? [outcome.result] : []));
  return [...failed, ...incomplete.map(incompleteBackup)];
}

async function showPlan(
  selection: ClaimSelection,
  options: ClaimBackupOptionValues,
  context: CommandContext,
): Promise<void> {
  const { plan } = await withCluster(context, (cluster) =>
    withKnownRepository(context, async (repository) => {
      const identity = repository && (await identify(cluster, repository, options, context));
      const last = identity && lastBackupsOf(identity.history, identity.clusterUid);
      return planSelected(cluster, selection, options, context, last);
    }),
  );
  printBackupPlan(plan, context.output);
  refuseEmpty(selection, plan);
  const isBad = ({ status }: PlannedClaim): boolean =>
    selection.select === undefined ? status !== 'ready' : status === 'blocked';
  if (plan.claims.some(isBad)) context.endWith(1);
}

async function planSelected(
  cluster: Cluster,
  { scope, select }: ClaimSelection,
  options: ClaimBackupOptionValues,
  context: CommandContext,
  lastBackups?: ReadonlyMap<string, LastBackup>,
): Promise<{ plan: BackupPlan; facts: BackupFacts }> {
  const facts = await gatherFacts(cluster, { scope, lastBackups, signal: context.signal });
  const { method, snapshotClass } = options;
  const plan = planBackup(facts, { select, method, snapshotClass, ...moverWishes(options, context) });
  if (!options.group) return { plan, facts };
  return { plan: planGroups(plan, facts, await gatherGroupFacts(cluster, facts, context.signal), {}), facts };
}

/** undefined where this process was not given the password, which then only the movers have. */
export function withKnownRepository<T>(
  context: CommandContext,
  use: (repository: Repository | undefined) => Promise<T>,
): Promise<T> {
  return context.settings.passwordSource.kind === 'none' ? use(undefined) : withRepository(context, use);
}
