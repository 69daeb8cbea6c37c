/**
 * `holdfast restore` of several claims: named one by one, or all of a set of pods, a namespace or a run.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { parseLimit, parseSnapshotName } from '../repository/snapshot-name.ts';
import { findSnapshot, type SnapshotFilter } from '../repository/snapshots.ts';
import { gatherNamed, gatherSet } from '../restore/gather-set.ts';
import { planSet, type SetPlan, type SetWishes } from '../restore/plan-set.ts';
import { type RestoreOutcome, restoreSet } from '../restore/restore-set.ts';
import { neededFor, refusalOfRights } from '../restore/rights.ts';
import type { ClaimRestoreOptionValues, RestoreSetOptionValues } from './claim-options.ts';
import { reportRestored, wishesFrom } from './claim-restore.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import type { Output } from './output.ts';
import { printSetPlan, reportSet } from './restore-set-report.ts';

interface Request {
  readonly names: readonly string[];
  readonly filter: SnapshotFilter;
  readonly options: ClaimRestoreOptionValues & RestoreSetOptionValues;
}

const defaultParallel = 3;

export async function restoreSeveral(request: Request, context: CommandContext): Promise<void> {
  const { output, signal } = context;
  const { options } = request;
  refuseUnclear(request);
  await withCluster(context, async (cluster) => {
    const plan = await withRights(cluster, await makePlan(cluster, request, context), request, context);
    printSetPlan(plan, { asResult: options.plan }, output);
    throwRefusals(plan, output);
    if (options.plan) return;
    const outcomes = await restoreSet(
      cluster,
      plan.entries.flatMap((entry) => entry.plan ?? []),
      {
        parallel: options.parallel ?? defaultParallel,
        common: {
          repository: await repositoryAccess(options, context),
          settings: moverSettings(options, context),
          clusterUid: await clusterUidOf(cluster, options.clusterUid),
          signal,
        },
        onEvent: (claim, { step, message }) => output.note(`${claim}: ${step}: ${message}`),
        onOutcome: (outcome) => {
          if (outcome.status === 'done') reportRestored(outcome.plan, outcome.result, output);
          else output.note(`${outcome.claim}: failed: ${outcome.error.message}`);
        },
      },
    );
    reportSet(plan, outcomes, output);
    throwFailures(outcomes, output);
  });
}

function throwRefusals({ refusals, entries }: SetPlan, output: Output): void {
  const all = [
    ...refusals.map((error) => ({ claim: undefined, error })),
    ...entries.flatMap(({ claim, refusals: own }) => own.map((error) => ({ claim, error }))),
  ];
  for (const { claim, error } of all) tell(output, error, claim);
  if (all.length > 0) throw new HoldfastError('RESTORE_OF_SEVERAL_REFUSED', { count: all.length });
}

/** Some of them done is another end than none. */
function throwFailures(outcomes: readonly RestoreOutcome[], output: Output): void {
  const failed = outcomes.filter((outcome) => outcome.status === 'failed');
  for (const { claim, error } of failed) tell(output, error, claim);
  const counts = { failed: failed.length, count: outcomes.length };
  if (failed.length === 0) return;
  if (failed.length === outcomes.length) throw new HoldfastError('RESTORE_OF_SEVERAL_FAILED', counts);
  throw new HoldfastError('RESTORE_OF_SEVERAL_INCOMPLETE', counts);
}

/** Most errors do not say which claim they are about: alone there is only one. */
function tell(output: Output, error: HoldfastError, claim?: string): void {
  const about = claim === undefined ? '' : `${claim}: `;
  output.problem(`error: ${about}${error.message}\nhint: ${error.hint}`, {
    ...error.toJSON(),
    ...(claim === undefined ? {} : { claim }),
  });
}

function makePlan(cluster: Cluster, request: Request, context: CommandContext): Promise<SetPlan> {
  const { names, filter, options } = request;
  const { signal } = context;
  const common = { wishes: setWishesFrom(options), parallel: options.parallel ?? defaultParallel, signal };
  return withRepository(context, async (repository) => {
    if (names.length > 0) {
      const backups = [];
      for (const name of names) backups.push(await findSnapshot(repository, atTime(name, options.at), filter));
      return planSet(await gatherNamed(cluster, repository, backups, common));
    }
    const byRun = options.run === undefined ? filter : { ...filter, tags: narrowed(filter.tags, `run=${options.run}`) };
    const beforeNs = options.at === undefined ? undefined : limitOf(options.at);
    return planSet(
      await gatherSet(cluster, repository, { ...common, filter: byRun, set: options.statefulSet, beforeNs }),
    );
  });
}

async function withRights(
  cluster: Cluster,
  plan: SetPlan,
  { options }: Request,
  { signal }: CommandContext,
): Promise<SetPlan> {
  const plans = plan.entries.flatMap((entry) => entry.plan ?? []);
  const needed = plans.flatMap((one) => neededFor(one, options.sendCredentials));
  const denied = await refusalOfRights(cluster, needed, signal);
  return denied === undefined ? plan : { ...plan, refusals: [...plan.refusals, denied] };
}

/** Lists of tags are alternatives, so that one more tag has to be in each of them. */
function narrowed(lists: SnapshotFilter['tags'], tag: string): string[][] {
  return lists === undefined || lists.length === 0 ? [[tag]] : lists.map((list) => [...list, tag]);
}

function setWishesFrom(options: Request['options']): SetWishes {
  const { toNamespace, skipExisting } = options;
  return { ...wishesFrom(options), skipExisting, ...(toNamespace === undefined ? {} : { namespace: toNamespace }) };
}

function refuseUnclear({ names, filter, options }: Request): void {
  const { statefulSet, run, to } = options;
  const usage = (problem: string) => new HoldfastError('USAGE', { problem });
  const chosen = statefulSet !== undefined || run !== undefined || (filter.namespaces ?? []).length > 0;
  if (names.length === 0 && !chosen) {
    throw usage('Name a backup, or choose claims with --stateful-set, --namespace or --run');
  }
  if (names.length > 0 && (statefulSet !== undefined || run !== undefined)) {
    throw usage('Either name backups, or choose them with --stateful-set or --run');
  }
  if (to !== undefined) throw usage('--to is for one claim; several go into another namespace with --to-namespace');
}

/** `shop/data` with `--at` means `shop/data@TIME`; a name that says which backup it means has no room for it. */
function atTime(name: string, at: string | undefined): string {
  if (at === undefined) return name;
  const meaning = parseSnapshotName(name);
  if (meaning?.kind === 'newest' && !/[~@]/.test(name)) {
    limitOf(at);
    return `${name}@${at}`;
  }
  throw new HoldfastError('USAGE', { problem: `"${name}" says already which backup it means, so --at is too much` });
}

function limitOf(at: string): bigint {
  const limit = parseLimit(at);
  if (limit !== undefined) return limit;
  throw new HoldfastError('USAGE', { problem: `--at ${at} is no time: expected 2026-11-01 or 2026-11-01T06:00` });
}
