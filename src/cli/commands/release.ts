import { hostname } from 'node:os';
import { heldBackups } from '../../repository/ledger/ledger.ts';
import { writeRecord } from '../../repository/ledger/write-record.ts';
import { defineCommand, flag, text } from '../command.ts';
import { chooseBackups, readHeld, titleOf } from '../held-backups.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatTime, shortId } from '../output.ts';

export const releaseCommand = defineCommand({
  description: 'From then on the rules decide about these backups again. It removes nothing by itself.',
  arguments: [{ name: '<backups...>', help: 'ids of backups, or NAMESPACE/CLAIM for all of a claim' }],
  options: {
    reason: text('--reason <text>', 'why, for whoever wonders later'),
    plan: flag('--plan', 'show what would be released, and release nothing'),
  },
  examples: [
    ['holdfast release shop/orders --reason "the volume was emptied on purpose"', 'all backups of a claim'],
    ['holdfast release 1f2e3d4c', 'one backup'],
  ],
  exitCodes: [10, 11, 12],
  run: async ({ reason, plan }, names, context) =>
    withLockedRepository(context, async (repository, _, lock) => {
      const state = await readHeld(repository);
      const chosen = await chooseBackups(repository, state, names);
      const held = heldBackups(state.ledger, chosen);
      const released = chosen.filter(({ id }) => held.has(id));
      const holds = [...new Set([...held.values()].flat().map(({ record }) => record))];
      const { output } = context;
      const host = released[0]?.hostname ?? hostname();
      const confirmLock = (): Promise<void> => lock.confirm();
      const content = { kind: 'Release' as const, holds, backups: released.map(({ id }) => id) };
      const recordId =
        plan || released.length === 0
          ? undefined
          : await writeRecord(
              repository,
              { ...content, ...(reason === undefined ? {} : { reason }) },
              { host, confirmLock },
            );
      if (output.json) {
        output.value({ type: plan ? 'plan' : 'released', recordId, backups: content.backups });
        return;
      }
      for (const backup of released) {
        const why = (held.get(backup.id) ?? []).map((hold) => hold.reason).join('; ');
        output.line(`release  ${shortId(backup.id)}  ${formatTime(backup.time)}  ${titleOf(backup)}  held: ${why}`);
      }
      const amount = formatAmount(released.length, 'backup');
      output.note(
        released.length === 0
          ? 'None of these is held.'
          : plan
            ? `${amount} would be released.`
            : `${amount} released.`,
      );
    }),
});
