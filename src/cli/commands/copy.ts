import { HoldfastError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import { tagOf } from '../../repository/claim-layout.ts';
import { type CopyResult, executeCopy } from '../../repository/copy.ts';
import { type CopyPlan, type CopyProgress, type FailedCopy, planCopy } from '../../repository/copy-plan.ts';
import type { StoredSnapshot } from '../../repository/format/snapshot.ts';
import type { Repository } from '../../repository/repository.ts';
import { findSnapshot, isLedger, listBackups, listSnapshots, type SnapshotFilter } from '../../repository/snapshots.ts';
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

interface Choice {
  readonly snapshots: readonly StoredSnapshot[];
  readonly unreadable: readonly FailedCopy[];
}

/** Without names and filters all there is, Holdfast's own records too; else with the records of what is chosen. */
async function choose(source: Repository, names: readonly string[], filter: SnapshotFilter): Promise<Choice> {
  const unreadable: FailedCopy[] = [];
  const onError = ({ message }: HoldfastError, id: string): unknown => unreadable.push({ id, message });
  const all = await listSnapshots(source, { onError });
  const isAll = names.length === 0 && Object.values(filter).every((values) => values.length === 0);
  if (isAll) return { snapshots: all, unreadable };
  const chosen =
    names.length > 0
      ? await Promise.all(names.map((name) => findSnapshot(source, name, filter)))
      : await listBackups(source, filter, { onError: () => undefined });
  const ids = new Set(chosen.flatMap(({ id, original }) => [id, original]));
  const records = all.filter((snapshot) => isLedger(snapshot) && ids.has(tagOf(snapshot, 'of')));
  const snapshots = [...new Map([...chosen, ...records].map((snapshot) => [snapshot.id, snapshot])).values()];
  return { snapshots, unreadable: names.length > 0 ? [] : unreadable };
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
  const backups = new Map(asked.filter((one) => !isLedger(one)).map((backup) => [backup.id, describe(backup)]));
  const line = (verb: 'skip' | 'copy', id: string, what = ''): void => {
    if (backups.has(id)) output.line(`${verb}  ${shortId(id)}  ${backups.get(id)}${what}`);
  };
  const count = (found: readonly { readonly from: string }[]): number =>
    found.filter(({ from }) => backups.has(from)).length;
  for (const { from, to } of present) line('skip', from, `: it is there as ${shortId(to)}`);
  const there = `${count(present)} there already`;
  if (isPlan) {
    for (const { id } of snapshots) line('copy', id);
    const planned = formatAmount(count(snapshots.map(({ id }) => ({ from: id }))), 'backup');
    const data = `${formatAmount(wanted.blobs, 'blob')} of ${formatAmount(wanted.packs, 'pack')}, ${formatSize(wanted.bytes)}`;
    output.line(`${planned} to copy: ${data}; ${there}`);
    return;
  }
  for (const { from, to } of copied) line('copy', from, `: it is ${shortId(to)} here`);
  output.line(`${formatAmount(count(copied), 'backup')} copied, ${formatSize(storedBytes)} stored; ${there}`);
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
