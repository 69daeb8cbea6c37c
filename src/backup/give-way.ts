/**
 * A copy of a volume in use gives way: while our pod has the volume, no other node can have it, and a claim that is
 * deleted does not go. Whoever comes first wins, and that is never the backup (R6.2).
 */
import type { Cluster } from '../cluster/client.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { POD, refOf } from '../cluster/resources.ts';
import { isConsumer } from './gather-facts.ts';
import type { ReadyClaim } from './plan.ts';
import { refusedCopy } from './plan-method.ts';
import { isShared } from './plan-place.ts';

export interface GiveWay {
  /** Aborted with LIVE_COPY_REFUSED when the mover has to go. */
  readonly signal: AbortSignal;
  /** Ends the watch. */
  stop(): void;
}

/** Watches the claim and the pods that use it from now on, for at most `timeoutMs`. `moverNode`: where our pod is. */
export function watchForConsumers(
  cluster: Cluster,
  plan: ReadyClaim,
  o: { readonly timeoutMs: number; readonly moverNode: () => string | undefined },
): GiveWay {
  const { claim } = plan.source;
  const giveWay = new AbortController();
  const end = new AbortController();
  const wait = { timeoutMs: o.timeoutMs, signal: end.signal };
  const { namespace } = claim.metadata;
  const reasons = [
    cluster.waitFor(refOf(claim), (now) => whyGone(claim, now), { ...wait, what: 'the claim to be deleted' }),
  ];
  if (!isShared(plan.source)) {
    const look = (pods: readonly KubeObject[]) => whyNeeded(pods, claim, o.moverNode());
    reasons.push(cluster.waitForList(POD, { namespace }, look, { ...wait, what: 'a pod that needs the volume' }));
  }
  for (const reason of reasons) {
    reason.then(
      (words) => giveWay.abort(refusedCopy(plan.claim, words)),
      // The end of the watch, or an API server that does not answer: the Job's own deadline holds in any case.
      () => undefined,
    );
  }
  return { signal: giveWay.signal, stop: () => end.abort(new Error('the copy has ended')) };
}

function whyGone(claim: KubeObject, now: KubeObject | undefined): string | undefined {
  if (now?.metadata.uid !== claim.metadata.uid) return 'the claim is gone';
  return now.metadata.deletionTimestamp === undefined ? undefined : 'the claim is being deleted';
}

function whyNeeded(pods: readonly KubeObject[], claim: KubeObject, moverNode: string | undefined): string | undefined {
  for (const pod of pods) {
    if (!isConsumer(pod, claim) || pod.metadata.deletionTimestamp !== undefined) continue;
    const node = textAt(pod, 'spec', 'nodeName');
    if (node === undefined) return `its pod ${pod.metadata.name} waits for a node, and may need the volume elsewhere`;
    if (moverNode !== undefined && node !== moverNode)
      return `its pod ${pod.metadata.name} needs the volume on ${node}`;
  }
  return undefined;
}
