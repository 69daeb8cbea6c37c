/**
 * The options with which several commands choose among the backups of a repository.
 */
import type { SnapshotFilter } from '../repository/snapshots.ts';
import { type OptionValues, texts } from './command.ts';

export const filterOptions = {
  host: texts('--host <name>', 'only backups of this host'),
  tag: texts('--tag <tag[,tag…]>', 'only backups that have all of these tags'),
  path: texts('--path <path>', 'only backups of this path'),
  namespace: texts('--namespace <name>', 'only backups of claims in this namespace'),
  claim: texts('--claim <name>', 'only backups of claims of this name'),
};

export function filterFrom({ host, tag, path, namespace, claim }: OptionValues<typeof filterOptions>): SnapshotFilter {
  return {
    hosts: host,
    tags: tag.map((list) => list.split(',')),
    paths: path,
    namespaces: namespace,
    claims: claim,
  };
}
