/**
 * Which claims are those of a set of pods with ordinals: of a StatefulSet (R8.1), or of another controller that names
 * them alike, such as Strimzi's (`data-0-kafka-broker-3`). Pure. Sets and templates may carry dashes and digits, so a
 * name alone may fit several sets; what was recorded of the pods decides.
 */
import { ordinalOf } from '../manifest/capture.ts';
import type { Recipe } from '../manifest/recipe.ts';

/** A claim of the set's namespace that may be one of the set's. */
export interface SetCandidate {
  readonly claim: string;
  readonly recipe: Recipe | null;
}

/** The StatefulSet, where it is in the cluster. */
export interface LiveSet {
  readonly templates: readonly string[];
  /** `spec.ordinals.start` */
  readonly start: number;
  readonly replicas: number;
}

export interface SetMembers {
  /** Names of claims, by ordinal. */
  readonly members: readonly string[];
  /** Claims that the set has or had, and that are not among the candidates. */
  readonly missing: readonly string[];
}

interface Member {
  readonly claim: string;
  readonly template: string;
  readonly ordinal: number;
  /** The kind of the set that the recorded pod belongs to; null where no pod was recorded. */
  readonly kind: string | null;
}

/** Whether the name of a claim is `<template>-<set>-<ordinal>` for some template. */
export function mayBeOfSet(claim: string, set: string): boolean {
  return partsOf(claim, set) !== null;
}

export function membersOfSet(set: string, candidates: readonly SetCandidate[], live: LiveSet | null): SetMembers {
  const possible = candidates.flatMap((candidate) => memberOf(candidate, set));
  const sure = possible.filter(({ kind }) => kind !== null);
  const templates = new Set([...(live?.templates ?? []), ...sure.map(({ template }) => template)]);
  const members = possible.filter(({ template }) => templates.size === 0 || templates.has(template)).sort(byOrdinal);
  return { members: members.map(({ claim }) => claim), missing: missingOf(set, members, templates, live) };
}

function memberOf({ claim, recipe }: SetCandidate, set: string): Member[] {
  const parts = partsOf(claim, set);
  if (parts === null) return [];
  const owners = (recipe?.consumers ?? []).flatMap(({ pod, owner }) =>
    owner !== null && ordinalOf(pod, owner.name) !== null ? [owner] : [],
  );
  const own = owners.find(({ name }) => name === set);
  if (own === undefined && owners.length > 0) return [];
  return [{ claim, ...parts, kind: own?.kind ?? null }];
}

function partsOf(claim: string, set: string): { template: string; ordinal: number } | null {
  const end = claim.lastIndexOf(`-${set}-`);
  const digits = claim.slice(end + set.length + 2);
  // A longer number is no ordinal of anybody's pods.
  return end < 1 || !/^\d{1,5}$/.test(digits) ? null : { template: claim.slice(0, end), ordinal: Number(digits) };
}

/** A StatefulSet has all ordinals from its first one on; others may have gaps, but all claims of a pod. */
function missingOf(
  set: string,
  members: readonly Member[],
  known: ReadonlySet<string>,
  live: LiveSet | null,
): string[] {
  const found = new Set(members.map(({ claim }) => claim));
  const templates = known.size > 0 ? known : new Set(members.map(({ template }) => template));
  const isStateful = live !== null || members.every(({ kind }) => kind === null || kind === 'StatefulSet');
  const ordinals = new Set(members.map(({ ordinal }) => ordinal));
  if (isStateful) {
    const first = live?.start ?? 0;
    const last = Math.max(first + (live?.replicas ?? 0) - 1, ...ordinals);
    for (let ordinal = first; ordinal <= last; ordinal++) ordinals.add(ordinal);
  }
  const expected = [...ordinals].sort((a, b) => a - b);
  return expected
    .flatMap((ordinal) => [...templates].sort().map((template) => `${template}-${set}-${ordinal}`))
    .filter((claim) => !found.has(claim));
}

function byOrdinal(a: Member, b: Member): number {
  return a.ordinal - b.ordinal || (a.template < b.template ? -1 : 1);
}
