import { HoldfastError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import {
  executeSnapshotRepair,
  type LostEntry,
  mostListed,
  planSnapshotRepair,
  type RepairedSnapshot,
  repairedTag,
  type SnapshotRepair,
  type SnapshotRepairPlan,
} from '../../repository/repair-snapshots.ts';
import type { Repository } from '../../repository/repository.ts';
import { findSnapshot, listSnapshots, matchesFilter } from '../../repository/snapshots.ts';
import { backupArgumentHelp, backupLine } from '../choose-backup.ts';
import { type CommandContext, defineCommand, flag, type OptionValues } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress } from '../progress.ts';
import { pathJson, shownPath } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  forget: flag('--forget', 'remove the damaged backups once the repaired ones are there'),
  plan: flag('--plan', 'show which backups lack what, and change nothing'),
  ...filterOptions,
};

export const repairSnapshotsCommand = defineCommand({
  description:
    'For every backup that lacks something, a new one without it is made, with the tag ' +
    `"${repairedTag}": files keep the parts that are there, folders whose list cannot be read become empty ones. The ` +
    'damaged backups stay, unless --forget is given: a later backup of the same files may bring back what they lack. ' +
    'Run `holdfast repair index` first, and `holdfast repair packs` for packs that `holdfast check --read-data` names.',
  arguments: [{ name: '[backups...]', help: `only these (${backupArgumentHelp})` }],
  options,
  examples: [
    ['holdfast repair snapshots --plan', 'what the backups lack'],
    ['holdfast repair snapshots', 'make backups that can be restored without errors'],
    ['holdfast repair snapshots --forget 1f2e3d4c', 'and put one in the place of this one'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: (given, names, context) =>
    withLockedRepository(context, (repository, signal) => run(given, names, context, repository, signal), {
      exclusive: !given.plan,
    }),
});

async function run(
  given: OptionValues<typeof options>,
  names: readonly string[],
  { output }: CommandContext,
  repository: Repository,
  signal: AbortSignal,
): Promise<void> {
  const unreadable: string[] = [];
  const all = await listSnapshots(repository, {
    onError: (error, id) => {
      unreadable.push(id);
      output.problem(`cannot read backup ${shortId(id)}: ${error.message}`, {
        type: 'repair-error',
        id,
        ...error.toJSON(),
      });
    },
  });
  const chosen = await choose(given, names, repository, all);
  const progress = createProgress(output);
  const plan = await planSnapshotRepair(repository, chosen, all, {
    signal,
    onTree: (trees) => progress.update(() => `reading folders: ${formatCount(trees)}`),
  }).finally(progress.clear);
  if (!output.json) printPlan(plan, output);
  if (given.plan || plan.repairs.length === 0) {
    if (output.json) output.value({ type: 'plan', unreadable, ...planJson(plan) });
  } else {
    const repaired = await executeSnapshotRepair(repository, plan, { forget: given.forget, signal });
    if (output.json) output.value({ type: 'repaired', unreadable, ...planJson(plan), repaired });
    else printRepaired(repaired, output);
  }
  const hopeless = plan.repairs.filter(({ next }) => !next).length;
  const left = unreadable.length + (given.forget && !given.plan ? 0 : hopeless);
  if (left > 0) throw new HoldfastError('BACKUPS_BEYOND_REPAIR', { count: left });
}

async function choose(
  given: OptionValues<typeof options>,
  names: readonly string[],
  repository: Repository,
  all: readonly StoredSnapshot[],
): Promise<readonly StoredSnapshot[]> {
  const filter = filterFrom(given);
  if (names.length === 0) return all.filter((snapshot) => matchesFilter(snapshot, filter));
  const found = await Promise.all(names.map((name) => findSnapshot(repository, name, filter)));
  return [...new Map(found.map((snapshot) => [snapshot.id, snapshot])).values()];
}

function printPlan({ wholeCount, repairs }: SnapshotRepairPlan, output: Output): void {
  for (const repair of repairs) {
    output.line(output.bold(backupLine(repair.snapshot)));
    if (!repair.next) output.line('  not even its first folder can be read: nothing of it is left');
    for (const entry of repair.lost) output.line(`  ${describe(entry)}`);
    if (repair.hasMore) output.line(`  and more: these are the first ${formatCount(mostListed)}`);
    if (repair.repairedId !== undefined) output.line(`  has been repaired as ${shortId(repair.repairedId)}`);
  }
  output.line(`${formatAmount(wholeCount, 'backup')} without loss, ${formatAmount(repairs.length, 'backup')} damaged`);
}

function describe({ path, kind, lostBytes = 0 }: LostEntry): string {
  const shown = shownPath(path);
  if (kind === 'parts') return `${shown} lacks ${formatSize(lostBytes)}`;
  if (kind === 'folder') return `${shown}/: the list of what is in it is lost`;
  return `${shown}: the entry cannot be understood, and is left out`;
}

function planJson({ wholeCount, repairs }: SnapshotRepairPlan) {
  return { whole: wholeCount, damaged: repairs.map(repairJson) };
}

function repairJson({ snapshot, next, repairedId, lost, hasMore }: SnapshotRepair) {
  return {
    id: snapshot.id,
    time: snapshot.time,
    repairable: next !== undefined,
    ...(repairedId === undefined ? {} : { repairedAs: repairedId }),
    lost: lost.map(({ path, kind, lostBytes }) => ({
      ...pathJson(path),
      kind,
      ...(lostBytes === undefined ? {} : { lostBytes }),
    })),
    hasMore,
  };
}

function printRepaired(repaired: readonly RepairedSnapshot[], output: Output): void {
  for (const { from, to, removed } of repaired) {
    if (to !== undefined)
      output.line(`${shortId(to)} is in place of ${shortId(from)}${removed ? ', which was removed' : ''}`);
    else if (removed) output.line(`${shortId(from)} was removed`);
  }
}
