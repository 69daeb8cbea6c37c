/** The content of a run's own snapshot, to be kept or recorded. */
import { HoldfastError } from '../base/errors.ts';
import type { KubeObject } from '../cluster/object.ts';
import { contentOf } from '../cluster/volume-snapshot.ts';
import type { PreparedClaim } from './method.ts';

/** Members of a group snapshot go with their group (R2.6), and cannot be kept. Throws SNAPSHOT_FAILED. */
export async function ownContent({ cluster, work }: PreparedClaim, snapshot: KubeObject): Promise<KubeObject> {
  const failed = (reason: string) => new HoldfastError('SNAPSHOT_FAILED', { claim: work.plan.claim, reason });
  if (snapshot.metadata.name !== work.name) throw failed('it was cut with a group, whose snapshots cannot be kept');
  const content = await contentOf(cluster, snapshot);
  if (content === undefined) throw failed('its content is gone');
  return content;
}
