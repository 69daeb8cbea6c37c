import { formatSize } from '../../base/units.ts';
import { findSnapshot, listBackups } from '../../repository/snapshots.ts';
import { type BlobTotals, computeStats, type GroupStats, type RepositoryStats } from '../../repository/stats.ts';
import { backupArgumentHelp, openReading } from '../choose-backup.ts';
import { defineCommand, flag } from '../command.ts';
import { withRepository } from '../open-repository.ts';
import { formatAmount, formatCount, formatTable, formatTime, type Output, shortId } from '../output.ts';
import { createProgress } from '../progress.ts';
import { shownText } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

export const statsCommand = defineCommand({
  description:
    'For each claim, or host and paths: what a restore of the newest backup writes, and what all its backups take in ' +
    'the repository, each piece of data counted once. Data that several of them share is in the number of each, and ' +
    'once in the total.',
  arguments: [{ name: '[backups...]', help: `only these: ${backupArgumentHelp}` }],
  options: {
    growth: flag('--growth', 'also what each backup added, oldest first'),
    ...filterOptions,
  },
  examples: [
    ['holdfast stats', 'what takes the space'],
    ['holdfast stats --namespace shop --growth', 'how the claims of a namespace grow'],
    ['holdfast stats latest --json', 'numbers of one backup'],
  ],
  exitCodes: [10, 12],
  run: (given, names, context) =>
    withRepository(context, async (repository) => {
      const { output, signal } = context;
      const filter = filterFrom(given);
      const snapshots =
        names.length === 0
          ? await listBackups(repository, filter)
          : await Promise.all(names.map((name) => findSnapshot(repository, name, filter)));
      const { index, reader } = await openReading(repository);
      const progress = createProgress(output);
      const stats = await computeStats(reader, index, snapshots, {
        signal,
        onProgress: ({ backups, trees }) =>
          progress.update(
            () => `counting: ${backups} of ${formatAmount(snapshots.length, 'backup')}, ${trees} folders`,
          ),
      }).finally(progress.clear);
      if (output.json) output.value({ type: 'stats', ...stats });
      else printStats(stats, given.growth, output);
    }),
});

const groupColumns = [
  { title: 'OF' },
  { title: 'BACKUPS', align: 'right' },
  { title: 'NEWEST' },
  { title: 'ENTRIES', align: 'right' },
  { title: 'RESTORE SIZE', align: 'right' },
  { title: 'STORED', align: 'right' },
] as const;

function printStats({ groups, backups, total }: RepositoryStats, growth: boolean, output: Output): void {
  if (groups.length === 0) {
    output.note('There are no backups.');
    return;
  }
  for (const line of formatTable(groupColumns, groups.map(groupRow), output.bold)) output.line(line);
  if (growth) for (const group of groups) printGrowth(group, output);
  output.line();
  output.line(`total   ${formatAmount(backups, 'backup')}, ${totalLine(total)}`);
}

function groupRow(group: GroupStats): string[] {
  const newest = group.backups.at(-1);
  return [
    subjectOf(group),
    String(group.backups.length),
    newest ? formatTime(newest.time) : '-',
    formatCount(newest?.entries ?? 0),
    formatSize(newest?.restoreBytes ?? 0),
    formatSize(group.total.storedBytes),
  ];
}

const growthColumns = [
  { title: 'BACKUP' },
  { title: 'TIME' },
  { title: 'RESTORE SIZE', align: 'right' },
  { title: 'ADDED', align: 'right' },
  { title: 'STORED SO FAR', align: 'right' },
] as const;

function printGrowth(group: GroupStats, output: Output): void {
  let storedBytes = 0;
  const rows = group.backups.map(({ id, time, restoreBytes, added }) => {
    storedBytes += added.storedBytes;
    const sizes = [restoreBytes, added.storedBytes, storedBytes].map(formatSize);
    return [shortId(id), formatTime(time), ...sizes];
  });
  output.line(`\n${output.bold(subjectOf(group))}`);
  for (const line of formatTable(growthColumns, rows)) output.line(line);
}

function subjectOf({ namespace, claim, host, paths }: GroupStats): string {
  return shownText(claim === undefined ? [host, ...paths].join(' ') : `${namespace}/${claim}`);
}

function totalLine({ blobs, storedBytes, plainBytes }: BlobTotals): string {
  const ratio = storedBytes > 0 ? ` (${(plainBytes / storedBytes).toFixed(2)} to 1)` : '';
  const sizes = `${formatSize(storedBytes)} stored for ${formatSize(plainBytes)} of data${ratio}`;
  return `${sizes}, ${formatAmount(blobs, 'blob')}`;
}
