import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import { type PathPattern, parsePattern } from '../../repository/path-pattern.ts';
import { PathSearch } from '../../repository/path-search.ts';
import type { Repository } from '../../repository/repository.ts';
import { findSnapshot, listBackups } from '../../repository/snapshots.ts';
import { backupArgumentHelp, backupLine, openReading } from '../choose-backup.ts';
import { defineCommand, flag, type OptionValues, texts } from '../command.ts';
import { LineWriter } from '../line-writer.ts';
import { withRepository } from '../open-repository.ts';
import { entryJson, longLine } from '../shown-entry.ts';
import { shownPath } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  ignoreCase: flag('-i, --ignore-case', 'upper and lower case are the same'),
  long: flag('-l, --long', 'with type, permissions, owner, size and time'),
  backup: texts('--backup <backup>', `only in this one: ${backupArgumentHelp}`),
  ...filterOptions,
};
type Options = OptionValues<typeof options>;

export const findCommand = defineCommand({
  description:
    'Looks for names in all backups, the newest first. Patterns are those of a shell: * and ? within a name, ** for any ' +
    'number of folders, [a-z]; one that begins with / is matched from the root, any other in every folder. What lies ' +
    'below a folder that matches is found, too.',
  arguments: [{ name: '<patterns...>', help: 'what to look for; any of them' }],
  options,
  examples: [
    ["holdfast find '*.sql'", 'in which backups there are dumps'],
    ["holdfast find -l --namespace shop --claim data 'orders-2026-*'", 'versions of some files of one claim'],
    ["holdfast find --backup latest '/shop/**/config.yaml'", 'in the newest backup only'],
  ],
  exitCodes: [10, 12],
  run: (given, texts, context) =>
    withRepository(context, async (repository) => {
      const { output, signal } = context;
      const patterns = texts.map((text) => readPattern(text, given.ignoreCase));
      const snapshots = await choose(repository, given);
      const { reader } = await openReading(repository);
      const writer = new LineWriter(output);
      const search = new PathSearch(patterns, given.ignoreCase);
      let found = 0;
      for (const snapshot of snapshots) {
        let isFirst = true;
        for await (const entry of search.in(reader, snapshot.tree, signal)) {
          found += 1;
          if (output.json) await writer.write(JSON.stringify({ ...entryJson(entry), backupId: snapshot.id }));
          else {
            if (isFirst) await writer.write(`${found > 1 ? '\n' : ''}${output.bold(backupLine(snapshot))}`);
            await writer.write(given.long ? longLine(entry) : shownPath(entry.path));
          }
          isFirst = false;
        }
        await writer.end();
      }
      if (found === 0) output.note('Nothing was found.');
    }),
});

function readPattern(text: string, ignoreCase: boolean): PathPattern {
  try {
    return parsePattern(text, { ignoreCase });
  } catch (error) {
    throw new HoldfastError('USAGE', { problem: messageOf(error) }, { cause: error });
  }
}

/** Newest first. */
async function choose(repository: Repository, given: Options): Promise<StoredSnapshot[]> {
  const filter = filterFrom(given);
  if (given.backup.length === 0) return (await listBackups(repository, filter)).reverse();
  return Promise.all(given.backup.map((name) => findSnapshot(repository, name, filter)));
}
