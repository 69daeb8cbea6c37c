/** Where a volume lives, told by the authorities of R5.3 in their order. */
import type { NodeSelectorTerm, RecordedVolume } from './kube-shapes.ts';
import type { Topology } from './recipe.ts';

const zoneLabels = ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'];
const regionLabels = ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'];

/** Labels and annotations that only say where a volume or node is; never copied to anything new. */
export const placeLabels: readonly string[] = [...zoneLabels, ...regionLabels];

/** What the key of a node affinity or CSI topology speaks of. Drivers have keys of their own, alike in their ends. */
export function placeOfKey(key: string): 'zone' | 'region' | 'host' | 'other' {
  const name = key.slice(key.lastIndexOf('/') + 1).toLowerCase();
  if (/(^|[-_.])zone$/.test(name)) return 'zone';
  if (/(^|[-_.])region$/.test(name)) return 'region';
  if (/(^|[-_.])(host|hostname|node|nodename)$/.test(name)) return 'host';
  return 'other';
}

/**
 * @param attachedNodeLabels labels of the node in the volume's VolumeAttachment: the last authority, and only a hint,
 *   since a volume that any zone can reach is attached to some node too.
 */
export function topologyOf(
  volume: RecordedVolume | null,
  attachedNodeLabels: Readonly<Record<string, string>> | null,
): Topology {
  const rawTerms = volume?.spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const fromTerms = placesOfTerms(rawTerms);
  if (isPlace(fromTerms)) return { ...fromTerms, rawTerms, source: 'node-affinity' };
  const fromLabels = placesOfLabels(volume?.metadata.labels ?? {});
  if (isPlace(fromLabels)) return { ...fromLabels, rawTerms, source: 'labels' };
  const fromNode = placesOfLabels(attachedNodeLabels ?? {});
  if (isPlace(fromNode)) return { ...fromNode, rawTerms, source: 'attached-node' };
  return { zones: [], regions: [], hosts: [], rawTerms, source: 'none' };
}

type Places = Pick<Topology, 'zones' | 'regions' | 'hosts'>;

function isPlace(places: Places): boolean {
  return places.zones.length + places.regions.length + places.hosts.length > 0;
}

function placesOfTerms(terms: readonly NodeSelectorTerm[]): Places {
  const found = { zone: new Set<string>(), region: new Set<string>(), host: new Set<string>() };
  for (const { key, operator, values } of terms.flatMap((term) => term.matchExpressions ?? [])) {
    const place = placeOfKey(key);
    if (place === 'other' || operator !== 'In') continue;
    // Azure writes an empty zone for volumes that have none.
    for (const value of values ?? []) if (value !== '') found[place].add(value);
  }
  return { zones: [...found.zone], regions: [...found.region], hosts: [...found.host] };
}

function placesOfLabels(labels: Readonly<Record<string, string>>): Places {
  return { zones: labelValues(labels, zoneLabels), regions: labelValues(labels, regionLabels), hosts: [] };
}

/** Old in-tree volumes over several zones carry them as one label value, joined by two underscores. */
function labelValues(labels: Readonly<Record<string, string>>, keys: readonly string[]): string[] {
  const values = keys.flatMap((key) => labels[key]?.split('__') ?? []).filter((value) => value !== '');
  return [...new Set(values)];
}
