/**
 * What of a recorded claim goes into the claim of a restore: kept, dropped or mapped, field by field.
 * The table is in docs/recipe.md. The volume is a new one, so nothing that names the old one survives.
 */
import { formatQuantity, parseQuantity } from '../base/quantity.ts';
import type { RecordedClaim } from './kube-shapes.ts';
import type { Recipe } from './recipe.ts';
import { placeLabels } from './topology.ts';

/** Labels and annotations of a restore in flight and of what it made. */
export const restoreMarkPrefix = 'restore.holdfast.dev/';

export interface ClaimWishes {
  readonly namespace: string;
  readonly name: string;
  /** Always explicit: a claim without one would get whatever class is the default some day (R3.11). */
  readonly storageClass: string;
  readonly sizeBytes: number;
  readonly accessModes: readonly string[];
  /** The recorded VolumeAttributesClass when it is to be kept. */
  readonly attributesClass: string | null;
}

/** A type and not an interface, so that it can be sent like any other object. */
export type NewClaim = {
  readonly apiVersion: 'v1';
  readonly kind: 'PersistentVolumeClaim';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly accessModes: readonly string[];
    readonly volumeMode: string;
    readonly storageClassName: string;
    readonly resources: {
      readonly requests: { readonly storage: string };
      readonly limits?: { readonly storage: string };
    };
    readonly volumeAttributesClassName?: string;
    readonly volumeName?: string;
    /** A snapshot in the claim's namespace that the volume is made from. */
    readonly dataSource?: { readonly apiGroup: string; readonly kind: 'VolumeSnapshot'; readonly name: string };
  };
};

/** One thing that a restore leaves out or writes differently, and why. */
export interface Change {
  readonly field: string;
  readonly reason: string;
}

export interface Translation {
  /** Without `volumeName`: which volume it gets is known only once there is one. */
  readonly claim: NewClaim;
  readonly kept: readonly string[];
  readonly dropped: readonly Change[];
}

export function translateClaim(recipe: Recipe, wishes: ClaimWishes): Translation {
  const recorded = recipe.claim;
  const labels = sift(recorded.metadata.labels, 'label', reasonToDropLabel);
  const annotations = sift(recorded.metadata.annotations, 'annotation', reasonToDropAnnotation);
  const limit = keptLimit(recorded, wishes.sizeBytes);
  return {
    claim: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: wishes.name,
        namespace: wishes.namespace,
        labels: labels.kept,
        annotations: annotations.kept,
      },
      spec: {
        accessModes: wishes.accessModes,
        volumeMode: recipe.volumeMode,
        storageClassName: wishes.storageClass,
        resources: {
          requests: { storage: formatQuantity(wishes.sizeBytes) },
          ...(limit === null ? {} : { limits: { storage: limit } }),
        },
        ...(wishes.attributesClass === null ? {} : { volumeAttributesClassName: wishes.attributesClass }),
      },
    },
    kept: [
      ...Object.keys(labels.kept).map((key) => `label ${key}`),
      ...Object.keys(annotations.kept).map((key) => `annotation ${key}`),
    ],
    dropped: [...labels.dropped, ...annotations.dropped, ...droppedFields(recorded, limit)],
  };
}

/** The class that a recorded claim names, by field or by the annotation of old clusters; "" means no dynamic class. */
export function recordedClassName(recipe: Recipe): string | null {
  const { spec, metadata } = recipe.claim;
  return (
    spec.storageClassName ??
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ??
    recipe.volume?.spec.storageClassName ??
    null
  );
}

function sift(
  entries: Readonly<Record<string, string>> | undefined,
  what: string,
  reasonToDrop: (key: string) => string | null,
): { kept: Record<string, string>; dropped: Change[] } {
  const kept: Record<string, string> = {};
  const dropped: Change[] = [];
  for (const [key, value] of Object.entries(entries ?? {})) {
    const reason = reasonToDrop(key);
    if (reason === null) kept[key] = value;
    else dropped.push({ field: `${what} ${key}`, reason });
  }
  return { kept, dropped };
}

/** Everything else stays: a StatefulSet finds its claims by labels (R8.2). */
function reasonToDropLabel(key: string): string | null {
  if (placeLabels.includes(key)) return 'says where the old volume was';
  return reasonOfTool(key);
}

function reasonToDropAnnotation(key: string): string | null {
  if (key in annotationReasons) return annotationReasons[key] ?? null;
  if (key.startsWith('pv.kubernetes.io/')) return 'mark of the old binding';
  return reasonOfTool(key);
}

function reasonOfTool(key: string): string | null {
  const prefix = key.slice(0, key.indexOf('/') + 1);
  if (prefix === restoreMarkPrefix) return 'mark of an earlier restore';
  return /^([^/]+\.)?velero\.io\/$/.test(prefix) ? 'mark of another backup tool' : null;
}

const annotationReasons: Readonly<Record<string, string>> = {
  'volume.kubernetes.io/storage-provisioner': 'written anew by the cluster',
  'volume.beta.kubernetes.io/storage-provisioner': 'written anew by the cluster',
  'volume.kubernetes.io/selected-node': 'node of the old volume',
  'volume.alpha.kubernetes.io/selected-node': 'node of the old volume',
  'volume.kubernetes.io/storage-resizer': 'state of an old resize',
  'volume.kubernetes.io/node-expansion-not-required': 'state of an old resize',
  'volume.beta.kubernetes.io/storage-class': 'written as spec.storageClassName',
  'kubectl.kubernetes.io/last-applied-configuration': 'names fields of the old object',
  'control-plane.alpha.kubernetes.io/leader': 'lock of an old provisioner',
};

function keptLimit(recorded: RecordedClaim, sizeBytes: number): string | null {
  const limit = recorded.spec.resources?.limits?.storage;
  if (limit === undefined) return null;
  return (parseQuantity(limit) ?? 0) >= sizeBytes ? String(limit) : null;
}

const fieldReasons: readonly (readonly [path: readonly string[], reason: string])[] = [
  [['metadata', 'ownerReferences'], 'its uid names an object that is gone, so the claim would be deleted with it'],
  [['metadata', 'finalizers'], 'set anew by the cluster where they are needed'],
  [['metadata', 'generateName'], 'the name is given'],
  [['spec', 'volumeName'], 'names the old volume'],
  [['spec', 'selector'], 'a claim with a selector is never provisioned'],
  [['spec', 'dataSource'], 'names what the old volume was made from'],
  [['spec', 'dataSourceRef'], 'names what the old volume was made from'],
];

function droppedFields(recorded: RecordedClaim, limit: string | null): Change[] {
  const dropped = fieldReasons
    .filter(([path]) => isSet(recorded, path))
    .map(([path, reason]) => ({ field: path.join('.'), reason }));
  if (recorded.spec.resources?.limits?.storage !== undefined && limit === null) {
    dropped.push({ field: 'spec.resources.limits', reason: 'smaller than the new size' });
  }
  return dropped;
}

function isSet(object: unknown, path: readonly string[]): boolean {
  let value = object;
  for (const key of path) value = (value as Record<string, unknown> | undefined)?.[key];
  return value !== undefined && value !== null;
}
