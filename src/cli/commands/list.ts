import { HoldfastError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import { isInStorage } from '../../repository/claim-layout.ts';
import type { Repository } from '../../repository/repository.ts';
import { backupsOf, listSnapshots } from '../../repository/snapshots.ts';
import { type CommandContext, defineCommand, flag } from '../command.ts';
import { type BackupEntry, describeBackup, shownTags, subjectOf } from '../describe-backup.ts';
import { heldReasons, ledgerOr } from '../held-backups.ts';
import { withRepository } from '../open-repository.ts';
import { formatAmount, formatTable, formatTime, type Output, shortId } from '../output.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

export const listCommand = defineCommand({
  options: { runs: flag('--runs', 'list runs instead, with what became of every claim'), ...filterOptions },
  examples: [
    ['holdfast list', 'every backup of the repository'],
    ['holdfast list --tag nightly --host web-1', 'only some'],
    ["holdfast list --json | jq -r '.[-1].id'", 'the id of the newest'],
  ],
  exitCodes: [10, 12],
  run: (options, _, context) =>
    withRepository(context, async (repository) => {
      if (options.runs) {
        const { listRuns } = await import('../run-report.ts');
        await listRuns(repository, filterFrom(options), context.output);
        return;
      }
      const damaged: HoldfastError[] = [];
      const snapshots = await listSnapshots(repository, { onError: (error) => damaged.push(error) });
      const found = backupsOf(snapshots, filterFrom(options));
      const held = heldReasons(await ledgerOr(repository, snapshots, (error) => damaged.push(error)), found);
      const kept = found.some(isInStorage) ? await askCluster(context, repository) : undefined;
      const entries = found.map((backup) => describeBackup(backup, held.get(backup.id), kept?.stateOf(backup)));
      if (context.output.json) context.output.value(entries);
      else printTable(entries, context.output);
      for (const error of damaged) context.output.problem(`error: ${error.message}`, error.toJSON());
      if (damaged.length > 0) {
        throw new HoldfastError('REPOSITORY_DAMAGED', {
          reason: `${damaged.length} backups or records cannot be read`,
        });
      }
    }),
});

/** Only the cluster knows whether snapshots in its storage are still there. */
async function askCluster(context: CommandContext, repository: Repository) {
  const { keptIfReachable } = await import('../kept-backups.ts');
  return keptIfReachable(context, repository);
}

function printTable(entries: readonly BackupEntry[], output: Output): void {
  if (entries.length === 0) {
    output.note('There are no backups.');
    return;
  }
  const columns = [
    { title: 'BACKUP' },
    { title: 'TIME' },
    { title: 'HOST' },
    { title: 'OF' },
    { title: 'FILES', align: 'right' },
    { title: 'SIZE', align: 'right' },
    { title: 'STORED', align: 'right' },
    { title: 'TAGS' },
  ] as const;
  const rows = entries.map((entry) => [
    shortId(entry.id),
    formatTime(entry.time),
    entry.host,
    subjectOf(entry),
    entry.files === undefined ? '-' : String(entry.files),
    entry.sizeBytes === undefined ? '-' : formatSize(entry.sizeBytes),
    entry.storedBytes === undefined ? '-' : formatSize(entry.storedBytes),
    shownTags(entry).join(', '),
  ]);
  for (const line of formatTable(columns, rows, output.bold)) output.line(line);
  output.note(formatAmount(entries.length, 'backup'));
}
