import { HoldfastError } from '../../base/errors.ts';
import { type CalendarSpan, parseSpan } from '../../policy/calendar-span.ts';
import { isEmptyPolicy, type RetentionPolicy } from '../../policy/retention.ts';
import { isInStorage } from '../../repository/claim-layout.ts';
import {
  executeForget,
  type ForgetGroup,
  type ForgetPlan,
  forgetJson,
  type GroupKey,
  planForget,
  planRemoval,
} from '../../repository/forget.ts';
import type { Repository } from '../../repository/repository.ts';
import { findSnapshot, listBackups } from '../../repository/snapshots.ts';
import { policyOptions } from '../claim-options.ts';
import { type CommandContext, defineCommand, flag, type OptionValues, parsed, text, texts } from '../command.ts';
import { describeBackup, subjectOf } from '../describe-backup.ts';
import { readHeld } from '../held-backups.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatTime, type Output, shortId } from '../output.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const grouping = parsed(
  '--group-by <keys>',
  "apply the rules to each host,paths,tags; '' makes one group of all (default: host,paths)",
  parseGrouping,
);

const options = {
  keepLast: parsed('--keep-last <n>', 'keep the newest n', parseCount),
  keepHourly: parsed('--keep-hourly <n>', 'keep the newest of each of the last n hours that have a backup', parseCount),
  keepDaily: parsed('--keep-daily <n>', 'the same for days', parseCount),
  keepWeekly: parsed('--keep-weekly <n>', 'the same for weeks', parseCount),
  keepMonthly: parsed('--keep-monthly <n>', 'the same for months', parseCount),
  keepYearly: parsed('--keep-yearly <n>', 'the same for years', parseCount),
  keepWithin: parsed('--keep-within <span>', 'keep all of the last 1y2m3d4h before the newest', spanOption),
  keepWithinHourly: parsed('--keep-within-hourly <span>', 'of that span, keep one an hour', spanOption),
  keepWithinDaily: parsed('--keep-within-daily <span>', 'of that span, keep one a day', spanOption),
  keepWithinWeekly: parsed('--keep-within-weekly <span>', 'of that span, keep one a week', spanOption),
  keepWithinMonthly: parsed('--keep-within-monthly <span>', 'of that span, keep one a month', spanOption),
  keepWithinYearly: parsed('--keep-within-yearly <span>', 'of that span, keep one a year', spanOption),
  keepTag: texts('--keep-tag <tag[,tag…]>', 'keep those that have all of these tags'),
  groupBy: { ...grouping, read: (given: unknown) => (given === '' ? [] : grouping.read(given)) },
  ...policyOptions,
  clusterUid: text('--cluster-uid <uid>', "with --policy: whose backups (default: this cluster's)"),
  evenHeld: flag('--even-held', 'also remove what is held (see `holdfast hold`); not with --policy'),
  plan: flag('--plan', 'show what would be kept and removed, and why, and remove nothing'),
  ...filterOptions,
};
type Options = OptionValues<typeof options>;

