import { HoldfastError } from '../../base/errors.ts';
import { findEntry } from '../../repository/find-entry.ts';
import { dumpFile, dumpFolder } from '../../volume/dump.ts';
import { backupArgumentHelp, chooseBackup, openReading } from '../choose-backup.ts';
import { defineCommand, parsed } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

export const dumpCommand = defineCommand({
  description:
    'A file comes out byte for byte, a folder as a tar archive (POSIX pax) with owners, permissions, times, links and ' +
    'extended attributes, under its path in the backup. An archive that was cut off by an error has no end.',
  arguments: [
    { name: '<backup>', help: backupArgumentHelp },
    { name: '<path>', help: 'file or folder in the backup; / for everything' },
  ],
  options: {
    archive: parsed('-a, --archive <format>', 'format of a folder: tar, the only one (default: tar)', requireTar),
    ...filterOptions,
  },
  examples: [
    ['holdfast dump latest /etc/fstab', 'a file, to the terminal'],
    ['holdfast dump shop/db /shop/db/volume/dump.sql | psql', 'a file, to where it is needed'],
    ['holdfast dump shop/data / > data.tar', 'a whole backup as an archive'],
    ["holdfast dump 1f2e3d4c /home | tar -x --xattrs --xattrs-include='*' -C /tmp/out", 'a folder, unpacked'],
  ],
  exitCodes: [10, 11, 12],
  run: async (given, [name = '', path = ''], context) => {
    const { output } = context;
    await withLockedRepository(context, async (repository, signal) => {
      const snapshot = await chooseBackup(repository, name, filterFrom(given), output);
      const { index, reader } = await openReading(repository);
      const entry = await findEntry(reader, snapshot, path);
      if (entry.treeId !== undefined && output.stdout.isTTY) {
        throw new HoldfastError('USAGE', {
          problem: 'A folder comes out as a tar archive: send it to a file or a pipe',
        });
      }
      const source = { reader, index, signal };
      const bytes = entry.treeId === undefined ? dumpFile(source, entry) : dumpFolder(source, entry);
      for await (const part of bytes) await output.bytes(part);
    });
  },
});

function requireTar(format: string): 'tar' {
  if (format === 'tar') return format;
  throw new Error('expected tar');
}
