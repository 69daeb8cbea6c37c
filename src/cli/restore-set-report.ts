/** What is said of a restore of several claims: the plan as a table, and what became of it. */
import { formatDuration } from '../base/units.ts';
import type { SetEntry, SetPlan, SetStatus } from '../restore/plan-set.ts';
import type { RestoreOutcome } from '../restore/restore-set.ts';
import { formatAmount, formatTable, type Output, shortId } from './output.ts';

const columns = [
  { title: 'CLAIM' },
  { title: 'BACKUP' },
  { title: 'AGE', align: 'right' },
  { title: 'SIZE', align: 'right' },
  { title: 'CLASS' },
  { title: 'ZONE' },
  { title: 'STATE' },
] as const;

const states: Readonly<Record<SetStatus, string>> = {
  ready: 'ready',
  resumes: 'goes on with what was begun',
  restored: 'restored already',
  skipped: 'is there, left as it is',
  refused: 'refused',
};

/** The plan is the result of `--plan`, and something to read beside it else. */
export function printSetPlan(plan: SetPlan, { asResult }: { readonly asResult: boolean }, output: Output): void {
  if (output.json) {
    if (asResult) output.value({ type: 'plan', ...plan });
    return;
  }
  const say = (line: string) => (asResult ? output.line(line) : output.note(line));
  const rows = [...plan.entries.map((entry) => rowOf(entry, Date.now())), ...plan.missing.map(missingRow)];
  for (const line of formatTable(columns, rows, asResult ? output.bold : undefined)) say(line);
  for (const { claim, warnings } of plan.entries) {
    for (const warning of warnings) say(`warning: ${claim}: ${warning}`);
  }
  for (const warning of plan.warnings) say(`warning: ${warning}`);
}

/** The last line; each claim was told of when it was through. */
export function reportSet(plan: SetPlan, outcomes: readonly RestoreOutcome[], output: Output): void {
  const count = (status: string) => [...plan.entries, ...outcomes].filter((one) => one.status === status).length;
  const counts = {
    done: count('done'),
    failed: count('failed'),
    restored: count('restored'),
    skipped: count('skipped'),
  };
  if (output.json) {
    const claims = outcomes.map((outcome) => ({
      claim: outcome.claim,
      status: outcome.status,
      backupId: outcome.plan.backup.id,
      ...(outcome.status === 'failed' ? { error: outcome.error.toJSON() } : {}),
    }));
    output.value({ type: 'set', ...counts, missing: plan.missing, claims });
    return;
  }
  const { done, failed, restored, skipped } = counts;
  const parts = [
    `${formatAmount(done, 'claim')} restored`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(restored > 0 ? [`${restored} restored before`] : []),
    ...(skipped > 0 ? [`${skipped} left as they are`] : []),
    ...(plan.missing.length > 0 ? [`${plan.missing.length} without a backup`] : []),
  ];
  output.line(parts.join(', '));
}

function rowOf({ claim, source, backupId, takenMs, status, plan }: SetEntry, nowMs: number): string[] {
  return [
    source === claim ? claim : `${claim} (of ${source})`,
    shortId(backupId),
    formatDuration(Math.max(0, nowMs - takenMs)),
    plan?.claim.spec.resources.requests.storage ?? '',
    plan?.storageClass.name ?? '',
    plan === null ? '' : (plan.place.label?.values.join(' or ') ?? 'any'),
    states[status],
  ];
}

function missingRow(claim: string): string[] {
  return [claim, 'none', '', '', '', '', 'no backup'];
}
