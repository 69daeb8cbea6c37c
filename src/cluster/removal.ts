/** Waiting for the end of what was deleted: finalizers may keep it for as long as the storage takes. */
import type { Cluster } from './client.ts';
import { describeRef, type Ref } from './resources.ts';

/** Until the object with this UID is not there; another one of that name does not matter. Throws WAIT_TIMEOUT. */
export async function waitGone(cluster: Cluster, ref: Ref, uid: string, timeoutMs: number): Promise<void> {
  let finalizers: readonly string[] = [];
  await cluster.waitFor(
    ref,
    (object) => {
      finalizers = object?.metadata.finalizers ?? [];
      return object?.metadata.uid === uid ? undefined : true;
    },
    {
      timeoutMs,
      what: `${describeRef(ref)} to be gone`,
      last: () => `it is still held by ${finalizers.join(', ') || 'nothing that shows'}`,
    },
  );
}
