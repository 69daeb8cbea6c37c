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
    plan: flag('--plan', 'show which locks would be removed, and remove none'),
  },
  examples: [
    ['holdfast unlock', 'after a crash'],
    ['holdfast unlock --all --plan', 'all locks there are, and who holds them'],
  ],
  exitCodes: [10, 12],
  run: ({ all, plan }, _, context) =>
    withRepository(context, async (repository) => {
      const { output } = context;
      const removed = await removeStaleLocks(repository, { all, plan });
      if (output.json) return output.value({ type: plan ? 'plan' : 'unlocked', removed: removed.map(describeLock) });
      const verb = plan ? 'would remove' : 'removed';
      for (const lock of removed) output.line(`${verb} lock ${shortId(lock.id)} ${holderOf(lock)}`);
      const what = removed.length === 0 ? 'no stale locks' : formatAmount(removed.length, 'lock');
      output.line(removed.length === 0 ? what : `${what} ${plan ? 'would be ' : ''}removed`);
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
