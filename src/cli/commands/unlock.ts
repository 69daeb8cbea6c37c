import { removeStaleLocks, type StoredLock } from '../../repository/locks.ts';
import { defineCommand, flag } from '../command.ts';
import { withRepository } from '../open-repository.ts';
import { formatAmount, formatTime, shortId } from '../output.ts';

export const unlockCommand = defineCommand({
  description:
    'A lock is stale when its process is gone from this machine, or when it was not refreshed for 30 minutes. ' +
    'Locks of running programs stay.',
  options: {
    all: flag('--all', 'remove every lock, also of programs that run: only when you know that none does'),
  },
  examples: [['holdfast unlock', 'after a crash']],
  exitCodes: [10, 12],
  run: ({ all }, _, context) =>
    withRepository(context, async (repository) => {
      const { output } = context;
      const removed = await removeStaleLocks(repository, { all });
      if (output.json) return output.value({ type: 'unlocked', removed: removed.map(describeLock) });
      for (const lock of removed) output.line(`removed lock ${shortId(lock.id)} ${holderOf(lock)}`);
      output.line(removed.length === 0 ? 'no stale locks' : `${formatAmount(removed.length, 'lock')} removed`);
    }),
});

function describeLock({ id, modifiedMs, content }: StoredLock) {
  return { id, time: new Date(modifiedMs).toISOString(), ...content };
}

function holderOf({ content, modifiedMs }: StoredLock): string {
  if (content === undefined) return '(unreadable)';
  const { exclusive, hostname, pid } = content;
  return `of process ${pid} on ${hostname}, ${exclusive ? 'exclusive' : 'shared'}, last refreshed ${formatTime(modifiedMs)}`;
}
