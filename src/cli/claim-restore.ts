/**
 * `holdfast restore BACKUP` into a claim of a cluster: plan, show, do.
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { findSnapshot, type SnapshotFilter } from '../repository/snapshots.ts';
import { describePlan } from '../restore/describe-plan.ts';
import type { RestoreWishes } from '../restore/facts.ts';
import { backupFactsOf, gatherFacts } from '../restore/gather-facts.ts';
import { planRestore, type RestorePlan } from '../restore/plan.ts';
import { readRecipe } from '../restore/read-recipe.ts';
import { type RestoreResult, restoreClaim } from '../restore/restore-claim.ts';
import { neededFor, refusalOfRights } from '../restore/rights.ts';
import { backupLine } from './choose-backup.ts';
import { type ClaimRestoreOptionValues, parsePairs } from './claim-options.ts';
import { throwFirst } from './claim-report.ts';
import type { CommandContext } from './command.ts';
import { moverSettings, repositoryAccess } from './mover-access.ts';
import { clusterUidOf, withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import { formatAmount, type Output } from './output.ts';

interface Request {
  readonly name: string;
  readonly filter: SnapshotFilter;
  readonly options: ClaimRestoreOptionValues;
}

export async function restoreToClaim(request: Request, context: CommandContext): Promise<void> {
  const { output, signal } = context;
  const { options } = request;
  await withCluster(context, async (cluster) => {
    const plan = await makePlan(cluster, request, context);
    if (options.plan) {
      if (output.json) output.value(plan);
      else for (const line of describePlan(plan)) output.line(line);
      return;
    }
    for (const line of describePlan(plan).filter(isAboutTheVolume)) output.note(line);
    const result = await restoreClaim(cluster, {
      plan,
      repository: await repositoryAccess(options, context),
      settings: moverSettings(options, context),
      clusterUid: await clusterUidOf(cluster, options.clusterUid),
      onEvent: ({ step, message }) => output.note(`${step}: ${message}`),
      signal,
    });
    reportRestored(plan, result, output);
  });
}

/** What is made and dropped stands in the plan for those who ask for it. */
function isAboutTheVolume(line: string): boolean {
  return !/^(creates|keeps|drops| )/.test(line);
}

async function makePlan(cluster: Cluster, request: Request, context: CommandContext): Promise<RestorePlan> {
  const { signal, output } = context;
  const wishes = wishesFrom(request.options);
  const planning = await withRepository(context, async (repository) => {
    const snapshot = await findSnapshot(repository, request.name, request.filter);
    output.note(backupLine(snapshot));
    const backup = backupFactsOf(snapshot);
    const recipe = await readRecipe(repository, snapshot);
    if (recipe === null) throw new HoldfastError('BACKUP_HAS_NO_RECIPE', { backup: backup.id.slice(0, 8) });
    const facts = await gatherFacts(cluster, { backupId: backup.id, recipe, wishes, signal });
    return planRestore({ backup, recipe, facts, wishes });
  });
  if (planning.plan !== null) {
    const { sendCredentials } = request.options;
    const denied = await refusalOfRights(cluster, neededFor(planning.plan, sendCredentials), signal);
    if (denied === undefined) return planning.plan;
    throw denied;
  }
  throwFirst(planning.refusals, output);
  throw new TypeError('a plan is missing without any refusal');
}

export function wishesFrom(options: ClaimRestoreOptionValues): RestoreWishes {
  const { to, zone, storageClass, size, createNamespace, allowIncomplete } = options;
  return {
    createNamespace,
    allowIncomplete,
    zoneMap: parsePairs(options.mapZone, 'zones'),
    classMap: parsePairs(options.mapClass, 'storage classes'),
    ...(options.from === undefined ? {} : { from: options.from }),
    ...(to === undefined ? {} : to),
    ...(zone === undefined ? {} : { zone }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(size === undefined ? {} : { sizeBytes: size }),
  };
}

export function reportRestored(plan: RestorePlan, result: RestoreResult, output: Output): void {
  if (output.json) {
    output.value({ type: 'summary', backupId: plan.backup.id, ...result });
    return;
  }
  const { claim, volume, places, storageClass, reclaimPolicy, files } = result;
  output.line(`restored backup ${output.bold(plan.backup.id.slice(0, 8))} into ${output.bold(claim)}`);
  output.line(`  volume  ${volume}, class ${storageClass}, ${plan.claim.spec.resources.requests.storage}`);
  output.line(`  place   ${places.length === 0 ? 'anywhere' : places.join(', ')}`);
  output.line(`  policy  ${reclaimPolicy}`);
  const content =
    plan.source.kind === 'snapshot'
      ? `of the CSI snapshot ${plan.source.snapshot.handle}`
      : formatAmount(files, 'file');
  output.line(`  content ${content}`);
}
