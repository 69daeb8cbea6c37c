import { HoldfastError } from '../../base/errors.ts';
import {
  executeIndexRepair,
  isRepairNeeded,
  planIndexRepair,
  type RepairPlan,
  type RepairResult,
} from '../../repository/repair-index.ts';
import { defineCommand, flag } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';

export const repairIndexCommand = defineCommand({
  description:
    'Packs that the index lacks, or has wrong, are read again, as far as their headers; packs that are gone are taken ' +
    'out of it. No pack is changed or deleted. Files of which data is lost are stored again by the next backup.',
  options: {
    readAllPacks: flag('--read-all-packs', 'believe nothing that the index says, and read the header of every pack'),
    plan: flag('--plan', 'show what is wrong with the index, and change nothing'),
  },
  examples: [
    ['holdfast repair index --plan', 'what is wrong with it'],
    ['holdfast repair index', 'when check or prune says that packs or index files are missing or damaged'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: ({ readAllPacks, plan: planOnly }, _, context) =>
    withLockedRepository(
      context,
      async (repository, signal) => {
        const { output } = context;
        const plan = await planIndexRepair(repository, { readAllPacks, signal });
        if (!output.json) printPlan(plan, output);
        if (planOnly || !isRepairNeeded(plan)) {
          if (output.json) output.value({ type: 'plan', ...planJson(plan) });
          return;
        }
        const progress = createProgress(output);
        const result = await executeIndexRepair(repository, plan, {
          signal,
          onProgress: (done, total) =>
            progress.update(
              () => `reading packs ${formatBar(done, total)}  ${formatCount(done)} of ${formatCount(total)}`,
            ),
        }).finally(progress.clear);
        if (output.json) output.value({ type: 'repaired', ...planJson(plan), ...result });
        report(result, output);
      },
      { exclusive: !planOnly },
    ),
});

function printPlan(plan: RepairPlan, output: Output): void {
  for (const id of plan.damagedFiles) output.line(`index file ${shortId(id)} cannot be read`);
  for (const id of plan.missing) output.line(`pack ${shortId(id)} is gone`);
  for (const id of plan.wrong) output.line(`pack ${shortId(id)} is not what the index says`);
  for (const id of plan.marked) output.line(`pack ${shortId(id)} is marked for removal by rustic, and comes back`);
  if (isRepairNeeded(plan)) output.line(`${formatAmount(plan.read.size, 'pack')} to read`);
  else output.line('the index is sound');
}

function planJson({ read, missing, wrong, damagedFiles, marked }: RepairPlan) {
  return { read: [...read.keys()], missing, wrong, damagedFiles, marked: [...marked] };
}

function report({ packsRead, unreadable, indexFilesReplaced }: RepairResult, output: Output): void {
  for (const { id, message } of unreadable) {
    output.problem(`cannot read pack ${shortId(id)}: ${message}`, { type: 'repair-error', id, message });
  }
  output.note(`${formatAmount(packsRead, 'pack')} read, ${formatAmount(indexFilesReplaced, 'index file')} replaced.`);
  if (unreadable.length > 0) throw new HoldfastError('REPAIR_INCOMPLETE', { count: unreadable.length });
}
