/**
 * Where a restored volume is made, why there, and how the cluster is brought to do it (R5.6, R5.8). Pure.
 * Nothing here decides silently: what cannot be kept is a refusal or a warning.
 */
import { HoldfastError } from '../base/errors.ts';
import type { RecordedStorageClass } from '../manifest/kube-shapes.ts';
import type { Recipe } from '../manifest/recipe.ts';
import { placeOfKey } from '../manifest/topology.ts';
import type { ClusterFacts, NodeFacts, RestoreWishes } from './facts.ts';
import type { ClassPlan } from './plan-class.ts';

export interface PlacePlan {
  readonly decision: 'preserved' | 'mapped' | 'spread' | 'chosen' | 'any';
  readonly reason: string;
  /** Node label and values that the volume must be reachable from; null when the scheduler is free. */
  readonly label: { readonly key: string; readonly values: readonly string[] } | null;
  /**
   * `mover`: node affinity of the mover's pod, which a WaitForFirstConsumer class follows (R5.6 a);
   * `class`: a copy of an Immediate class with one allowed topology, deleted afterwards (R5.6 c);
   * `already`: the class allows no other place; `none`: not forced.
   */
  readonly force: 'mover' | 'class' | 'already' | 'none';
  readonly warnings: readonly string[];
}

const usualKeys = {
  zone: 'topology.kubernetes.io/zone',
  region: 'topology.kubernetes.io/region',
  host: 'kubernetes.io/hostname',
} as const;

type Choice = Pick<PlacePlan, 'decision' | 'reason' | 'warnings'> & {
  level: 'zone' | 'region' | 'host';
  values: string[];
};

export function planPlace(
  recipe: Recipe,
  facts: ClusterFacts,
  wishes: RestoreWishes,
  storageClass: ClassPlan,
): PlacePlan | HoldfastError {
  const map = placesOf(facts, storageClass.provisioner);
  const choice = choosePlace(recipe, wishes, map, storageClass);
  if (choice instanceof HoldfastError) return choice;
  const { level, values, ...rest } = choice;
  if (values.length === 0) return { ...rest, label: null, force: 'none' };
  const reported = map.keys[level];
  if (map.driverIsKnown && reported === null) {
    const warning = `the driver ${storageClass.provisioner} knows no ${level}s: its volumes are not tied to one`;
    return { ...rest, label: null, force: 'none', warnings: [...rest.warnings, warning] };
  }
  const key = reported ?? usualKeys[level];
  return forcePlace(choice, key, storageClass);
}

function forcePlace(choice: Choice, key: string, storageClass: ClassPlan): PlacePlan | HoldfastError {
  const label = { key, values: choice.values };
  const { level: _, values: __, ...rest } = choice;
  const allowed = allowedValues(storageClass.object, key);
  if (allowed && !choice.values.every((value) => allowed.includes(value))) {
    return new HoldfastError('RESTORE_REFUSED', {
      reason: `the storage class ${storageClass.name} makes volumes only in ${allowed.join(', ')}, not in ${choice.values.join(', ')}`,
      fix: 'Choose one of those with --zone, or another class with --storage-class.',
    });
  }
  if (allowed && allowed.length === choice.values.length) return { ...rest, label, force: 'already' };
  return { ...rest, label, force: storageClass.immediate ? 'class' : 'mover' };
}

/** Values of `key` that every alternative of the class's allowed topologies gives; null when the class does not say. */
function allowedValues(storageClass: RecordedStorageClass, key: string): string[] | null {
  const terms = storageClass.allowedTopologies ?? [];
  const values = terms.map((term) => term.matchLabelExpressions?.find((expression) => expression.key === key)?.values);
  if (terms.length === 0 || values.includes(undefined)) return null;
  return [...new Set(values.flatMap((one) => one ?? []))];
}

function choosePlace(
  recipe: Recipe,
  wishes: RestoreWishes,
  map: PlaceMap,
  storageClass: ClassPlan,
): Choice | HoldfastError {
  const wish = wishes.zone ?? 'preserve';
  if (wish === 'any') return anywhere('chosen: the scheduler decides');
  if (wish === 'preserve') return preserve(recipe, wishes, map);
  if (wish === 'spread') return spread(recipe, map, storageClass);
  if (!map.zones.has(wish)) return zoneMissing([wish], map);
  return { decision: 'chosen', reason: 'chosen', level: 'zone', values: [wish], warnings: [] };
}

/**
 * Round the zones by the ordinal: claims of one pod come to lie together, pods apart, and the same restore started again
 * comes to the same zone (R5.8).
 */
