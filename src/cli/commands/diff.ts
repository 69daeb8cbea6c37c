import { formatSize } from '../../base/units.ts';
import { type DiffSummary, diffTrees, type SideCounts, type TreeChange } from '../../repository/diff-trees.ts';
import { findSnapshot } from '../../repository/snapshots.ts';
import { backupArgumentHelp, backupLine, openReading } from '../choose-backup.ts';
import { defineCommand, flag } from '../command.ts';
import { LineWriter } from '../line-writer.ts';
import { withRepository } from '../open-repository.ts';
import { formatAmount, type Output } from '../output.ts';
import { pathJson, shownPath } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

export const diffCommand = defineCommand({
  description:
    'One line for each entry that differs: + added, - removed, M other content, T other type, and with --metadata U ' +
    'other mode, owner, time or attributes. Then the sums, with the data that only one of the two backups needs.',
  arguments: [
    { name: '<before>', help: backupArgumentHelp },
    { name: '<after>', help: 'the same' },
  ],
  options: {
    metadata: flag('--metadata', 'also entries of which only mode, owner, time or attributes differ'),
    ...filterOptions,
  },
  examples: [
    ['holdfast diff latest~1 latest', 'what the newest backup brought'],
    ['holdfast diff shop/data@2026-11-01 shop/data', 'what has happened to a claim since then'],
    ['holdfast diff 1f2e3d4c 5b6a7988 --json | jq -r \'select(.change == "removed") | .path\'', 'what is gone'],
  ],
  exitCodes: [10, 12],
  run: (given, [first = '', second = ''], context) =>
    withRepository(context, async (repository) => {
      const { output, signal } = context;
      const filter = filterFrom(given);
      const before = await findSnapshot(repository, first, filter);
      const after = await findSnapshot(repository, second, filter);
      output.note(`from ${backupLine(before)}\nto   ${backupLine(after)}`);
      const { index, reader } = await openReading(repository);
      const writer = new LineWriter(output);
      const onChange = (change: TreeChange): Promise<void> | undefined => {
        if (change.change === 'metadata' && !given.metadata) return undefined;
        return writer.write(output.json ? JSON.stringify(changeJson(change)) : changeLine(change));
      };
      const trees = { before: before.tree, after: after.tree };
      const summary = await diffTrees(reader, index, trees, { onChange, signal });
      await writer.end();
      if (output.json) output.value({ type: 'summary', before: before.id, after: after.id, ...summary });
      else printSummary(summary, output);
    }),
});

const marks = { added: '+', removed: '-', modified: 'M', type: 'T', metadata: 'U' } as const;

function changeLine({ change, path, before, after, fields }: TreeChange): string {
  const slash = (after ?? before)?.type === 'dir' ? '/' : '';
  return `${marks[change]}  ${shownPath(path)}${slash}${remark({ change, path, fields, ...sides(before, after) })}`;
}

function sides(before: TreeChange['before'], after: TreeChange['after']) {
  return { ...(before && { before }), ...(after && { after }) };
}

/** What there is to say beside the path. */
function remark({ change, before, after, fields }: TreeChange): string {
  if (change === 'type') return `  (${before?.type} → ${after?.type})`;
  if (change === 'metadata') return `  (${fields.join(', ')})`;
  if (change !== 'modified' || after?.type !== 'file') return '';
  return `  (${formatSize(before?.sizeBytes ?? 0)} → ${formatSize(after.sizeBytes)})`;
}

function changeJson({ change, path, before, after, fields }: TreeChange): Record<string, unknown> {
  return {
    type: 'change',
    change,
    ...pathJson(path),
    ...(before && { before: sideJson(before) }),
    ...(after && { after: sideJson(after) }),
    ...(fields.length > 0 && { fields }),
  };
}

function sideJson({ type, sizeBytes }: NonNullable<TreeChange['before']>): Record<string, unknown> {
  return type === 'file' ? { kind: type, sizeBytes } : { kind: type };
}

function printSummary({ added, removed, modified, typeChanged, metadataChanged }: DiffSummary, output: Output): void {
  output.line();
  output.line(`added     ${sideLine(added)}`);
  output.line(`removed   ${sideLine(removed)}`);
  output.line(`changed   ${modified} in content, ${typeChanged} in type, ${metadataChanged} only in metadata`);
}

function sideLine({ files, folders, others, dataBlobs, treeBlobs, bytes }: SideCounts): string {
  const kinds = [formatAmount(files, 'file'), formatAmount(folders, 'folder')];
  if (others > 0) kinds.push(formatAmount(others, 'other'));
  return `${kinds.join(', ')}; ${formatSize(bytes)} of data in ${formatAmount(dataBlobs + treeBlobs, 'blob')}`;
}