export const forgetCommand = defineCommand({
  description:
    'The rules are those of restic: each --keep-… keeps some, and what no rule keeps is removed. ' +
    'The data of removed backups stays in the repository until it is pruned.',
  arguments: [{ name: '[backups...]', help: 'remove exactly these, whatever the rules say' }],
  options,
  examples: [
    ['holdfast forget --keep-daily 7 --keep-weekly 5 --plan', 'what these rules would do'],
    ['holdfast forget --keep-last 3 --keep-monthly 12 --host web-1', 'for one host only'],
    ['holdfast forget 1f2e3d4c', 'one certain backup'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, names, context) => {
    const ways = [names.length > 0, given.policy !== undefined, !isEmptyPolicy(policyFrom(given))];
    if (ways.filter((is) => is).length > 1) {
      const problem = 'Give only one of: backups to remove, --keep-… rules, --policy FILE';
      throw new HoldfastError('USAGE', { problem });
    }
    if (given.evenHeld && given.policy !== undefined) {
      throw new HoldfastError('USAGE', { problem: 'No policy removes what is held: release it, or name the backups' });
    }
    const { within, planned } = await planFirst(given, context);
    await withLockedRepository(within, async (repository, signal) => {
      const plan = planned ?? (await makePlan(repository, given, names));
      if (context.output.json) context.output.value(forgetJson(plan));
      else printPlan(plan, context.output);
      if (!given.plan) await remove(repository, plan, context, signal);
    });
  },
});

/** A policy has its own repository, and its plan asks the cluster who it is. */
async function planFirst(given: Options, context: CommandContext) {
  if (given.policy === undefined) return { within: context, planned: undefined };
  const { contextOf, planByPolicy, readPolicy } = await import('../policy-run.ts');
  const choice = await readPolicy(given.policy, given.policyName);
  return { within: contextOf(choice, context), planned: await planByPolicy(choice, given.clusterUid, context) };
}

async function makePlan(repository: Repository, given: Options, names: readonly string[]): Promise<ForgetPlan> {
  const held = given.evenHeld ? new Map<string, readonly string[]>() : (await readHeld(repository)).held;
  if (names.length > 0) {
    const chosen = await Promise.all(names.map((name) => findSnapshot(repository, name)));
    for (const { id } of chosen) {
      const reasons = held.get(id);
      if (reasons !== undefined) {
        throw new HoldfastError('BACKUP_HELD', { backup: shortId(id), reason: reasons.join('; ') });
      }
    }
    return planRemoval(chosen);
  }
  const backups = await listBackups(repository, filterFrom(given));
  const grouping = given.groupBy === undefined ? {} : { groupBy: given.groupBy };
  return planForget(backups, policyFrom(given), { nowMs: Date.now(), held, ...grouping });
}

async function remove(
  repository: Repository,
  plan: ForgetPlan,
  context: CommandContext,
  signal: AbortSignal,
): Promise<void> {
  const { output } = context;
  const isKept = plan.groups.some(({ remove }) => remove.some(isInStorage));
  const { removed, errors, records } = isKept
    ? await (await import('../kept-backups.ts')).forgetWithStorage(repository, plan, context, signal)
    : await executeForget(repository, plan, { signal });
  for (const { id, message } of errors) {
    output.problem(`cannot remove ${shortId(id)}: ${message}`, { type: 'backup-error', id, message });
  }
  const along = records.length === 0 ? '' : `, with ${formatAmount(records.length, 'record')} of them alone`;
  output.note(
    removed.length === 0 ? 'Nothing was removed.' : `${formatAmount(removed.length, 'backup')} removed${along}.`,
  );
  if (errors.length > 0) throw new HoldfastError('FORGET_INCOMPLETE', { count: errors.length });
}

function printPlan({ groups }: ForgetPlan, output: Output): void {
  for (const group of groups) {
    const title = [group.host, ...group.paths, ...group.tags].filter((part) => part !== '').join(' ');
    if (group.keep.length > 0) output.line(output.bold(`${title || 'all backups'}: ${summaryOf(group)}`));
    for (const { snapshot, reasons } of group.keep) {
      output.line(`  keep    ${shortId(snapshot.id)}  ${formatTime(snapshot.time)}  ${reasons.join(', ')}`);
    }
    for (const snapshot of group.remove) {
      const subject = group.paths.length > 0 ? '' : subjectOf(describeBackup(snapshot));
      output.line(
        `  remove  ${shortId(snapshot.id)}  ${formatTime(snapshot.time)}  ${subject}${isInStorage(snapshot) ? '  and its CSI snapshot' : ''}`.trimEnd(),
      );
    }
  }
}

function summaryOf({ keep, remove: gone }: ForgetGroup): string {
  return `${keep.length} kept, ${gone.length} removed`;
}

function policyFrom(given: Options): RetentionPolicy {
  const rules = {
    last: given.keepLast,
    hourly: given.keepHourly,
    daily: given.keepDaily,
    weekly: given.keepWeekly,
    monthly: given.keepMonthly,
    yearly: given.keepYearly,
    within: given.keepWithin,
    withinHourly: given.keepWithinHourly,
    withinDaily: given.keepWithinDaily,
    withinWeekly: given.keepWithinWeekly,
    withinMonthly: given.keepWithinMonthly,
    withinYearly: given.keepWithinYearly,
    tags: given.keepTag.length > 0 ? given.keepTag.map((list) => list.split(',')) : undefined,
  };
  return Object.fromEntries(Object.entries(rules).filter(([, rule]) => rule !== undefined));
}

function parseCount(given: string): number {
  if (given === 'unlimited') return -1;
  if (!/^\d{1,9}$/.test(given)) throw new Error('expected a number, or unlimited');
  return Number(given);
}

function spanOption(given: string): CalendarSpan {
  try {
    return parseSpan(given);
  } catch (error) {
    throw new Error('expected a span of time such as 1y2m3d4h (years, months, days, hours)', { cause: error });
  }
}

function parseGrouping(given: string): GroupKey[] {
  return given.split(',').map((key) => {
    if (key === 'host' || key === 'paths' || key === 'tags') return key;
    throw new Error('expected some of host, paths, tags, with commas between them');
  });
}
