/**
 * `holdfast restore BACKUP --in-place`: the content of a claim becomes that of the backup again.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { findSnapshot, type SnapshotFilter } from '../repository/snapshots.ts';
import { backupFactsOf } from '../restore/gather-facts.ts';
import { gatherInPlace } from '../restore/gather-in-place.ts';
import { targetOf } from '../restore/plan.ts';
import { type InPlacePlan, planInPlace } from '../restore/plan-in-place.ts';
import { readRecipe } from '../restore/read-recipe.ts';
import { type InPlaceResult, restoreInPlace } from '../restore/restore-in-place.ts';
import { neededInPlace, refusalOfRights } from '../restore/rights.ts';
import { restoreTimeouts } from '../restore/run.ts';
import { backupLine } from './choose-backup.ts';
import type { ClaimRestoreOptionValues } from './claim-options.ts';
import { throwFirst } from './claim-report.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import { formatAmount, type Output, shortId } from './output.ts';

interface Request {
  readonly name: string;
  readonly filter: SnapshotFilter;
  readonly options: ClaimRestoreOptionValues & { readonly delete: boolean };
}

export async function restoreIntoExisting(request: Request, context: CommandContext): Promise<void> {
  const { output, signal } = context;
  const { options } = request;
  refuseUnheard(options);
  await withCluster(context, async (cluster) => {
    const plan = await makePlan(cluster, request, context);
    const onEvent = ({ step, message }: { step: string; message: string }) => output.note(`${step}: ${message}`);
    if (options.abandon) return giveUp(cluster, plan, context);
    if (options.plan && output.json) return output.value(plan);
    for (const line of describe(plan)) {
      if (options.plan) output.line(line);
      else output.note(line);
    }
    if (options.plan) return;
    const result = await restoreInPlace(cluster, {
      plan,
      repository: await repositoryAccess(options, context),
      settings: moverSettings(options, context),
      clusterUid: await clusterUidOf(cluster, options.clusterUid),
      onEvent,
      signal,
    });
    report(plan, result, output);
  });
}

async function makePlan(cluster: Cluster, request: Request, context: CommandContext): Promise<InPlacePlan> {
  const { output, signal } = context;
  const { options } = request;
  const { noSafetySnapshot, snapshotClass } = options;
  const planning = await withRepository(context, async (repository) => {
    const snapshot = await findSnapshot(repository, request.name, request.filter);
    output.note(backupLine(snapshot));
    const recipe = await readRecipe(repository, snapshot);
    if (recipe === null) throw new HoldfastError('BACKUP_HAS_NO_RECIPE', { backup: shortId(snapshot.id) });
    const target = targetOf(recipe, options.to ?? {});
    const facts = await gatherInPlace(cluster, { ...target, snapshotClass, signal });
    const wishes = { deleteOthers: options.delete, noSafetySnapshot, allowIncomplete: options.allowIncomplete };
    return planInPlace({ backup: backupFactsOf(snapshot), recipe, target, facts, wishes });
  });
  if (planning.plan !== null) {
    const denied = await refusalOfRights(cluster, neededInPlace(planning.plan, options.sendCredentials), signal);
    if (denied === undefined) return planning.plan;
    throw denied;
  }
  throwFirst(planning.refusals, output);
  throw new TypeError('a plan is missing without any refusal');
}

async function giveUp(cluster: Cluster, plan: InPlacePlan, { output, signal }: CommandContext): Promise<void> {
  const { abandonInPlace } = await import('../restore/restore-in-place.ts');
  const begun = await abandonInPlace({
    ...{ cluster, plan, signal, timeouts: restoreTimeouts },
    report: (step, message) => output.note(`${step}: ${message}`),
  });
  const claim = nameOf(plan);
  const state = begun?.written != null ? 'restored' : begun?.filling === true ? 'half restored' : 'untouched';
  if (output.json) {
    output.value({
      type: 'summary',
      claim,
      abandoned: begun !== undefined,
      state,
      safetySnapshot: begun?.snapshot ?? null,
    });
    return;
  }
  if (begun === undefined) output.line(`there is no unfinished restore into ${claim}`);
  else output.line(`gave up the restore into ${claim}; what is in it now is ${state}`);
  if (begun?.filling === true && begun.snapshot !== null) output.line(`  before  VolumeSnapshot ${begun.snapshot}`);
}

function describe(plan: InPlacePlan): string[] {
  const consumers = plan.consumers.map(
    ({ kind, name, replicas }) => `${kind} ${name} (${formatAmount(replicas, 'replica')})`,
  );
  const others =
    plan.deleteOthers || plan.volumeMode === 'Block' ? 'and nothing else' : 'and what is not in the backup';
  return [
    `claim      ${nameOf(plan)}, in place${plan.resumes ? ' (goes on with an unfinished restore)' : ''}`,
    `content    backup ${shortId(plan.backup.id)}, data ${plan.subfolder}, ${others}`,
    `scales     ${consumers.length === 0 ? 'nothing: no pod uses the claim' : `${consumers.join(', ')} to zero until the data is there`}`,
    `keeps      ${plan.snapshotClass === null ? 'nothing of what is there now' : `what is there now in a VolumeSnapshot of class ${plan.snapshotClass}`}`,
    ...plan.warnings.map((warning) => `warning: ${warning}`),
  ];
}

function report(plan: InPlacePlan, result: InPlaceResult, output: Output): void {
  if (output.json) {
    output.value({ type: 'summary', backupId: plan.backup.id, ...result });
    return;
  }
  output.line(`restored backup ${output.bold(shortId(plan.backup.id))} in place into ${output.bold(result.claim)}`);
  output.line(
    `  content ${formatAmount(result.files, 'file')}, ${formatAmount(result.deleted, 'other entry', 'other entries')} removed`,
  );
  for (const workload of result.putBack) output.line(`  running ${workload}`);
  if (result.safetySnapshot !== null)
    output.line(`  before  VolumeSnapshot ${result.safetySnapshot}; delete it when it is no longer needed`);
}

/** A volume that is there stays where and what it is. */
function refuseUnheard(options: ClaimRestoreOptionValues): void {
  const { zone, storageClass, size, createNamespace } = options;
  const unheard = {
    '--zone': zone,
    '--storage-class': storageClass,
    '--size': size,
    '--create-namespace': createNamespace || undefined,
  };
  const first = Object.entries(unheard).find(([, value]) => value !== undefined)?.[0];
  if (first !== undefined)
    throw new HoldfastError('USAGE', { problem: `${first} is for a new volume, not for --in-place` });
}

function nameOf({ target }: InPlacePlan): string {
  return `${target.namespace}/${target.name}`;
}
