/** What is in a folder, to the last nanosecond, so that two can be compared. */
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** From path to everything about it that a backup must bring back. */
export type FolderRecord = ReadonlyMap<string, string>;

export function recordFolder(folder: string): FolderRecord {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const firstNames = new Map<bigint, string>();
  const entries = paths.map((path): [string, string] => {
    const stats = lstatSync(join(folder, path), { bigint: true });
    const first = firstNames.get(stats.ino) ?? path;
    firstNames.set(stats.ino, first);
    const facts = [
      stats.mode.toString(8),
      stats.uid,
      stats.gid,
      stats.mtimeNs,
      first === path ? '' : `same file as ${first}`,
    ];
    return [path, [...facts, contentOf(join(folder, path), stats)].join(' ')];
  });
  return new Map(entries);
}

/** The paths that differ, or are only in one of both. */
export function differences(expected: FolderRecord, found: FolderRecord): string[] {
  return [...new Set([...expected.keys(), ...found.keys()])].filter((path) => expected.get(path) !== found.get(path));
}

function contentOf(path: string, stats: BigIntStats): string {
  if (stats.isSymbolicLink()) return `→ ${readlinkSync(path)}`;
  if (!stats.isFile()) return '';
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
