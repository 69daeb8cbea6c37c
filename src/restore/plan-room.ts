/**
 * Whether there is room for what a plan makes: quotas and limits of the namespace, what the storage says it has left,
 * and how many volumes a node may have (R5.4). Pure. What could not be read refuses nothing and is warned of.
 */
import { HoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { CapacityFacts, ClusterFacts, NodeFacts, QuotaFacts, Surroundings, TargetFacts } from './facts.ts';
import type { ClassPlan } from './plan-class.ts';
import type { PlacePlan } from './plan-place.ts';

export interface RoomRequest {
  readonly namespace: string;
  readonly storageClass: ClassPlan;
  readonly place: PlacePlan;
  readonly sizeBytes: number;
  /** What the data needs at least, for what would help. */
  readonly leastBytes: number;
  readonly facts: ClusterFacts;
}

/** What claims ask of a quota. */
export interface QuotaNeed {
  readonly storageClass: string;
  readonly sizeBytes: number;
  /** How many claims of it are still to be made: target and temporary claim, less those that are there. */
  readonly claims: number;
}

export interface RoomPlan {
  readonly refusals: readonly HoldfastError[];
  readonly warnings: readonly string[];
}

export function planRoom(request: RoomRequest): RoomPlan {
  const { facts, namespace } = request;
  const unknown = [
    ...(facts.quotas === null ? [`the quotas of ${namespace}`] : []),
    ...(facts.capacities === null ? ['the capacity of the storage'] : []),
  ];
  // An unfinished restore has its volume, or at least its place in the quota, already.
  const isBegun = facts.unfinished !== null;
  return {
    refusals: isBegun ? [] : [...limitRefusals(request), ...capacityRefusals(request), ...attachRefusals(request)],
    warnings: unknown.map((what) => `${what} could not be read, so that it may lack room`),
  };
}

/** How many claims a restore has still to make. The temporary one goes in the end, but counts until then. */
export function claimsToMake({ target, unfinished }: TargetFacts): number {
  return (target === null ? 1 : 0) + (unfinished === null ? 1 : 0);
}

/**
 * @param needs of all claims that are there at the same time.
 * @returns a refusal for each resource of each quota that would be exceeded.
 */
export function quotaRefusals(
  namespace: string,
  quotas: readonly QuotaFacts[] | null,
  needs: readonly QuotaNeed[],
): HoldfastError[] {
  return (quotas ?? []).flatMap(({ name, left }) =>
    Object.entries(left).flatMap(([resource, available]) => {
      const asked = sum(needs.map((need) => askedOf(resource, need)));
      if (asked <= available) return [];
      const show = (amount: number) => (resource.endsWith('storage') ? formatSize(amount) : String(amount));
      const context = { namespace, quota: name, resource, needed: show(asked), left: show(Math.max(0, available)) };
      return [new HoldfastError('QUOTA_EXCEEDED', context)];
    }),
  );
}

/** `requests.storage`, `persistentvolumeclaims`, and both for one class: `gold.storageclass.storage.k8s.io/…`. */
function askedOf(resource: string, { storageClass, sizeBytes, claims }: QuotaNeed): number {
  const [className, kind] = /^(.+)\.storageclass\.storage\.k8s\.io\/(.+)$/.exec(resource)?.slice(1) ?? [null, resource];
  if (className !== null && className !== storageClass) return 0;
  if (kind === 'requests.storage') return sizeBytes * claims;
  return kind === 'persistentvolumeclaims' || kind === 'count/persistentvolumeclaims' ? claims : 0;
}

function limitRefusals({ namespace, sizeBytes, facts }: RoomRequest): HoldfastError[] {
  return (facts.limits ?? []).flatMap(({ name, minBytes, maxBytes }) => {
    const isSmall = minBytes !== null && sizeBytes < minBytes;
    if (!isSmall && (maxBytes === null || sizeBytes <= maxBytes)) return [];
    const limit = isSmall ? `at least ${formatSize(minBytes)}` : `at most ${formatSize(maxBytes ?? 0)}`;
    return [new HoldfastError('SIZE_NOT_ALLOWED', { namespace, name, limit, size: formatSize(sizeBytes) })];
  });
}

/** Only what the storage says: a driver that reports nothing refuses nothing. */
function capacityRefusals({ facts, storageClass, place, sizeBytes, leastBytes }: RoomRequest): HoldfastError[] {
  const known = (facts.capacities ?? []).filter((one) => one.storageClass === storageClass.name);
  const here = known.filter((one) => isInPlace(one.labels, place));
  const bytes = Math.max(0, ...here.map((one) => one.bytes));
  if (here.length === 0 || bytes >= sizeBytes) return [];
  const enough = (facts.capacities ?? []).filter((one) => one.bytes >= sizeBytes);
  const zones = place.label === null ? [] : valuesOf(enough, storageClass.name, place.label.key);
  const classes = new Set(enough.filter((one) => isInPlace(one.labels, place)).map((one) => one.storageClass));
  const ways = [
    ...(zones.length > 0 ? [`--zone ${zones.join(' or ')} has room`] : []),
    ...(classes.size > 0 ? [`--storage-class ${[...classes].sort().join(' or ')} has room`] : []),
    ...(leastBytes <= bytes ? [`the data fits into --size ${Math.ceil(leastBytes / 2 ** 20)}Mi`] : []),
  ];
  return [
    new HoldfastError('STORAGE_FULL', {
      size: formatSize(sizeBytes),
      class: storageClass.name,
      place: place.label?.values.join(', ') ?? 'any place',
      left: formatSize(bytes),
      fix: ways.length > 0 ? `What would help: ${ways.join('; ')}.` : 'Make room on the storage.',
    }),
  ];
}

function valuesOf(capacities: readonly CapacityFacts[], storageClass: string, key: string): string[] {
  const own = capacities.filter((one) => one.storageClass === storageClass);
  return [...new Set(own.flatMap(({ labels }) => labels[key] ?? []))].sort();
}

/** The mover, and later the pods, need a node that may have one more volume of the driver. */
function attachRefusals({ facts, storageClass, place }: RoomRequest): HoldfastError[] {
  const nodes = nodesIn(facts, storageClass.provisioner, place);
  const isFull = ({ attachable }: NodeFacts) => (attachable[storageClass.provisioner] ?? 1) <= 0;
  if (nodes.length === 0 || !nodes.every(isFull)) return [];
  return [
    new HoldfastError('NODES_FULL', {
      driver: storageClass.provisioner,
      nodes: nodes.map(({ name }) => name).join(', '),
      place: place.label?.values.join(', ') ?? 'the cluster',
    }),
  ];
}

function nodesIn({ nodes }: Surroundings, driver: string, place: PlacePlan): NodeFacts[] {
  return nodes.filter(({ usable, labels, driverKeys }) => usable && driver in driverKeys && isInPlace(labels, place));
}

function isInPlace(labels: Readonly<Record<string, string>>, { label }: PlacePlan): boolean {
  return label === null || label.values.includes(labels[label.key] ?? '');
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
