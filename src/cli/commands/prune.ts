import { HoldfastError } from '../../base/errors.ts';
import { formatSize, parseSize } from '../../base/units.ts';
import { executePrune, type PruneResult, requirePrunable } from '../../repository/prune.ts';
import { type PruneOptions, type PrunePlan, planPrune, type UnusedLimit } from '../../repository/prune-plan.ts';
import { type PruneProgress, surveyPacks } from '../../repository/prune-survey.ts';
import type { Leftovers } from '../../store/store.ts';
import { defineCommand, flag, type OptionValues, parsed } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';

const options = {
  maxUnused: parsed(
    '--max-unused <limit>',
    'how much may stay unused: 10%, 2Gi, 0, or unlimited, which rewrites nothing (default: 5%)',
    parseLimit,
  ),
  maxRepackSize: parsed('--max-repack-size <size>', 'rewrite at most this much in this run', parseSize),
  repackSmall: flag('--repack-small', 'also put packs together that are below 80% of the usual size'),
  plan: flag('--plan', 'show what would be removed and rewritten, and why, and change nothing'),
};

export const pruneCommand = defineCommand({
  description:
    'Deletes the packs in which nothing is used any more, and rewrites those in which much is unused. It needs the ' +
    'repository for itself: backups wait until it is done. A prune that is killed leaves a sound repository; the next ' +
    'one removes what it left over.',
  options,
  examples: [
    ['holdfast prune --plan', 'what it would do'],
    ['holdfast prune', 'after forget'],
    ['holdfast prune --max-unused unlimited', 'only delete, upload nothing'],
    ['holdfast prune --max-repack-size 10Gi', 'a part of the work, the rest another day'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: (given, _, context) =>
    withLockedRepository(
      context,
      async (repository, signal) => {
        const { output } = context;
        requirePrunable(repository);
        const progress = createProgress(output);
        const onProgress = (now: PruneProgress): void => progress.update(() => progressLine(now));
        try {
          const survey = await surveyPacks(repository, { onProgress, signal });
          const plan = planPrune(survey.facts, pruneOptions(given));
          progress.clear();
          const { store } = repository;
          // Nobody writes at one file for a day, so whoever did is dead.
          const leftovers = await store.sweepLeftovers?.({ olderThanMs: 86_400_000, remove: !given.plan });
          if (!output.json) printPlan(plan, output, given.plan);
          if (!output.json && leftovers && leftovers.files > 0) printLeftovers(leftovers, output);
          const result = given.plan
            ? undefined
            : await executePrune(repository, survey, plan, { onProgress, signal }).finally(progress.clear);
          if (output.json)
            output.value({ ...toJson(plan, survey.snapshots, result), ...(leftovers ? { leftovers } : {}) });
          if (result) report(result, output);
        } finally {
          progress.clear();
        }
      },
      // A plan only reads, so backups may go on meanwhile.
      { exclusive: !given.plan },
    ),
});

function pruneOptions({ maxUnused, maxRepackSize, repackSmall }: OptionValues<typeof options>): PruneOptions {
  return {
    repackSmall,
    ...(maxUnused === undefined ? {} : { maxUnused }),
    ...(maxRepackSize === undefined ? {} : { maxRepackBytes: maxRepackSize }),
  };
}

function parseLimit(given: string): UnusedLimit {
  if (given === 'unlimited') return 'unlimited';
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(given)?.[1];
  if (percent === undefined) return { bytes: parseSize(given) };
  if (Number(percent) > 100) throw new Error('expected at most 100%');
  return { percent: Number(percent) };
}

const stepNames: Readonly<Record<PruneProgress['step'], string>> = {
  index: 'reading the index',
  trees: 'reading folders',
  repack: 'rewriting packs',
  remove: 'deleting packs',
};

function progressLine({ step, done, total }: PruneProgress): string {
  if (total === undefined) return `${stepNames[step]}: ${formatCount(done)}`;
  return `${stepNames[step]} ${formatBar(done, total)}  ${formatCount(done)} of ${formatCount(total)}`;
}

function printPlan({ decisions, totals }: PrunePlan, output: Output, inDetail: boolean): void {
  for (const { id, action, reason, sizeBytes } of inDetail ? decisions : []) {
    if (action === 'keep') continue;
    const verb = action === 'repack' ? 'rewrite' : 'delete';
    output.line(`  ${verb.padEnd(7)}  ${shortId(id)}  ${formatSize(sizeBytes).padStart(9)}  ${reason}`);
  }
  const { packs, bytes, usedBytes, unusedBytes, freedBytes, unusedAfterBytes } = totals;
  const line = (title: string, count: number, size: number): void => {
    if (count > 0) output.line(`${title.padEnd(14)} ${formatAmount(count, 'pack')}, ${formatSize(size)}`);
  };
  line('unused', packs.remove, bytes.remove);
  line('in no index', packs.sweep, bytes.sweep);
  line('missing', packs.drop, bytes.drop);
  line('to be rewritten', packs.repack, bytes.repack);
  line('to be kept', packs.keep, bytes.keep);
  output.line(
    `${formatSize(freedBytes)} of ${formatSize(usedBytes + unusedBytes + bytes.sweep)} become free, ` +
      `${formatSize(unusedAfterBytes)} stay unused`,
  );
}

function printLeftovers({ files, bytes }: Leftovers, output: Output): void {
  output.line(`${'half written'.padEnd(14)} ${formatAmount(files, 'file')} of writers that died, ${formatSize(bytes)}`);
}

function report({ packsRemoved, storedBytes, errors }: PruneResult, output: Output): void {
  for (const { id, message } of errors) {
    output.problem(`cannot delete pack ${shortId(id)}: ${message}`, { type: 'prune-error', id, message });
  }
  const written = storedBytes > 0 ? `, ${formatSize(storedBytes)} rewritten` : '';
  output.note(packsRemoved === 0 ? 'Nothing was deleted.' : `${formatAmount(packsRemoved, 'pack')} deleted${written}.`);
  if (errors.length > 0) throw new HoldfastError('PRUNE_INCOMPLETE', { count: errors.length });
}

function toJson({ decisions, totals }: PrunePlan, snapshots: number, result: PruneResult | undefined): object {
  const packs = decisions.filter(({ action }) => action !== 'keep');
  return { type: result ? 'pruned' : 'plan', snapshots, totals, packs, ...result };
}
