/** The cut by a CSI snapshot of one claim, for all methods that begin with one. */
import { ownedBy } from '../cluster/labels.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { createSnapshot, waitForCut, waitForReady } from '../cluster/volume-snapshot.ts';
import type { Cut, PreparedClaim } from './method.ts';

/** Returns as soon as the point in time is taken, with a snapshot that perhaps cannot be read yet (R1.10). */
export async function cutSnapshot(claim: PreparedClaim): Promise<Cut> {
  const { cluster, work, job } = claim;
  const { plan, options, name, labels, timeouts } = work;
  const { namespace, claim: claimName, signal } = options;
  const { moverNamespace } = plan;
  // To the garbage collector an owner in another namespace is one that is gone.
  const ties = moverNamespace === namespace ? { owners: ownedBy(job) } : { owners: [], moverNamespace };
  const className = plan.class?.class.metadata.name ?? '';
  const wish = { namespace, name, claimName, className, labels, ...ties };
  const made = await createSnapshot(cluster, wish, signal);
  const snapshot = await waitForCut(cluster, made, { ...watch(claim), timeoutMs: timeouts.cutMs });
  const time = textAt(snapshot, 'status', 'creationTime');
  claim.say('snapshot', `cut at ${time ?? 'an unknown time'}`);
  return { time: time ?? claim.now(), snapshot };
}

/** The snapshot once a claim can be made of it. */
export function readySnapshot(claim: PreparedClaim, { snapshot }: Cut): Promise<KubeObject> {
  if (snapshot === undefined) throw new TypeError('the claim was not cut by a snapshot');
  const { readyMs } = claim.work.timeouts;
  return waitForReady(claim.cluster, snapshot, { ...watch(claim), timeoutMs: readyMs });
}

function watch({ work, warn }: PreparedClaim) {
  return { claim: work.plan.claim, signal: work.options.signal, onProblem: warn };
}