function spread(recipe: Recipe, map: PlaceMap, storageClass: ClassPlan): Choice | HoldfastError {
  const { name } = recipe.claim.metadata;
  const ordinal = /-(\d{1,5})$/.exec(name)?.[1];
  if (ordinal === undefined) {
    const reason = `the claim ${name} has no ordinal by which it could be spread over zones`;
    return new HoldfastError('RESTORE_REFUSED', {
      reason,
      fix: 'Name its zone with --zone, or leave it to --zone any.',
    });
  }
  const allowed = allowedValues(storageClass.object, map.keys.zone ?? usualKeys.zone);
  const zones = [...map.zones].filter((zone) => allowed?.includes(zone) ?? true).sort();
  const zone = zones[Number(ordinal) % zones.length];
  if (zone === undefined) return zoneMissing(allowed ?? ['any'], map);
  const reason = `ordinal ${ordinal} of ${zones.length} zones`;
  return { decision: 'spread', reason, level: 'zone', values: [zone], warnings: [] };
}

function preserveRegion(regions: readonly string[], wishes: RestoreWishes, map: PlaceMap): Choice | HoldfastError {
  const values = regions.map((region) => (map.regions.has(region) ? region : (wishes.zoneMap?.[region] ?? region)));
  const missing = values.filter((region) => !map.regions.has(region));
  if (missing.length > 0) {
    const here = [...map.regions].sort().join(', ') || 'no region at all';
    return new HoldfastError('REGION_MISSING', { region: missing.join(', '), regions: here });
  }
  const isKept = values.every((region, at) => region === regions[at]);
  const reason = isKept ? 'the volume was there' : `the volume was in ${regions.join(', ')}`;
  return {
    decision: isKept ? 'preserved' : 'mapped',
    reason,
    level: 'region',
    values: [...new Set(values)],
    warnings: [],
  };
}

function preserve(recipe: Recipe, wishes: RestoreWishes, map: PlaceMap): Choice | HoldfastError {
  const { zones, regions, hosts, source } = recipe.topology;
  if (zones.length > 0) {
    const wanted = zones.map((zone) => (map.zones.has(zone) ? zone : (wishes.zoneMap?.[zone] ?? zone)));
    const missing = wanted.filter((zone) => !map.zones.has(zone));
    if (missing.length > 0 && source === 'attached-node')
      return anywhere(`the recorded zone ${zones[0]} was a guess and is not here`);
    if (missing.length > 0) return zoneMissing(missing, map);
    const values = [...new Set(wanted)];
    if (wanted.every((zone, at) => zone === zones[at])) {
      return { decision: 'preserved', reason: 'the volume was there', level: 'zone', values, warnings: [] };
    }
    return { decision: 'mapped', reason: `the volume was in ${zones.join(', ')}`, level: 'zone', values, warnings: [] };
  }
  if (hosts.length === 0 && regions.length > 0 && source !== 'attached-node')
    return preserveRegion(regions, wishes, map);
  if (hosts.length === 0) return anywhere('the volume was not tied to a zone');
  const present = hosts.filter((host) => map.hosts.has(host));
  if (present.length === 0) {
    const warning = `the volume was tied to node ${hosts.join(', ')}, which is not here: the scheduler chooses another`;
    return anywhere('its node is not in this cluster', [warning]);
  }
  return { decision: 'preserved', reason: 'the volume was on that node', level: 'host', values: present, warnings: [] };
}

function anywhere(reason: string, warnings: string[] = []): Choice {
  return { decision: 'any', reason, level: 'zone', values: [], warnings };
}

function zoneMissing(missing: readonly string[], map: PlaceMap): HoldfastError {
  const zones = [...map.zones].sort().join(', ');
  return new HoldfastError('ZONE_MISSING', { zone: missing.join(', '), zones: zones || 'no zone at all' });
}

interface PlaceMap {
  readonly zones: ReadonlySet<string>;
  readonly hosts: ReadonlySet<string>;
  readonly regions: ReadonlySet<string>;
  /** The node label by which the driver names places; null when it reports none. */
  readonly keys: Readonly<Record<Choice['level'], string | null>>;
  readonly driverIsKnown: boolean;
}

/** Zones and hosts of the nodes that a pod can run on and the driver serves (R5.8). */
function placesOf(facts: ClusterFacts, driver: string): PlaceMap {
  const served = facts.nodes.filter((node) => driver in node.driverKeys);
  // Provisioners that are no CSI drivers register nowhere; any node may do for them.
  const nodes = (served.length > 0 ? served : facts.nodes).filter((node) => node.usable);
  const keys = [...new Set(served.flatMap((node) => node.driverKeys[driver] ?? []))];
  const keyOf = (level: Choice['level']) => keys.find((key) => placeOfKey(key) === level) ?? null;
  const reported = { zone: keyOf('zone'), region: keyOf('region'), host: keyOf('host') };
  return {
    zones: valuesOf(nodes, reported.zone ?? usualKeys.zone),
    regions: valuesOf(nodes, reported.region ?? usualKeys.region),
    hosts: valuesOf(nodes, reported.host ?? usualKeys.host),
    keys: reported,
    driverIsKnown: served.length > 0,
  };
}

function valuesOf(nodes: readonly NodeFacts[], key: string): Set<string> {
  return new Set(nodes.flatMap((node) => node.labels[key] ?? []));
}
