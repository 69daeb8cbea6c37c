/**
 * The plan of a restore of several claims: each has a plan of its own (plan.ts), and what concerns them together is
 * looked at here. Pure. One refusal anywhere refuses the whole set before anything is made.
 */
import { HoldfastError } from '../base/errors.ts';
import { formatDuration } from '../base/units.ts';
import type { Recipe } from '../manifest/recipe.ts';
import type { BackupFacts, ClusterFacts, RestoreWishes } from './facts.ts';
import { planRestore, type RestorePlan, targetOf } from './plan.ts';
import { quotaRefusals } from './plan-room.ts';

export interface SetItem {
  /** namespace/name of the claim that was backed up. */
  readonly source: string;
  readonly backup: BackupFacts;
  /** When its data was cut. */
  readonly takenMs: number;
  /** The run that made it, where it says so. */
  readonly run: string | null;
  /** The error that reading the recipe ended with, where there is none to plan with. */
  readonly found: { readonly recipe: Recipe; readonly facts: ClusterFacts } | HoldfastError;
  readonly warnings: readonly string[];
}

export interface SetWishes extends RestoreWishes {
  /** Claims that are there already are left as they are, and refuse nothing. */
  readonly skipExisting?: boolean;
}

export interface SetRequest {
  readonly items: readonly SetItem[];
  /** The set of pods whose claims these are, as `shop/db`; null where it is none. */
  readonly set: string | null;
  /** Claims of that set that no backup was found of, as `shop/data-db-1`. */
  readonly missing: readonly string[];
  /** Claims that no backup could be chosen for. */
  readonly refusals: readonly HoldfastError[];
  readonly wishes: SetWishes;
  /** How many claims are restored at a time, each of which needs a temporary claim. */
  readonly parallel: number;
}

/**
 * `ready`: is made from the start; `resumes`: goes on with what an earlier run began; `restored`: an earlier run has
 * ended it; `skipped`: the claim is there and stays as it is.
 */
export type SetStatus = 'ready' | 'resumes' | 'restored' | 'skipped' | 'refused';

export interface SetEntry {
  /** namespace/name of the claim that is made. */
  readonly claim: string;
  /** namespace/name of the claim that was backed up. */
  readonly source: string;
  readonly backupId: string;
  readonly takenMs: number;
  readonly status: SetStatus;
  /** Null when refused. */
  readonly plan: RestorePlan | null;
  readonly refusals: readonly HoldfastError[];
  readonly warnings: readonly string[];
}

export interface SetPlan {
  readonly entries: readonly SetEntry[];
  readonly missing: readonly string[];
  /** Of the set as a whole; those of its claims are in the entries. */
  readonly refusals: readonly HoldfastError[];
  readonly warnings: readonly string[];
}

export function planSet(request: SetRequest): SetPlan {
  const entries = request.items.map((item) => planItem(item, request.wishes));
  const lacks = request.missing.length > 0 && request.wishes.allowIncomplete !== true;
  return {
    entries,
    missing: request.missing,
    refusals: [
      ...request.refusals,
      ...sharedTargets(entries),
      ...sharedQuotas(request, entries),
      ...(lacks ? [ordinalsMissing(request)] : []),
    ],
    warnings: request.set === null ? [] : warningsOfSet(request),
  };
}

function planItem(item: SetItem, wishes: SetWishes): SetEntry {
  const { source, backup, takenMs, found, warnings } = item;
  const names = { source, backupId: backup.id, takenMs };
  if (found instanceof HoldfastError) {
    return { claim: source, ...names, status: 'refused', plan: null, refusals: [found], warnings };
  }
  const target = targetOf(found.recipe, wishes);
  const entry = { claim: `${target.namespace}/${target.name}`, ...names, warnings };
  const there = stateOfExisting(item, found.facts, wishes);
  if (there !== undefined) return { ...entry, status: there, plan: null, refusals: [] };
  const { plan, refusals } = planRestore({ backup, ...found, wishes });
  if (plan === null) return { ...entry, status: 'refused', plan, refusals };
  return {
    ...entry,
    status: plan.resumes ? 'resumes' : 'ready',
    plan,
    refusals,
    warnings: [...warnings, ...plan.warnings],
  };
}

/** A claim that needs nothing: the restore of this very backup has ended, or it is to stay as it is. */
function stateOfExisting(
  { backup }: SetItem,
  { target }: ClusterFacts,
  { skipExisting }: SetWishes,
): 'restored' | 'skipped' | undefined {
  if (target === null || target.restoreId !== null) return undefined;
  if (target.restoredFrom === backup.id) return 'restored';
  return skipExisting === true ? 'skipped' : undefined;
}

function sharedTargets(entries: readonly SetEntry[]): HoldfastError[] {
  const byTarget = Map.groupBy(entries, ({ claim }) => claim);
  return [...byTarget].flatMap(([claim, several]) => {
    if (several.length === 1) return [];
    const sources = several.map(({ source, backupId }) => `${source} (${backupId.slice(0, 8)})`).join(', ');
    return [
      new HoldfastError('RESTORE_REFUSED', {
        reason: `${several.length} backups would become the same claim ${claim}: ${sources}`,
        fix: 'Restore them one by one, each with a --to of its own.',
      }),
    ];
  });
}

/** Claims that fit one by one may not fit together. */
function sharedQuotas({ items, parallel }: SetRequest, entries: readonly SetEntry[]): HoldfastError[] {
  const planned = entries.flatMap(({ plan, refusals }, at) => {
    const found = items[at]?.found;
    return plan === null || refusals.length > 0 || found === undefined || found instanceof HoldfastError
      ? []
      : [{ plan, facts: found.facts }];
  });
  const byNamespace = Map.groupBy(planned, ({ plan }) => plan.target.namespace);
  return [...byNamespace].flatMap(([namespace, together]) => {
    if (together.length < 2) return [];
    const targets = together.filter(({ facts }) => facts.target === null);
    const temporary = together
      .filter(({ facts }) => facts.unfinished === null)
      .sort((a, b) => b.plan.size.bytes - a.plan.size.bytes)
      .slice(0, parallel);
    const needs = [...targets, ...temporary].map(({ plan: { storageClass, size } }) => {
      return { storageClass: storageClass.name, sizeBytes: size.bytes, claims: 1 };
    });
    return quotaRefusals(namespace, together[0]?.facts.quotas ?? null, needs);
  });
}

function ordinalsMissing({ set, missing }: SetRequest): HoldfastError {
  return new HoldfastError('ORDINALS_MISSING', { set: set ?? '', claims: missing.join(', '), count: missing.length });
}

/** Pods of a set know of each other: their data should be of one time. */
function warningsOfSet({ items, set }: SetRequest): string[] {
  const runs = new Set(items.map(({ run }) => run));
  if (runs.size < 2) return [];
  const times = items.map(({ takenMs }) => takenMs);
  const apart = formatDuration(Math.max(...times) - Math.min(...times));
  return [`the backups of ${set} are of ${runs.size} runs, ${apart} apart; --run or --at choose those of one time`];
}
