/**
 * Which hooks of a policy run around the cut of a claim, and in which pods or on which workloads. Pure. A hook that cannot
 * run as it is written blocks the claim, or with onError Continue is left out with a note; none is left out in silence.
 */
import { HoldfastError } from '../base/errors.ts';
import { parseDuration } from '../base/units.ts';
import type { Labels } from '../cluster/labels.ts';
import { type KubeObject, listAt, nameOf, textAt, valueAt } from '../cluster/object.ts';
import { isPodOf, replicasOf, titleOf, whyNotScalable } from '../cluster/workload.ts';
import type { HookRule } from '../policy/hooks-schema.ts';
import { whyNotSelected } from '../policy/selector.ts';
import type { ClaimFacts, HookFacts } from './facts.ts';
import { selectableOf } from './source.ts';

export type PlannedHook = CommandHook | ScaleHook;

interface HookBasics {
  /** From 1, in the order of the policy. */
  readonly number: number;
  readonly timeoutMs: number;
  readonly onError: 'Fail' | 'Continue';
}

export interface CommandHook extends HookBasics {
  readonly kind: 'command';
  readonly places: readonly HookPlace[];
  readonly before: readonly string[] | undefined;
  readonly after: readonly string[] | undefined;
  readonly holdMs: number;
}

export interface HookPlace {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export interface ScaleHook extends HookBasics {
  readonly kind: 'scale';
  /** StatefulSets and Deployments that have replicas now. */
  readonly workloads: readonly KubeObject[];
}

export interface HookQuestion {
  readonly claim: ClaimFacts;
  readonly rules: readonly HookRule[];
  readonly facts: HookFacts;
  /** The volume is read while it is in use, which takes as long as there is data. */
  readonly isLive: boolean;
}

export interface HookPlan {
  readonly hooks: readonly PlannedHook[];
  /** Why some are left out. */
  readonly notes: readonly string[];
}

const COMMAND_TIMEOUT = '30s';
const SCALE_TIMEOUT = '5m';
const HOLD_MAX = '1m';

/** HOOK_REFUSED where one cannot run that has to. */
export function planHooks(question: HookQuestion): HookPlan | HoldfastError {
  const hooks: PlannedHook[] = [];
  const notes: string[] = [];
  for (const [at, rule] of question.rules.entries()) {
    const number = at + 1;
    const planned = planHook(number, rule, question);
    if (typeof planned !== 'string') {
      if (planned !== undefined) hooks.push(planned);
    } else if (rule.onError === 'Continue') notes.push(`hook ${number} is left out: ${planned}`);
    else
      return new HoldfastError('HOOK_REFUSED', { claim: nameOf(question.claim.claim), hook: number, reason: planned });
  }
  return { hooks, notes };
}

/** What the hooks hold still: claims that have one of them in common are cut together. */
export function hookTargetsOf(hooks: readonly PlannedHook[]): string[] {
  return hooks.flatMap((hook) =>
    hook.kind === 'scale'
      ? hook.workloads.map(titleOf)
      : hook.places.map(({ namespace, pod }) => `pod ${namespace}/${pod}`),
  );
}

/** Of claims that are cut together: each hook once, with all of its places. */
export function uniteHooks(hooks: readonly PlannedHook[]): PlannedHook[] {
  const byNumber = Map.groupBy(hooks, ({ number }) => number);
  return [...byNumber.keys()].toSorted((a, b) => a - b).flatMap((number) => uniteOne(byNumber.get(number) ?? []));
}

function uniteOne(same: readonly PlannedHook[]): PlannedHook[] {
  const [first] = same;
  if (first?.kind === 'command') {
    const places = same.flatMap((hook) => (hook.kind === 'command' ? hook.places : []));
    const distinct = new Map(places.map((place) => [`${place.namespace}/${place.pod}/${place.container}`, place]));
    return [{ ...first, places: [...distinct.values()] }];
  }
  if (first === undefined) return [];
  const workloads = same.flatMap((hook) => (hook.kind === 'scale' ? hook.workloads : []));
  return [{ ...first, workloads: [...new Map(workloads.map((one) => [one.metadata.uid, one])).values()] }];
}

/** The hook; in words why it cannot run; undefined where it is not for this claim. */
function planHook(number: number, rule: HookRule, question: HookQuestion): PlannedHook | string | undefined {
  const { claim, isLive } = question;
  if (rule.claims !== undefined && whyNotSelected(rule.claims, selectableOf(claim)) !== undefined) return undefined;
  // Nobody writes into the claim: there is nothing to hold still.
  if (claim.pods.length === 0) return undefined;
  const planned =
    rule.scaleToZero === undefined ? planCommand(number, rule, question) : planScale(number, rule, question);
  if (!isLive || typeof planned !== 'object') return planned;
  if (planned.kind === 'command' && planned.after === undefined) return planned;
  return 'its volume is copied while it is in use, and hooks hold an application for a cut, not for a copy';
}

function planCommand(number: number, rule: HookRule, { claim, facts }: HookQuestion): CommandHook | string | undefined {
  const labels = rule.pods?.matchLabels ?? {};
  const found = facts.pods.filter((pod) => carries(pod, labels));
  if (found.length === 0) return `no pod has the labels ${wordsOf(labels)}`;
  const users = new Set(claim.pods.map(({ metadata }) => metadata.uid));
  const pods = rule.claims === undefined ? found.filter(({ metadata }) => users.has(metadata.uid)) : found;
  if (pods.length === 0) return undefined;
  const places: HookPlace[] = [];
  for (const pod of pods.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    const place = placeIn(pod, rule.container);
    if (typeof place === 'string') return place;
    places.push(place);
  }
  const { before, after } = rule;
  const holdMs = parseDuration(rule.holdMax ?? HOLD_MAX);
  return { kind: 'command', ...basicsOf(number, rule, COMMAND_TIMEOUT), places, before, after, holdMs };
}

/** The container that the rule or the pod names, or the first one; in words why no command can run in it. */
function placeIn(pod: KubeObject, named: string | undefined): HookPlace | string {
  const title = nameOf(pod);
  if (pod.metadata.deletionTimestamp !== undefined) return `pod ${title} is being stopped`;
  const names = listAt(pod, 'spec', 'containers').flatMap((one) => textAt(one, 'name') ?? []);
  const container = named ?? pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ?? names[0] ?? '';
  if (!names.includes(container)) return `pod ${title} has no container ${container}, but ${names.join(', ')}`;
  const statuses = listAt(pod, 'status', 'containerStatuses');
  const own = statuses.find((status) => textAt(status, 'name') === container);
  if (valueAt(own, 'state', 'running') === undefined) return `container ${container} of pod ${title} is not running`;
  return { namespace: pod.metadata.namespace ?? '', pod: pod.metadata.name, container };
}

function planScale(number: number, rule: HookRule, { claim, facts }: HookQuestion): ScaleHook | string | undefined {
  const { matchLabels } = rule.scaleToZero ?? {};
  const using = facts.workloads.filter((workload) => claim.pods.some((pod) => isPodOf(pod, workload)));
  if (matchLabels === undefined) {
    const other = claim.pods.find((pod) => !using.some((workload) => isPodOf(pod, workload)));
    if (other !== undefined) return `pod ${nameOf(other)} uses it, and is of no StatefulSet or Deployment`;
    return scaled(number, rule, using);
  }
  const found = facts.workloads.filter((workload) => carries(workload, matchLabels));
  if (found.length === 0) return `no StatefulSet or Deployment has the labels ${wordsOf(matchLabels)}`;
  if (rule.claims === undefined && !found.some((workload) => using.includes(workload))) return undefined;
  return scaled(number, rule, found);
}

function scaled(number: number, rule: HookRule, found: readonly KubeObject[]): ScaleHook | string | undefined {
  const workloads = found.filter((workload) => replicasOf(workload) > 0);
  if (workloads.length === 0) return undefined;
  const problem = workloads.map(whyNotScalable).find((words) => words !== undefined);
  return problem ?? { kind: 'scale', ...basicsOf(number, rule, SCALE_TIMEOUT), workloads };
}

function basicsOf(number: number, { timeout, onError = 'Fail' }: HookRule, usual: string): HookBasics {
  return { number, timeoutMs: parseDuration(timeout ?? usual), onError };
}

function carries(object: KubeObject, labels: Labels): boolean {
  return Object.entries(labels).every(([key, value]) => object.metadata.labels?.[key] === value);
}

function wordsOf(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
