/** Makes a recipe from the raw objects of a claim as the API server gave them. */
import { parseQuantity } from '../base/quantity.ts';
import {
  claimSchema,
  objectSchema,
  type RecordedClaim,
  type RecordedStorageClass,
  type RecordedVolume,
  storageClassSchema,
  volumeSchema,
} from './kube-shapes.ts';
import { type Consumer, type Recipe, type RecipeSizes, recipeSchemaVersion } from './recipe.ts';
import { redact } from './redact.ts';
import { topologyOf } from './topology.ts';

/** Raw API objects; null or absent for what there is not. What could not be read for lack of rights goes into `unread`. */
export interface RecipeSource {
  readonly claim: object;
  readonly volume?: object | null;
  readonly storageClass?: object | null;
  readonly snapshotClass?: object | null;
  readonly csiDriver?: object | null;
  readonly attachedNodeLabels?: Readonly<Record<string, string>> | null;
  readonly consumers?: readonly Consumer[];
  readonly method: string;
  /** What the data is worth: as after a power cut, or read while it was written to. */
  readonly consistency?: 'application' | 'crash' | 'live';
  readonly cluster?: { readonly uid: string | null; readonly name: string | null };
  readonly toolVersion: string;
  readonly recordedAtMs: number;
  readonly unread?: readonly string[];
}

/** Pure. Throws a ZodError when an object is not what the API server sends, which would be a bug. */
export function captureRecipe(source: RecipeSource): Recipe {
  const claim = claimSchema.parse(withoutManagedFields(source.claim));
  const volume = source.volume ? hideVolumeSecrets(volumeSchema.parse(withoutManagedFields(source.volume))) : null;
  const storageClass = source.storageClass
    ? hideClassSecrets(storageClassSchema.parse(withoutManagedFields(source.storageClass)))
    : null;
  return {
    apiVersion: 'holdfast.dev/v1alpha1',
    kind: 'ClaimRecipe',
    schema: recipeSchemaVersion,
    recordedAt: new Date(source.recordedAtMs).toISOString(),
    tool: { name: 'holdfast', version: source.toolVersion },
    cluster: { uid: source.cluster?.uid ?? null, name: source.cluster?.name ?? null },
    method: source.method,
    ...(source.consistency === undefined ? {} : { consistency: source.consistency }),
    claim,
    volume: volume?.object ?? null,
    storageClass: storageClass?.object ?? null,
    snapshotClass: source.snapshotClass ? objectSchema.parse(withoutManagedFields(source.snapshotClass)) : null,
    csiDriver: source.csiDriver ? objectSchema.parse(withoutManagedFields(source.csiDriver)) : null,
    topology: topologyOf(volume?.object ?? null, source.attachedNodeLabels ?? null),
    sizes: sizesOf(claim, volume?.object ?? null),
    resizeInfeasible: Object.values(claim.status?.allocatedResourceStatuses ?? {}).some((status) =>
      /(Infeasible|Failed)$/.test(status),
    ),
    reclaimPolicy: volume?.object.spec.persistentVolumeReclaimPolicy ?? null,
    accessModes: claim.spec.accessModes ?? [],
    volumeMode: (claim.spec.volumeMode ?? volume?.object.spec.volumeMode) === 'Block' ? 'Block' : 'Filesystem',
    consumers: [...(source.consumers ?? [])],
    conditions: (claim.status?.conditions ?? []).map(({ type, status, message }) => ({
      type,
      status: status ?? 'Unknown',
      message: message ?? null,
    })),
    redacted: [...(volume?.redacted ?? []), ...(storageClass?.redacted ?? [])],
    unread: [...(source.unread ?? [])],
  };
}

/**
 * The ordinal of a StatefulSet's pod, from the set's own name: names are never split at dashes,
 * since sets and templates may carry dashes and numbers themselves (R8.1).
 */
export function ordinalOf(podName: string, statefulSetName: string): number | null {
  if (!podName.startsWith(`${statefulSetName}-`)) return null;
  const rest = podName.slice(statefulSetName.length + 1);
  return /^\d+$/.test(rest) ? Number(rest) : null;
}

function sizesOf(claim: RecordedClaim, volume: RecordedVolume | null): RecipeSizes {
  return {
    requestedBytes: bytesOf(claim.spec.resources?.requests?.storage) ?? 0,
    provisionedBytes: bytesOf(volume?.spec.capacity?.storage),
    filesystemBytes: bytesOf(claim.status?.capacity?.storage),
    usedBytes: null,
  };
}

function bytesOf(quantity: string | number | undefined): number | null {
  return quantity === undefined ? null : (parseQuantity(quantity) ?? null);
}

/** Who set which field when is half the size of an object and of no use to anybody later. */
function withoutManagedFields(object: object): object {
  if (!('metadata' in object) || typeof object.metadata !== 'object' || object.metadata === null) return object;
  const { managedFields: _, ...metadata } = object.metadata as Record<string, unknown>;
  return { ...object, metadata };
}

function hideVolumeSecrets(volume: RecordedVolume): { object: RecordedVolume; redacted: string[] } {
  const csi = volume.spec.csi;
  const { values, redacted } = redact(csi?.volumeAttributes, 'volume.spec.csi.volumeAttributes');
  if (!csi || redacted.length === 0) return { object: volume, redacted };
  return { object: { ...volume, spec: { ...volume.spec, csi: { ...csi, volumeAttributes: values } } }, redacted };
}

function hideClassSecrets(storageClass: RecordedStorageClass): { object: RecordedStorageClass; redacted: string[] } {
  const { values, redacted } = redact(storageClass.parameters, 'storageClass.parameters');
  return { object: redacted.length === 0 ? storageClass : { ...storageClass, parameters: values }, redacted };
}
