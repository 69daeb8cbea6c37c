import { HoldfastError } from '../../base/errors.ts';
import { formatDuration, formatSize } from '../../base/units.ts';
import { type CheckProgress, type CheckReport, checkRepository } from '../../repository/check.ts';
import type { CheckFinding } from '../../repository/check-findings.ts';
import { parseSubset } from '../../repository/check-subset.ts';
import { defineCommand, flag, parsed } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';

export const checkCommand = defineCommand({
  description:
    'Without options it looks whether everything that the backups need is there. With --read-data it also reads, ' +
    'decrypts and verifies every byte of it. Nothing is changed; backups may run meanwhile.',
  options: {
    readData: flag('--read-data', 'read and verify all data'),
    readDataSubset: parsed(
      '--read-data-subset <part>',
      'read and verify a part of it: 3/7 (the third of seven), 10% or 5G (at random)',
      parseSubset,
    ),
  },
  examples: [
    ['holdfast check', 'is everything there'],
    ['holdfast check --read-data', 'and is it intact'],
    ['holdfast check --read-data-subset $(date +%u)/7', 'a seventh every day'],
  ],
  exitCodes: [10, 11, 12],
  run: async ({ readData, readDataSubset }, _, context) => {
    const { output, settings } = context;
    const progress = createProgress(output);
    const startMs = Date.now();
    const report = await withLockedRepository(context, (repository, signal) =>
      checkRepository(repository, {
        readData: readData || (readDataSubset ?? false),
        env: settings.env,
        onProgress: (now) => progress.update(() => progressLine(now)),
        signal,
      }),
    ).finally(progress.clear);
    if (output.json) output.value({ type: 'summary', ok: report.errorCount === 0, ...report });
    else printReport(report, Date.now() - startMs, output);
    if (report.errorCount > 0) throw new HoldfastError('CHECK_FAILED', { count: report.errorCount });
  },
});

const stepNames: Readonly<Record<CheckProgress['step'], string>> = {
  snapshots: 'reading backups',
  index: 'reading the index',
  packs: 'looking for packs',
  trees: 'reading folders',
  data: 'reading data',
};

function progressLine({ step, done, total }: CheckProgress): string {
  if (total === undefined) return `${stepNames[step]}: ${formatCount(done)}`;
  return `${stepNames[step]} ${formatBar(done, total)}  ${formatCount(done)} of ${formatCount(total)}`;
}

function printReport(report: CheckReport, elapsedMs: number, output: Output): void {
  for (const finding of report.hints) output.note(`note: ${describe(finding)}`);
  for (const finding of report.errors) output.problem(`error: ${describe(finding)}`, { ...finding });
  const more = report.errorCount - report.errors.length;
  if (more > 0) output.problem(`and ${formatAmount(more, 'more error')}`, { more });
  const { snapshots, trees, blobs, packs, packBytes, packsRead } = report;
  output.line(`checked ${formatAmount(snapshots, 'backup')} in ${formatDuration(elapsedMs)}`);
  output.line(`  folders ${formatCount(trees)}`);
  output.line(`  blobs   ${formatCount(blobs)} in ${formatAmount(packs, 'pack')}, ${formatSize(packBytes)}`);
  output.line(`  read    ${packsRead === 0 ? 'no data: give --read-data for that' : formatAmount(packsRead, 'pack')}`);
  if (report.errorCount === 0) output.line('no errors were found');
}

function describe({ kind, id, message }: CheckFinding): string {
  return `${kind} ${shortId(id)}: ${message}`;
}
