/** Hooks in words, and as JSON. Of commands only the program: arguments may hold anything. */
import { hookTargetsOf, type PlannedHook } from '../backup/hooks-plan.ts';
import { formatDuration } from '../base/units.ts';
import { type HookRecord, wentWell } from '../manifest/hook-record.ts';

/** `2: fsfreeze before and fsfreeze after, in pod shop/db-0, held 1 min at most` */
export function hookWords(hook: PlannedHook): string {
  const where = hookTargetsOf([hook]).join(', ');
  const mode = hook.onError === 'Continue' ? '; goes on without it' : '';
  if (hook.kind === 'scale') return `${hook.number}: scales to zero for the cut: ${where}${mode}`;
  const { before, after, holdMs } = hook;
  const commands = [
    ...(before === undefined ? [] : [`${before[0]} before`]),
    ...(after === undefined ? [] : [`${after[0]} after`]),
  ];
  const held = after === undefined || before === undefined ? '' : `, held ${formatDuration(holdMs)} at most`;
  return `${hook.number}: ${commands.join(' and ')}, in ${where}${held}${mode}`;
}

/** `1: container db of pod shop/db-0: held for 2.4s` */
export function ranHookWords(record: HookRecord): string {
  const { hook, target, before, after } = record;
  const place = `${hook}: ${target}`;
  if (!wentWell(record)) return `${place}: failed`;
  if (before === undefined || after === undefined) return `${place}: ran well`;
  const heldMs = Date.parse(after.startedAt) - Date.parse(before.startedAt);
  return `${place}: ran well, ${formatDuration(heldMs)} from before to after`;
}

export function hookJson(hook: PlannedHook): object {
  const { number, kind, timeoutMs, onError } = hook;
  const targets = hookTargetsOf([hook]);
  if (hook.kind === 'scale') return { hook: number, kind, targets, timeoutMs, onError };
  const [before, after] = [hook.before?.[0], hook.after?.[0]];
  return { hook: number, kind, targets, before, after, timeoutMs, holdMs: hook.holdMs, onError };
}
