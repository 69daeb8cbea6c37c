/**
 * The options with which several commands choose among the backups of a repository.
 */
import type { SnapshotFilter } from '../repository/snapshots.ts';
import { texts } from './command.ts';

export const filterOptions = {
  host: texts('--host <name>', 'only backups of this host'),
  tag: texts('--tag <tag[,tag…]>', 'only backups that have all of these tags'),
  path: texts('--path <path>', 'only backups of this path'),
};

export function filterFrom(options: {
  readonly host: readonly string[];
  readonly tag: readonly string[];
  readonly path: readonly string[];
}): SnapshotFilter {
  return { hosts: options.host, tags: options.tag.map((list) => list.split(',')), paths: options.path };
}
