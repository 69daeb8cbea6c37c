/** A plan as text for people. `--json` prints the plan itself. */
import { formatSize } from '../base/units.ts';
import type { RestorePlan } from './plan.ts';
import type { PlacePlan } from './plan-place.ts';

/** Lines without line breaks; what is planned, why, and last what deserves a second look. */
export function describePlan(plan: RestorePlan): string[] {
  const { target, storageClass, size, claim } = plan;
  const rows: [string, string][] = [
    ['backup', `${plan.backup.id.slice(0, 8)}, data ${describeData(plan)}`],
    ['from', describeSource(plan)],
    ['claim', `${target.namespace}/${target.name}${plan.resumes ? ' (goes on with an unfinished restore)' : ''}`],
    ['storage class', `${storageClass.name} (${storageClass.reason})`],
    ...storageClass.differences.map((difference): [string, string] => ['', `differs: ${difference}`]),
    ['zone', describePlace(plan.place)],
    ['size', `${claim.spec.resources.requests.storage}, ${formatSize(size.bytes)} (${size.reason})`],
    ['access', `${claim.spec.accessModes.join(', ')}, ${claim.spec.volumeMode}`],
    ['reclaim policy', `${plan.reclaimPolicy.value} in the end (${plan.reclaimPolicy.reason}), Retain until then`],
    ...created(plan).map((what, at): [string, string] => [at === 0 ? 'creates' : '', what]),
    ...plan.kept.map((what, at): [string, string] => [at === 0 ? 'keeps' : '', what]),
    ...plan.dropped.map(({ field, reason }, at): [string, string] => [at === 0 ? 'drops' : '', `${field}: ${reason}`]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    ...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...plan.warnings.map((warning) => `warning: ${warning}`),
  ];
}

/** What the restore makes, in order; the last column says what does not stay. */
export function created(plan: RestorePlan): string[] {
  const { namespace, name } = plan.target;
  const temporary = `${namespace}/${plan.temporaryClaim.metadata.name}`;
  return [
    ...(plan.createsNamespace ? [`Namespace ${namespace}`] : []),
    ...(plan.classCopy ? [`StorageClass ${plan.classCopy.metadata.name} (until the end of the restore)`] : []),
    `PersistentVolumeClaim ${temporary} (until the end of the restore)`,
    ...(plan.source.kind === 'repository'
      ? [`Job ${temporary} (until the data is there)`]
      : [`VolumeSnapshot ${temporary} and its VolumeSnapshotContent (until the end of the restore)`]),
    `PersistentVolumeClaim ${namespace}/${name}`,
  ];
}

function describeData(plan: RestorePlan): string {
  const { files, bytes } = plan.backup;
  const amounts = [files === null ? null : `${files} files`, bytes === null ? null : formatSize(bytes)];
  const known = amounts.filter((amount) => amount !== null).join(', ');
  return `${plan.subfolder}${known === '' ? '' : ` (${known})`}`;
}

function describeSource({ source }: RestorePlan): string {
  if (source.kind === 'repository') return `the repository (${source.reason})`;
  const { handle, driver } = source.snapshot;
  return `the CSI snapshot ${handle} of ${driver}${source.node === null ? '' : `, on node ${source.node}`} (${source.reason})`;
}

function describePlace(place: PlacePlan): string {
  if (!place.label) return `any (${place.reason})`;
  const { key, values } = place.label;
  return `${values.join(' or ')} (${place.decision === 'chosen' ? '' : `${place.decision}: `}${place.reason}; ${ways[place.force]} ${key})`;
}

const ways: Readonly<Record<PlacePlan['force'], string>> = {
  mover: 'the mover runs there, by node label',
  class: 'by a copy of the class that allows only',
  already: 'the class allows nothing else for',
  none: 'not forced, by',
};
