import { hostname } from 'node:os';
import { HoldfastError } from '../../base/errors.ts';
import { writeRecord } from '../../repository/ledger/write-record.ts';
import { defineCommand, flag, text } from '../command.ts';
import { chooseBackups, readHeld, titleOf } from '../held-backups.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatTime, shortId } from '../output.ts';

export const holdCommand = defineCommand({
  description:
    'What is held is removed by no rule, and by `forget` only with --even-held, until it is released. A claim stands for ' +
    'all backups that it has now; later ones are not held.',
  arguments: [{ name: '<backups...>', help: 'ids of backups, or NAMESPACE/CLAIM for all of a claim' }],
  options: {
    reason: text('--reason <text>', 'why, for whoever wonders later (default: held by hand)'),
    plan: flag('--plan', 'show what would be held, and hold nothing'),
  },
  examples: [
    ['holdfast hold shop/orders --reason "audit of 2026, ask Ada"', 'all backups of a claim'],
    ['holdfast hold 1f2e3d4c', 'one backup'],
    ['holdfast release shop/orders', 'the opposite'],
  ],
  exitCodes: [10, 11, 12],
  run: async ({ reason = 'held by hand', plan }, names, context) =>
    withLockedRepository(context, async (repository, _, lock) => {
      const state = await readHeld(repository);
      const chosen = await chooseBackups(repository, state, names);
      const ids = chosen.map(({ id }) => id);
      if (ids.length === 0) throw new HoldfastError('BACKUP_NOT_FOUND', { name: names.join(', ') });
      const titles = new Set(chosen.map(titleOf));
      const [claim] = titles.size === 1 ? titles : [];
      const { output } = context;
      const host = chosen[0]?.hostname ?? hostname();
      const confirmLock = (): Promise<void> => lock.confirm();
      const content = { kind: 'Hold' as const, by: 'user' as const, backups: ids, reason };
      const recordId = plan
        ? undefined
        : await writeRecord(
            repository,
            { ...content, ...(claim === undefined ? {} : { claim }) },
            { host, confirmLock },
          );
      if (output.json) {
        output.value({ type: plan ? 'plan' : 'held', recordId, backups: ids, reason });
        return;
      }
      for (const backup of chosen) {
        output.line(`hold  ${shortId(backup.id)}  ${formatTime(backup.time)}  ${titleOf(backup)}`);
      }
      const amount = formatAmount(ids.length, 'backup');
      output.note(plan ? `${amount} would be held.` : `${amount} held: ${reason}`);
    }),
});
