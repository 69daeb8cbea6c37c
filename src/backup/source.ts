/**
 * The claim that is backed up, with its volume; and the claims that have nothing to back up now. Pure.
 */
import { HoldfastError } from '../base/errors.ts';
import { parseQuantity } from '../base/quantity.ts';
import { formatSize } from '../base/units.ts';
import { conditionOf, type KubeObject, listAt, nameOf, textAt, valueAt } from '../cluster/object.ts';
import { restoreMarkPrefix } from '../manifest/translate.ts';
import type { SelectableClaim } from '../policy/selector.ts';
import type { ClaimFacts, VolumeMode } from './facts.ts';

export interface BackupSource {
  readonly claim: KubeObject;
  readonly volume: KubeObject;
  /** undefined for volumes that no CSI driver serves: NFS, local disks, old kinds (R1.2). */
  readonly driver: string | undefined;
  /** undefined for a volume that was bound by hand. */
  readonly storageClassName: string | undefined;
  readonly volumeMode: VolumeMode;
  readonly accessModes: readonly string[];
  /** namespace/name */
  readonly title: string;
}

/** Why a claim cannot be backed up now. */
export interface Unready {
  /** `skipped`: there is nothing to back up; `blocked`: there is, and it cannot be had. */
  readonly status: 'skipped' | 'blocked';
  readonly error: HoldfastError;
}

/** The source, or why there is none: being deleted or restored, never used (Pending), lost, bound to a foreign volume. */
export function sourceOf({ claim, volume }: ClaimFacts): BackupSource | Unready {
  const title = nameOf(claim);
  if (claim.metadata.deletionTimestamp !== undefined) return unsettled(title, 'it is being deleted');
  const { labels, annotations } = claim.metadata;
  if (labels?.[`${restoreMarkPrefix}id`] !== undefined || annotations?.[`${restoreMarkPrefix}in-place`] !== undefined) {
    return unsettled(title, 'a restore into it has not ended');
  }
  const phase = textAt(claim, 'status', 'phase') ?? 'Pending';
  const volumeName = textAt(claim, 'spec', 'volumeName');
  if (phase !== 'Bound' || volumeName === undefined) {
    const error = new HoldfastError('CLAIM_NOT_BOUND', { claim: title, phase });
    // One that nobody used yet has nothing to back up; one that lost its volume has.
    return { status: phase === 'Pending' ? 'skipped' : 'blocked', error };
  }
  if (volume === undefined || textAt(volume, 'spec', 'claimRef', 'uid') !== claim.metadata.uid) {
    const phase = `bound to ${volumeName}, which is ${volume === undefined ? 'gone' : 'not its own'}`;
    return { status: 'blocked', error: new HoldfastError('CLAIM_NOT_BOUND', { claim: title, phase }) };
  }
  return {
    claim,
    volume,
    driver: textAt(volume, 'spec', 'csi', 'driver'),
    storageClassName: storageClassOf(claim),
    volumeMode: volumeModeOf(claim),
    accessModes: accessModesOf(claim),
    title,
  };
}

function unsettled(claim: string, reason: string): Unready {
  return { status: 'skipped', error: new HoldfastError('CLAIM_UNSETTLED', { claim, reason }) };
}

/** As the rules of a policy see a claim. */
export function selectableOf({ claim, volume }: Pick<ClaimFacts, 'claim' | 'volume'>): SelectableClaim {
  return {
    name: claim.metadata.name,
    labels: claim.metadata.labels ?? {},
    annotations: claim.metadata.annotations ?? {},
    storageClass: storageClassOf(claim),
    accessModes: accessModesOf(claim),
    volumeMode: volumeModeOf(claim),
    sizeBytes: capacityOf(volume) ?? quantityAt(claim, 'spec', 'resources', 'requests', 'storage') ?? 0,
  };
}

/** Bytes that the volume has. */
export function capacityOf(volume: KubeObject | undefined): number | undefined {
  return quantityAt(volume, 'spec', 'capacity', 'storage');
}

/** What deserves to be told of a claim that is backed up all the same: a size that is not what it will be (R7.3, R7.4). */
export function notesOf({ claim, volume }: BackupSource): string[] {
  const has = quantityAt(claim, 'status', 'capacity', 'storage') ?? 0;
  const gets = capacityOf(volume) ?? 0;
  const pending = conditionOf(claim, 'FileSystemResizePending');
  if (pending?.status !== 'True') return [];
  return [`its file system has ${formatSize(has)} and is still to grow to the ${formatSize(gets)} of its volume`];
}

/** Where the volume can be reached: the required node affinity of the PV, as a pod takes it. */
export function nodeSelectorOf(volume: KubeObject): unknown {
  return valueAt(volume, 'spec', 'nodeAffinity', 'required');
}

function storageClassOf(claim: KubeObject): string | undefined {
  const old = claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'];
  return textAt(claim, 'spec', 'storageClassName') || old || undefined;
}

function volumeModeOf(claim: KubeObject): VolumeMode {
  return textAt(claim, 'spec', 'volumeMode') === 'Block' ? 'Block' : 'Filesystem';
}

function accessModesOf(claim: KubeObject): string[] {
  return listAt(claim, 'spec', 'accessModes').filter((mode) => typeof mode === 'string');
}

function quantityAt(object: unknown, ...path: readonly string[]): number | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'string' || typeof value === 'number' ? parseQuantity(value) : undefined;
}
