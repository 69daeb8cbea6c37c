/**
 * The claim that a mover reads a snapshot through: made from the snapshot, removed together with its volume.
 */
import type { Cluster } from './client.ts';
import { type Labels, WORKS_FOR } from './labels.ts';
import { type KubeObject, type OwnerReference, textAt } from './object.ts';
import { CLAIM, type Ref, refOf, SNAPSHOT, VOLUME } from './resources.ts';

export interface TemporaryClaimWish {
  readonly namespace: string;
  readonly name: string;
  readonly snapshotName: string;
  /** Of the source: the same driver must provision it (R3.3). */
  readonly storageClass: string;
  readonly volumeMode: 'Filesystem' | 'Block';
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
        accessModes: ['ReadWriteOnce'],
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
 * Removes the claim and its volume, and waits until both are gone. A class that retains volumes would leave a copy of
 * the data behind with every backup, so the volume is told to go along first; only one that is bound to this very claim.
 */
export async function removeTemporaryClaim(cluster: Cluster, ref: Ref, uid: string, timeoutMs: number): Promise<void> {
  const claim = await cluster.get(CLAIM, ref.namespace, ref.name);
  if (claim === undefined || claim.metadata.uid !== uid) return;
  const volume = await volumeOf(cluster, claim);
  if (volume !== undefined && textAt(volume, 'spec', 'persistentVolumeReclaimPolicy') !== 'Delete') {
    await cluster.patch(refOf(volume), { merge: { spec: { persistentVolumeReclaimPolicy: 'Delete' } } });
  }
  await cluster.remove(ref, { uid });
  const isGone = (object: KubeObject | undefined) => (object?.metadata.uid === uid ? undefined : true);
  const what = `the temporary claim ${ref.name} to be gone`;
  await cluster.waitFor(ref, isGone, { timeoutMs, what, last: () => 'it is still being deleted' });
  if (volume === undefined) return;
  const noVolume = (object: KubeObject | undefined) => (object === undefined ? true : undefined);
  const last = () => 'it is still detached or deleted by its driver';
  const gone = `the temporary volume ${volume.metadata.name} to be gone`;
  await cluster.waitFor(refOf(volume), noVolume, { timeoutMs, what: gone, last });
}

async function volumeOf(cluster: Cluster, claim: KubeObject): Promise<KubeObject | undefined> {
  const name = textAt(claim, 'spec', 'volumeName');
  if (name === undefined) return undefined;
  const volume = await cluster.get(VOLUME, undefined, name);
  return textAt(volume, 'spec', 'claimRef', 'uid') === claim.metadata.uid ? volume : undefined;
}
