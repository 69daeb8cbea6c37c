/**
 * The claim that is backed up, its volume and its storage class, checked before anything is made (R1.2, R1.3).
 */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { type KubeObject, textAt, valueAt } from '../cluster/object.ts';
import { CLAIM, VOLUME } from '../cluster/resources.ts';

export interface BackupSource {
  readonly claim: KubeObject;
  readonly volume: KubeObject;
  readonly driver: string;
  /** Undefined for a volume that was bound by hand. */
  readonly storageClassName: string | undefined;
  readonly volumeMode: 'Filesystem' | 'Block';
  /** namespace/name */
  readonly title: string;
}

/** Throws CLAIM_NOT_FOUND, CLAIM_NOT_BOUND, SNAPSHOT_UNSUPPORTED. */
export async function readSource(cluster: Cluster, namespace: string, name: string): Promise<BackupSource> {
  const title = `${namespace}/${name}`;
  const claim = await cluster.get(CLAIM, namespace, name);
  if (claim === undefined) throw new HoldfastError('CLAIM_NOT_FOUND', { claim: title });
  const phase = textAt(claim, 'status', 'phase') ?? 'Pending';
  const volumeName = textAt(claim, 'spec', 'volumeName');
  if (phase !== 'Bound' || volumeName === undefined) {
    throw new HoldfastError('CLAIM_NOT_BOUND', { claim: title, phase });
  }
  const volume = await cluster.get(VOLUME, undefined, volumeName);
  if (volume === undefined || textAt(volume, 'spec', 'claimRef', 'uid') !== claim.metadata.uid) {
    throw new HoldfastError('CLAIM_NOT_BOUND', { claim: title, phase: `bound to ${volumeName}, which is not its own` });
  }
  const driver = textAt(volume, 'spec', 'csi', 'driver');
  if (driver === undefined) {
    const reason = `its volume ${volumeName} is not one of a CSI driver`;
    throw new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: title, reason });
  }
  const storageClassName = textAt(claim, 'spec', 'storageClassName') || undefined;
  const volumeMode = textAt(claim, 'spec', 'volumeMode') === 'Block' ? 'Block' : 'Filesystem';
  return { claim, volume, driver, storageClassName, volumeMode, title };
}

/** Where the volume can be reached: the required node affinity of the PV, as a pod takes it. */
export function nodeSelectorOf(volume: KubeObject): unknown {
  return valueAt(volume, 'spec', 'nodeAffinity', 'required');
}
