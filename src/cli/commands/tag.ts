import { HoldfastError } from '../../base/errors.ts';
import { findSnapshot, listBackups } from '../../repository/snapshots.ts';
import { planTags, retag, type TagChange } from '../../repository/tag.ts';
import { defineCommand, flag, type OptionValues, text, texts } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, type Output, shortId } from '../output.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';

const options = {
  add: texts('--add <tag[,tag…]>', 'add these tags'),
  remove: texts('--remove <tag[,tag…]>', 'take these tags away'),
  set: text('--set <tag[,tag…]>', 'these tags in place of all others'),
  plan: flag('--plan', 'show which backups would have which tags, and change nothing'),
  ...filterOptions,
};

export const tagCommand = defineCommand({
  description:
    'A backup with other tags is a new one with a new id, which remembers the old one as its original. Backups of ' +
    'claims carry tags that say which claim they are of: --set and --remove can take those away too.',
  arguments: [{ name: '[backups...]', help: 'exactly these; otherwise all that the filters let through' }],
  options,
  examples: [
    ['holdfast tag --add before-upgrade latest', 'the newest backup'],
    ['holdfast tag --remove nightly --host web-1 --plan', 'which backups of a host this would change'],
  ],
  exitCodes: [10, 11, 12],
  run: async (given, names, context) => {
    const change = changeFrom(given);
    await withLockedRepository(
      context,
      async (repository, signal) => {
        const { output } = context;
        const filter = filterFrom(given);
        const backups =
          names.length > 0
            ? await Promise.all(names.map((name) => findSnapshot(repository, name, filter)))
            : await listBackups(repository, filter);
        if (given.plan) return printPlan(planTags(backups, change), output);
        const changed = await retag(repository, backups, change, signal);
        if (output.json) return output.value({ type: 'tagged', changed });
        for (const { from, to, tags } of changed)
          output.line(`${shortId(from)} is ${shortId(to)} now: ${tags.join(', ')}`);
        output.line(`${formatAmount(changed.length, 'backup')} changed`);
      },
      { exclusive: !given.plan },
    );
  },
});

function changeFrom({ add, remove, set }: OptionValues<typeof options>): TagChange {
  const isSet = set !== undefined;
  if (!isSet && add.length + remove.length === 0) {
    throw new HoldfastError('USAGE', { problem: 'Give --add, --remove or --set' });
  }
  if (isSet && add.length + remove.length > 0) {
    throw new HoldfastError('USAGE', { problem: '--set replaces all tags, and goes with neither --add nor --remove' });
  }
  return isSet ? { set: listOf([set]) } : { add: listOf(add), remove: listOf(remove) };
}

function listOf(given: readonly string[]): string[] {
  return given.flatMap((list) => list.split(',')).filter((tag) => tag !== '');
}

function printPlan(
  planned: readonly { readonly id: string; readonly tags: readonly string[] }[],
  output: Output,
): void {
  if (output.json) {
    output.value({ type: 'plan', changed: planned });
    return;
  }
  for (const { id, tags } of planned) output.line(`${shortId(id)} would have the tags ${tags.join(', ') || '(none)'}`);
  output.line(`${formatAmount(planned.length, 'backup')} would change`);
}
