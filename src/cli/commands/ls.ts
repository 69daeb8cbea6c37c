import { findEntry } from '../../repository/find-entry.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import { type TreeEntry, type TreeReader, walkTree } from '../../repository/walk-tree.ts';
import { backupArgumentHelp, chooseBackup, openReading } from '../choose-backup.ts';
import { defineCommand, flag } from '../command.ts';
import { describeBackup } from '../describe-backup.ts';
import { LineWriter } from '../line-writer.ts';
import { withRepository } from '../open-repository.ts';
import { entryJson, longLine } from '../shown-entry.ts';
import { shownPath } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  long: flag('-l, --long', 'with type, permissions, owner, size and time'),
  recursive: flag('--recursive', 'with paths: also what lies below the folders in them'),
  ...filterOptions,
};

export const lsCommand = defineCommand({
  description:
    'Without paths, everything in the backup; with paths, these entries and what is directly in them. Characters ' +
    'that a terminal would not show are escaped.',
  arguments: [
    { name: '<backup>', help: backupArgumentHelp },
    { name: '[paths...]', help: 'folders or files in the backup' },
  ],
  options,
  examples: [
    ['holdfast ls latest', 'every entry of the newest backup'],
    ['holdfast ls -l shop/data /shop/data/volume', "what is in the top folder of a claim's volume"],
    ["holdfast ls 1f2e3d4c --json | jq -r 'select(.sizeBytes > 1e9) | .path'", 'the large files'],
  ],
  exitCodes: [10, 12],
  run: (given, [name = '', ...paths], context) =>
    withRepository(context, async (repository) => {
      const { output, signal } = context;
      const snapshot = await chooseBackup(repository, name, filterFrom(given), output);
      const { reader } = await openReading(repository);
      const writer = new LineWriter(output);
      if (output.json) await writer.write(JSON.stringify({ type: 'backup', ...describeBackup(snapshot) }));
      const listing = { reader, snapshot, recursive: given.recursive, signal };
      for (const path of paths.length === 0 ? [undefined] : paths) {
        for await (const entry of entriesOf(listing, path)) {
          const line = given.long ? longLine(entry) : shownPath(entry.path);
          await writer.write(output.json ? JSON.stringify(entryJson(entry)) : line);
        }
      }
      await writer.end();
    }),
});

interface Listing {
  readonly reader: TreeReader;
  readonly snapshot: StoredSnapshot;
  readonly recursive: boolean;
  readonly signal: AbortSignal;
}

/** undefined: the whole backup. */
async function* entriesOf({ reader, snapshot, recursive, signal }: Listing, at?: string): AsyncGenerator<TreeEntry> {
  if (at === undefined) {
    yield* walkTree(reader, snapshot.tree, { signal });
    return;
  }
  const { path, node, treeId } = await findEntry(reader, snapshot, at);
  if (node) yield { path, node };
  if (treeId !== undefined) yield* walkTree(reader, treeId, { path, enter: () => recursive, signal });
}
