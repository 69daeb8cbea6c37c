/**
 * Which claims of a plan are cut together, how, and why so. Pure. A group is planned whole or not at all: a copy of some of
 * its volumes is what nobody asked for.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Labels } from '../cluster/labels.ts';
import { type KubeObject, nameOf } from '../cluster/object.ts';
import { type ClassChoice, chooseSnapshotClass } from '../cluster/snapshot-class.ts';
import type { BackupFacts, GroupFacts } from './facts.ts';
import type { CutGroup, GroupSnapshotPlan, GroupWish } from './groups.ts';
import type { BackupPlan, LeftClaim, PlannedClaim, ReadyClaim } from './plan.ts';

/** The same plan with its groups. Claims of a group of which one is blocked are all blocked (GROUP_NOT_CUT). */
export function planGroups(plan: BackupPlan, facts: BackupFacts, groups: GroupFacts, wish: GroupWish): BackupPlan {
  const claims = new Map(facts.claims.map(({ claim }) => [nameOf(claim), claim]));
  const keyOf = ({ claim, status }: PlannedClaim) =>
    status === 'ready' || status === 'blocked' ? groupKey(claims.get(claim), wish) : undefined;
  const together = Map.groupBy(plan.claims, keyOf);
  together.delete(undefined);
  const changed = new Map<string, PlannedClaim>();
  const found: CutGroup[] = [];
  for (const [key = '', planned] of together) {
    if (planned.length < 2) continue;
    const group = planGroup(key.slice(key.indexOf('/') + 1), planned, facts, groups, wish);
    for (const claim of group.changed) changed.set(claim.claim, claim);
    if (group.cut !== undefined) found.push(group.cut);
  }
  return { ...plan, claims: plan.claims.map((claim) => changed.get(claim.claim) ?? claim), groups: found };
}

/** Namespace and name: the same label in another namespace is of something else. */
function groupKey(claim: KubeObject | undefined, { byLabel }: GroupWish): string | undefined {
  if (byLabel === undefined) return '/named';
  const value = claim?.metadata.labels?.[byLabel];
  return value ? `${claim?.metadata.namespace ?? ''}/${value}` : undefined;
}

interface PlannedGroup {
  readonly cut?: CutGroup;
  /** What the group makes of its claims. */
  readonly changed: readonly PlannedClaim[];
}

function planGroup(
  name: string,
  planned: readonly PlannedClaim[],
  facts: BackupFacts,
  groups: GroupFacts,
  wish: GroupWish,
): PlannedGroup {
  const ready = planned.filter((claim) => claim.status === 'ready');
  const blocked = planned.find((claim): claim is LeftClaim => claim.status === 'blocked');
  if (blocked !== undefined) return { changed: blockAll(name, ready, `${blocked.claim}: ${causeOf(blocked.error)}`) };
  const members = ready.filter((claim) => claim.class !== undefined);
  const live = ready.filter((claim) => claim.class === undefined);
  const note = `it is in group ${name}, and not cut with it: a volume that is read in use has no instant`;
  const changed = live.map((claim) => ({ ...claim, notes: [...claim.notes, note] }));
  if (members.length < 2) return { changed };
  const way = snapshotWay(members, groups, wish);
  if (way instanceof HoldfastError) return { changed: [...changed, ...blockAll(name, members, causeOf(way))] };
  const { last } = wish;
  const isLast = ({ claim }: ReadyClaim) => last !== undefined && usedBy(claim, facts, last.matchLabels);
  const titles = (some: readonly ReadyClaim[]) => some.map(({ claim }) => claim);
  const cut = { name, members: titles(members), last: titles(members.filter(isLast)) };
  if (typeof way === 'string') return { changed, cut: { ...cut, snapshot: undefined, reason: way } };
  const reason = `${way.class.class.metadata.name} (${way.class.reason})`;
  return { changed, cut: { ...cut, snapshot: way, reason } };
}

function blockAll(group: string, claims: readonly ReadyClaim[], cause: string): LeftClaim[] {
  return claims.map(({ claim }) => {
    const error = new HoldfastError('GROUP_NOT_CUT', { group, cause });
    return { status: 'blocked', claim, error };
  });
}

/** Without the full stop, to stand within a sentence. */
function causeOf(error: HoldfastError): string {
  return error.message.replace(/\.$/, '');
}

function usedBy(title: string, { claims }: BackupFacts, labels: Labels): boolean {
  const pods = claims.find(({ claim }) => nameOf(claim) === title)?.pods ?? [];
  return pods.some((pod) => carries(pod, labels));
}

/** One snapshot of all; or in words why each has its own; or an error where nobody can tell which class was meant. */
function snapshotWay(
  members: readonly ReadyClaim[],
  facts: GroupFacts,
  wish: GroupWish,
): GroupSnapshotPlan | string | HoldfastError {
  const { api, classes } = facts;
  if (classes === undefined) return 'VolumeGroupSnapshotClasses may not be listed';
  if (api === undefined) return 'the cluster has no API of group snapshots (its CRDs are not installed)';
  const spaces = new Set(members.map(({ source }) => source.claim.metadata.namespace));
  if (spaces.size > 1) return 'its claims are in several namespaces';
  const drivers = [...new Set(members.map(({ source }) => source.driver ?? ''))];
  const [driver = ''] = drivers;
  if (drivers.length > 1) return `its volumes are of several drivers (${drivers.join(', ')})`;
  if (members.some(({ keeps }) => keeps)) return 'its snapshots are kept, and those of a group only go together';
  const choice = chooseClass(members, classes, driver, wish);
  if (choice === undefined) return `no VolumeGroupSnapshotClass has the driver ${driver}`;
  if (choice instanceof HoldfastError) return choice;
  const matchLabels = commonLabels(members);
  if (Object.keys(matchLabels).length === 0) return 'its claims have no label in common, by which a group is selected';
  const titles = new Set(members.map(({ claim }) => claim));
  const others = facts.claims.filter((claim) => {
    return spaces.has(claim.metadata.namespace) && !titles.has(nameOf(claim)) && carries(claim, matchLabels);
  });
  if (others.length === 0) return { api, class: choice, matchLabels };
  const names = others.map((claim) => claim.metadata.name).join(', ');
  return `a group is selected by labels, and all that its claims share is also on ${names}`;
}

function chooseClass(members: readonly ReadyClaim[], classes: readonly KubeObject[], driver: string, wish: GroupWish) {
  const claim = members.map((member) => member.claim).join(', ');
  try {
    const question = { claim, driver, kind: 'VolumeGroupSnapshotClass', ofPolicy: wish.class } as const;
    return chooseSnapshotClass(classes, question) satisfies ClassChoice | undefined;
  } catch (error) {
    if (isHoldfastError(error)) return error;
    throw error;
  }
}

/**
 * All labels that every member has. The controller heeds matchLabels only (R2.3), and the more of them, the fewer claims
 * carry all: where these reach beyond the group, nothing that the claims have tells it from others.
 */
function commonLabels(members: readonly ReadyClaim[]): Labels {
  const [first, ...others] = members.map(({ source }) => source.claim);
  const own = Object.entries(first?.metadata.labels ?? {});
  return Object.fromEntries(own.filter(([key, value]) => others.every((one) => one.metadata.labels?.[key] === value)));
}

function carries(object: KubeObject, labels: Labels): boolean {
  return Object.entries(labels).every(([key, value]) => object.metadata.labels?.[key] === value);
}
