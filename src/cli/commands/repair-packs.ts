import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import {
  executePackRepair,
  type PackRepair,
  type PackRepairPlan,
  type PackRepairResult,
  planPackRepair,
} from '../../repository/repair-packs.ts';
import { defineCommand, flag, text } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';

export const repairPacksCommand = defineCommand({
  description:
    'What can be read of these packs goes into new ones; the index is told; then the damaged packs are removed, after a ' +
    'copy of each was kept in a folder. Packs without a fault are left alone. Afterwards, `holdfast repair snapshots` ' +
    'finds the backups that lack what was lost.',
  arguments: [
    { name: '<packs...>', help: 'ids of packs or their beginnings, as `holdfast check --read-data` names them' },
  ],
  options: {
    saveTo: text('--save-to <folder>', 'where the copies of damaged packs go (default: the current folder)'),
    plan: flag('--plan', 'read the packs, show what can be saved, and change nothing'),
  },
  examples: [
    ['holdfast repair packs 1f2e3d4c --plan', 'what can be saved of it'],
    ['holdfast repair packs 1f2e3d4c --save-to ~/damaged', 'save it'],
  ],
  exitCodes: [10, 11, 12],
  run: ({ saveTo = '.', plan: planOnly }, names, context) =>
    withLockedRepository(
      context,
      async (repository, signal) => {
        const { output } = context;
        const progress = createProgress(output);
        const plan = await planPackRepair(repository, names, {
          signal,
          onPack: (done) =>
            progress.update(
              () =>
                `reading packs ${formatBar(done, names.length)}  ${formatCount(done)} of ${formatCount(names.length)}`,
            ),
        }).finally(progress.clear);
        if (!output.json) printPlan(plan, output);
        if (planOnly || plan.damaged.length === 0) {
          if (output.json) output.value({ type: 'plan', ...planJson(plan) });
          return;
        }
        const saveCopy = (id: string, bytes: Buffer): Promise<void> => keepCopy(resolve(saveTo), id, bytes);
        const result = await executePackRepair(repository, plan, { saveCopy, signal });
        if (output.json) output.value({ type: 'repaired', ...planJson(plan), ...result });
        else report(plan, result, output);
      },
      { exclusive: !planOnly },
    ),
});

/** Throws USAGE where the folder cannot take it; a copy that is there already is never written over. */
async function keepCopy(folder: string, id: string, bytes: Buffer): Promise<void> {
  const path = join(folder, `pack-${id}`);
  const problem = (reason: string): HoldfastError =>
    new HoldfastError('USAGE', { problem: `Cannot keep a copy of pack ${shortId(id)} as ${path}: ${reason}` });
  const there = await readFile(path).catch(() => undefined);
  if (there?.equals(bytes)) return;
  if (there) throw problem('another file is there. Give another --save-to');
  try {
    await writeFile(`${path}.part`, bytes, { flush: true });
    await rename(`${path}.part`, path);
  } catch (error) {
    throw problem(`${error instanceof Error ? error.message : String(error)}. Give another --save-to`);
  }
}

function printPlan({ damaged, sound }: PackRepairPlan, output: Output): void {
  for (const id of sound) output.line(`pack ${shortId(id)} has no fault`);
  for (const pack of damaged) {
    output.line(`pack ${shortId(pack.id)}: ${describe(pack)}`);
    for (const { type, id } of pack.lost) output.line(`  lost: ${type} blob ${shortId(id)}`);
  }
}

function describe({ isMissing, readable, lost, elsewhereCount }: PackRepair): string {
  const other = elsewhereCount > 0 ? ` (${formatCount(elsewhereCount)} of them in another pack too)` : '';
  const can = isMissing ? 'it is missing' : `${formatAmount(readable.length, 'blob')} can be read`;
  return `${can}, ${formatCount(lost.length)} cannot${lost.length > 0 ? other : ''}`;
}

function planJson({ damaged, sound }: PackRepairPlan) {
  const packs = damaged.map(({ id, isMissing, problems, readable, lost, elsewhereCount }) => ({
    id,
    missing: isMissing,
    problems,
    readableBlobs: readable.length,
    lost: lost.map(({ type, id: blob }) => ({ type, id: blob })),
    lostElsewhere: elsewhereCount,
  }));
  return { packs, sound };
}

function report({ damaged }: PackRepairPlan, result: PackRepairResult, output: Output): void {
  const lost = damaged.reduce((sum, pack) => sum + pack.lost.length - pack.elsewhereCount, 0);
  output.line(
    `${formatAmount(result.savedBlobs, 'blob')} saved, ${formatAmount(result.packsRemoved, 'damaged pack')} removed`,
  );
  if (lost > 0) output.note('Run `holdfast repair snapshots --plan` to see which files lack what was lost.');
}
