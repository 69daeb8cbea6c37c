/**
 * A mover that waits for its turn in a queue of Kueue: its Job stays suspended until Kueue lets it go, and Kueue alone
 * may do so (R10.5).
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Cluster } from './client.ts';
import type { MoverPod } from './mover-pod.ts';
import { conditionOf, type KubeObject, valueAt } from './object.ts';
import { refOf } from './resources.ts';

const QUEUE_NAME = 'kueue.x-k8s.io/queue-name';

/** The label comes last, when all that the pod needs is there: from then on Kueue may start the Job. */
export async function enqueue(cluster: Cluster, job: KubeObject, queueName: string, signal?: AbortSignal) {
  await cluster.patch(refOf(job), { merge: { metadata: { labels: { [QUEUE_NAME]: queueName } } } }, signal);
}

export interface QueueWatch {
  readonly queuedMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  onState?(state: string, pod: KubeObject | undefined): void;
}

/** Returns at once for a mover in no queue. Throws MOVER_FAILED when its time is up. */
export async function waitForQueue(
  cluster: Cluster,
  job: KubeObject,
  { settings, worksFor }: MoverPod,
  { queuedMs = Number.POSITIVE_INFINITY, signal, onState }: QueueWatch,
): Promise<void> {
  const { queueName } = settings;
  if (queueName === undefined) return;
  onState?.(`waits in the queue ${queueName}`, undefined);
  const isThrough = (current: KubeObject | undefined) => {
    const waits = current?.metadata.uid === job.metadata.uid && valueAt(current, 'spec', 'suspend') === true;
    return waits && conditionOf(current, 'Failed') === undefined ? undefined : true;
  };
  try {
    await cluster.waitFor(refOf(job), isThrough, { timeoutMs: queuedMs, what: 'the queue', signal });
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const reason = `the queue ${queueName} did not let it start in ${Math.round(queuedMs / 60_000)} min`;
    throw new HoldfastError('MOVER_FAILED', { claim: worksFor, reason });
  }
}
