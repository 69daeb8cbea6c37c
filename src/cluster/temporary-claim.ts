/**
 * The claim that a mover reads a snapshot through: made from the snapshot, removed together with its volume.
 */
import type { Cluster } from './client.ts';
import { type Labels, WORKS_FOR } from './labels.ts';
import { type KubeObject, type OwnerReference, textAt } from './object.ts';
import { waitGone } from './removal.ts';
import { CLAIM, type Ref, refOf, SNAPSHOT, VOLUME } from './resources.ts';

export interface TemporaryClaimWish {
  readonly namespace: string;
  readonly name: string;
  readonly snapshotName: string;
  /** Of the source: the same driver must provision it (R3.3). */
  readonly storageClass: string;
  readonly volumeMode: 'Filesystem' | 'Block';
  /** ReadOnlyMany only where it is known that the driver gives it (R3.9); default ReadWriteOnce. */
  readonly accessMode?: 'ReadWriteOnce' | 'ReadOnlyMany' | undefined;
  /** At least the snapshot's restore size and the volume's capacity (R7.4). */
  readonly size: string;
  readonly worksFor: string;
  readonly labels: Labels;
  readonly owners: readonly OwnerReference[];
}

export function createTemporaryClaim(
  cluster: Cluster,
  wish: TemporaryClaimWish,
  signal?: AbortSignal,
): Promise<KubeObject> {
  return cluster.create(
    {
      apiVersion: CLAIM.apiVersion,
      kind: CLAIM.kind,
      metadata: {
        name: wish.name,
        namespace: wish.namespace,
        labels: wish.labels,
        annotations: { [WORKS_FOR]: wish.worksFor },
        ownerReferences: wish.owners,
      },
      spec: {
        accessModes: [wish.accessMode ?? 'ReadWriteOnce'],
        volumeMode: wish.volumeMode,
        storageClassName: wish.storageClass,
        resources: { requests: { storage: wish.size } },
        dataSource: { apiGroup: SNAPSHOT.apiVersion.split('/')[0], kind: SNAPSHOT.kind, name: wish.snapshotName },
      },
    },
    signal,
  );
}

/**
 * A class that retains volumes would leave a copy of the data behind with every backup: the volume of this claim is told
 * to go along with it. Returns the volume, undefined where there is none that is bound to this very claim.
 */
export async function dropVolumeWithClaim(cluster: Cluster, claim: KubeObject): Promise<KubeObject | undefined> {
  const name = textAt(claim, 'spec', 'volumeName');
  if (name === undefined) return undefined;
  const volume = await cluster.get(VOLUME, undefined, name);
  if (volume === undefined || textAt(volume, 'spec', 'claimRef', 'uid') !== claim.metadata.uid) return undefined;
  if (textAt(volume, 'spec', 'persistentVolumeReclaimPolicy') === 'Delete') return volume;
  return cluster.patch(refOf(volume), { merge: { spec: { persistentVolumeReclaimPolicy: 'Delete' } } });
}

/** Removes the claim with this UID and its volume, and waits until both are gone. */
export async function removeTemporaryClaim(cluster: Cluster, ref: Ref, uid: string, timeoutMs: number): Promise<void> {
  const claim = await cluster.get(CLAIM, ref.namespace, ref.name);
  const volume = claim?.metadata.uid === uid ? await dropVolumeWithClaim(cluster, claim) : undefined;
  await cluster.remove(ref, { uid });
  await waitGone(cluster, ref, uid, timeoutMs);
  if (volume !== undefined) await waitGone(cluster, refOf(volume), volume.metadata.uid, timeoutMs);
}
