/** Whether the CSI snapshot that a recipe names is still there. Only reads. */
import { isDenied } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { readClusterUid } from '../cluster/connect.ts';
import { textAt } from '../cluster/object.ts';
import { SNAPSHOT_CONTENT } from '../cluster/resources.ts';
import type { Recipe } from '../manifest/recipe.ts';
import type { KeptFacts } from './facts.ts';

/** Null where the recipe names none. */
export async function gatherKept(cluster: Cluster, recipe: Recipe, signal?: AbortSignal): Promise<KeptFacts | null> {
  const { keptSnapshot: kept } = recipe;
  if (kept === undefined) return null;
  try {
    if (!(await cluster.serves(SNAPSHOT_CONTENT, signal))) {
      return { state: 'gone', reason: 'the cluster has no snapshot API (its CRDs are not installed)' };
    }
    const content = await cluster.get(SNAPSHOT_CONTENT, undefined, kept.content, signal);
    const isIt = textAt(content, 'status', 'snapshotHandle') === kept.handle;
    if (
      isIt &&
      textAt(content, 'spec', 'driver') === kept.driver &&
      content?.metadata.deletionTimestamp === undefined
    ) {
      return { state: 'present', reason: 'its kept CSI snapshot is in the storage of this cluster' };
    }
    const uid = await readClusterUid(cluster);
    if (uid !== undefined && uid === recipe.cluster.uid) {
      return {
        state: 'gone',
        reason: `the cluster that made it has its VolumeSnapshotContent ${kept.content} no more`,
      };
    }
    return { state: 'unknown', reason: 'another cluster made it, and only the storage can tell whether it is there' };
  } catch (error) {
    if (!isDenied(error)) throw error;
    return { state: 'unknown', reason: 'whether it is there may not be read here (VolumeSnapshotContents)' };
  }
}
