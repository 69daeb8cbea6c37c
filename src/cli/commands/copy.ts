import { HoldfastError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import { type CopyResult, executeCopy } from '../../repository/copy.ts';
import { type CopyPlan, type CopyProgress, type FailedCopy, planCopy } from '../../repository/copy-plan.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import type { Repository } from '../../repository/repository.ts';
import { findSnapshot, listBackups, listSnapshots, type SnapshotFilter } from '../../repository/snapshots.ts';
import { backupArgumentHelp } from '../choose-backup.ts';
import { defineCommand, flag, text } from '../command.ts';
import { describeBackup, subjectOf } from '../describe-backup.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, formatCount, formatTime, type Output, shortId } from '../output.ts';
import { createProgress, formatBar } from '../progress.ts';
import { shownText } from '../shown-path.ts';
import { filterFrom, filterOptions } from '../snapshot-filter.ts';
import { sourceContext, sourcePasswordOption } from '../source-repository.ts';

export const copyCommand = defineCommand({
  description:
    'Copies backups from another repository (--from-repo) into this one (--repo). Data that is here already is not ' +
    'copied again, nor is a backup; where both were made to cut files alike (`holdfast init --from`), later backups ' +
    'share their data with copies. A copy has an id of its own and remembers the id of its original. A copy that was ' +
    'interrupted goes on when it is run again. The S3 credentials are those of this repository, unless there are ' +
    'variables HOLDFAST_FROM_AWS_ACCESS_KEY_ID and so on.',
  arguments: [
    { name: '[backups...]', help: `exactly these; otherwise all that the filters let through. ${backupArgumentHelp}` },
  ],
  options: {
    fromRepo: text('--from-repo <address>', 'the repository to copy from (or $HOLDFAST_FROM_REPOSITORY)'),
    fromPasswordFile: sourcePasswordOption,
    plan: flag('--plan', 'show what would be copied, and copy nothing'),
    ...filterOptions,
  },
  examples: [
    ['holdfast copy --from-repo /srv/backups --from-password-file ~/.old-password --plan', 'what there is to copy'],
    ['holdfast copy --from-repo s3:https://s3.example.com/backups/shop --namespace shop', 'the backups of a namespace'],
    ['holdfast copy --from-repo /srv/backups latest', 'one backup'],
  ],
  exitCodes: [3, 10, 11, 12],
  run: async (given, names, context) => {
    const from = sourceContext(context, { repository: given.fromRepo, passwordFile: given.fromPasswordFile });
    if (from.settings.repository === context.settings.repository) {
      throw new HoldfastError('USAGE', { problem: 'The repository to copy from is the one to copy to' });
    }
    const { output } = context;
    await withLockedRepository(context, (target, targetSignal, lock) =>
      withLockedRepository(from, async (source, sourceSignal) => {
        const signal = AbortSignal.any([targetSignal, sourceSignal]);
        const progress = createProgress(output);
        const onProgress = (now: CopyProgress): void => progress.update(() => progressLine(now));
        try {
          const { snapshots, unreadable } = await choose(source, names, filterFrom(given));
          const plan = await planCopy(source, target, snapshots, { onProgress, signal });
          progress.clear();
          const result = given.plan
            ? { copied: [], failed: plan.failed, storedBytes: 0 }
            : await executeCopy(plan, { onProgress, signal, confirmLock: () => lock.confirm() }).finally(
                progress.clear,
              );
          const failed = [...unreadable, ...result.failed];
          if (output.json) output.value(toJson(plan, { ...result, failed }, given.plan));
          else print(plan, result, snapshots, given.plan, output);
          requireAll(failed, output);
        } finally {
          progress.clear();
        }
      }),
    );
  },
});

/** Everything is everything: without names and filters the records of Holdfast's own are copied, too. */
async function choose(
  source: Repository,
  names: readonly string[],
  filter: SnapshotFilter,
): Promise<{ snapshots: readonly StoredSnapshot[]; unreadable: readonly FailedCopy[] }> {
  if (names.length > 0) {
    const found = await Promise.all(names.map((name) => findSnapshot(source, name, filter)));
    return { snapshots: [...new Map(found.map((snapshot) => [snapshot.id, snapshot])).values()], unreadable: [] };
  }
  const unreadable: FailedCopy[] = [];
  const onError = ({ message }: HoldfastError, id: string) => unreadable.push({ id, message });
  const isFiltered = Object.values(filter).some((values) => values.length > 0);
  const snapshots = isFiltered
    ? await listBackups(source, filter, { onError })
    : await listSnapshots(source, { onError });
  return { snapshots, unreadable };
}

function progressLine({ step, done, total }: CopyProgress): string {
  if (step === 'trees' || total === undefined) return `reading folders: ${formatCount(done)}`;
  return `copying packs ${formatBar(done, total)}  ${formatCount(done)} of ${formatCount(total)}`;
}

function print(
  { snapshots, present, wanted }: CopyPlan,
  { copied, storedBytes }: CopyResult,
  asked: readonly StoredSnapshot[],
  isPlan: boolean,
  output: Output,
): void {
  const subjects = new Map(asked.map((snapshot) => [snapshot.id, describe(snapshot)]));
  for (const { from, to } of present) {
    output.line(`skip  ${shortId(from)}  ${subjects.get(from)}: it is there as ${shortId(to)}`);
  }
  if (isPlan) {
    for (const { id } of snapshots) output.line(`copy  ${shortId(id)}  ${subjects.get(id)}`);
    const data = `${formatAmount(wanted.blobs, 'blob')} of ${formatAmount(wanted.packs, 'pack')}, ${formatSize(wanted.bytes)}`;
    output.line(`${formatAmount(snapshots.length, 'backup')} to copy: ${data}; ${present.length} there already`);
    return;
  }
  for (const { from, to } of copied) {
    output.line(`copy  ${shortId(from)}  ${subjects.get(from)}: it is ${shortId(to)} here`);
  }
  output.line(
    `${formatAmount(copied.length, 'backup')} copied, ${formatSize(storedBytes)} stored; ${present.length} there already`,
  );
}

function describe(snapshot: StoredSnapshot): string {
  return `${formatTime(snapshot.time)}  ${shownText(subjectOf(describeBackup(snapshot)))}`;
}

function requireAll(failed: readonly FailedCopy[], output: Output): void {
  for (const { id, message } of failed) {
    output.problem(`error: cannot copy ${shortId(id)}: ${shownText(message)}`, { type: 'copy-error', id, message });
  }
  if (failed.length > 0) throw new HoldfastError('COPY_INCOMPLETE', { count: failed.length });
}

function toJson({ snapshots, present, wanted }: CopyPlan, result: CopyResult, isPlan: boolean): unknown {
  const { blobs, bytes, packs } = wanted;
  const needed = { skipped: present, failed: result.failed, blobs, bytes, packs };
  if (isPlan) return { type: 'plan', copied: snapshots.map(({ id }) => ({ from: id })), ...needed };
  return { type: 'copied', copied: result.copied, ...needed, storedBytes: result.storedBytes };
}
