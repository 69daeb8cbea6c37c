/**
 * A mover from its Job to its answer: made suspended, given its job and credentials, started, watched, removed.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type MoverAnswer, type MoverJob, parseMoverAnswer } from '../base/mover-protocol.ts';
import type { Cluster } from './client.ts';
import { warningsAbout } from './events.ts';
import { ownedBy } from './labels.ts';
import { JOB_FILE, MOVER_CONTAINER, type MoverPod, moverJob, secretOf } from './mover-pod.ts';
import { watchProgress } from './mover-progress.ts';
import { enqueue, waitForQueue } from './mover-queue.ts';
import { lookAtPod, type PodState } from './mover-state.ts';
import { conditionOf, type KubeObject } from './object.ts';
import { waitGone } from './removal.ts';
import { CLAIM, CONFIG_MAP, JOB, POD, type Ref, refOf, SECRET } from './resources.ts';

export interface MoverResult extends MoverAnswer {
  readonly podName: string;
  readonly podUid: string;
  readonly node: string | undefined;
}

export interface MoverWatch {
  /** Until the container runs: scheduling, provisioning, attaching, pulling the image. */
  readonly startTimeoutMs: number;
  /** Infinity: as long as it gets on. */
  readonly runTimeoutMs: number;
  /** Without progress for so long it is given up; default never. */
  readonly stalledMs?: number | undefined;
  /** Until a queue lets it start, where it is in one; default as long as it takes. */
  readonly queuedMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Awaited once the container runs: the volume is bound from here on. */
  onStarted?(): Promise<void>;
  /** Told of every new state, in words. */
  onState?(state: string, pod: KubeObject | undefined): void;
}

/** Makes the suspended Job. What else belongs to the run is made with it as owner. */
export function createMoverJob(cluster: Cluster, pod: MoverPod, signal?: AbortSignal): Promise<KubeObject> {
  return cluster.create(moverJob(pod), signal);
}

/** Hands over the job description and the credentials, and lets the pod start. */
export async function startMover(
  cluster: Cluster,
  job: KubeObject,
  pod: MoverPod,
  work: MoverJob,
  signal?: AbortSignal,
): Promise<void> {
  const metadata = { name: pod.name, namespace: pod.namespace, labels: pod.labels, ownerReferences: ownedBy(job) };
  const data = { [JOB_FILE]: JSON.stringify(work) };
  await cluster.create({ ...CONFIG_MAP_TYPE, metadata, data }, signal);
  if (pod.repository.credentials !== undefined) {
    await cluster.create({ ...SECRET_TYPE, metadata, stringData: pod.repository.credentials }, signal);
  }
  const { queueName } = pod.settings;
  if (queueName !== undefined) await enqueue(cluster, job, queueName, signal);
  else await cluster.patch(refOf(job), { merge: { spec: { suspend: false } } }, signal);
}

const CONFIG_MAP_TYPE = { apiVersion: CONFIG_MAP.apiVersion, kind: CONFIG_MAP.kind };
const SECRET_TYPE = { apiVersion: SECRET.apiVersion, kind: SECRET.kind, type: 'Opaque' };

/**
 * Waits for the mover's end. An answer with exit code 0 or 3 is a result; anything else is MOVER_FAILED (or
 * CREDENTIALS_MISSING) with what the mover, the kubelet or the scheduler said.
 */
export async function awaitMover(
  cluster: Cluster,
  job: KubeObject,
  pod: MoverPod,
  watch: MoverWatch,
): Promise<MoverResult> {
  await waitForQueue(cluster, job, pod, watch);
  const follower = followPod(cluster, job, pod, watch);
  try {
    await noticeRefusal(cluster, job, pod, follower, watch);
    const isStarted = (state: PodState) => state.phase !== 'waiting';
    const started = await follower.until('the mover to start', watch.startTimeoutMs, isStarted);
    await watch.onStarted?.();
    const ended = started.phase === 'ended' ? started : await untilEnded(cluster, pod, follower, watch);
    return await resultOf(cluster, job, pod, ended);
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const reasons = [follower.last(), ...(await whyNot(cluster, job, pod, follower.podUid()))];
    throw failed(pod, `${error.message.split('; last seen')[0]}: ${reasons.join('; ')}`);
  }
}

async function untilEnded(cluster: Cluster, pod: MoverPod, follower: Follower, watch: MoverWatch): Promise<PodState> {
  const isEnded = (state: PodState) => state.phase === 'ended';
  const podName = follower.podName();
  if (watch.stalledMs === undefined || podName === undefined) {
    return follower.until('the mover to end', watch.runTimeoutMs, isEnded);
  }
  const { namespace, worksFor } = pod;
  const progress = watchProgress(cluster, { namespace, podName, worksFor, stalledMs: watch.stalledMs });
  try {
    return await follower.until('the mover to end', watch.runTimeoutMs, isEnded, progress.signal);
  } finally {
    progress.stop();
  }
}

/** Removes the Job and waits until its pod is gone, so that the volume is free (R1.22). Never touches another run's. */
export async function removeMover(cluster: Cluster, job: Ref, uid: string, timeoutMs: number): Promise<void> {
  await cluster.remove(job, { uid, propagation: 'Foreground' });
  await waitGone(cluster, job, uid, timeoutMs);
  const labelSelector = `batch.kubernetes.io/controller-uid=${uid}`;
  const noPods = (pods: readonly KubeObject[]) => (pods.length === 0 ? true : undefined);
  const what = `the pods of ${job.name} to be gone`;
  await cluster.waitForList(POD, { namespace: job.namespace, labelSelector }, noPods, { timeoutMs, what });
}

/** A Job whose pods are refused (Pod Security, quotas, webhooks) tries again for ever, and says so only in events. */
async function noticeRefusal(cluster: Cluster, job: KubeObject, pod: MoverPod, follower: Follower, watch: MoverWatch) {
  try {
    const timeoutMs = Math.min(REFUSED_AFTER_MS, watch.startTimeoutMs);
    await follower.until('the pod of the mover', timeoutMs, (state) => state.object !== undefined);
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    const warnings = await warningsAbout(cluster, pod.namespace, job.metadata.uid);
    const refused = warnings.find((warning) => warning.startsWith('FailedCreate'));
    if (refused !== undefined) throw failed(pod, `its pod is refused: ${refused}`);
  }
}

const REFUSED_AFTER_MS = 10_000;

type Follower = ReturnType<typeof followPod>;

function followPod(cluster: Cluster, job: KubeObject, pod: MoverPod, watch: MoverWatch) {
  let seen: KubeObject | undefined;
  let last = 'no pod yet';
  const labelSelector = `batch.kubernetes.io/controller-uid=${job.metadata.uid}`;
  const look = (pods: readonly KubeObject[]): PodState => {
    const current = pods[0];
    if (current === undefined && seen !== undefined) {
      return { phase: 'ended', words: `its pod ${seen.metadata.name} was removed` };
    }
    const state = lookAtPod(current, Date.now());
    if (state.problem !== undefined) throw failed(pod, state.problem);
    seen = current ?? seen;
    if (state.words !== last) watch.onState?.(state.words, current);
    last = state.words;
    return state;
  };
  return {
    last: () => last,
    podUid: () => seen?.metadata.uid,
    podName: () => seen?.metadata.name,
    until: (what: string, timeoutMs: number, isEnough: (state: PodState) => boolean, until?: AbortSignal) =>
      cluster.waitForList(
        POD,
        { namespace: pod.namespace, labelSelector },
        (pods) => {
          const state = look(pods);
          return isEnough(state) ? state : undefined;
        },
        { timeoutMs, what, signal: either(watch.signal, until), last: () => last },
      ),
  };
}

function either(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one === undefined || other === undefined ? (one ?? other) : AbortSignal.any([one, other]);
}

async function resultOf(cluster: Cluster, job: KubeObject, pod: MoverPod, state: PodState): Promise<MoverResult> {
  const answer = parseMoverAnswer(state.message ?? '');
  const { object } = state;
  if (answer !== undefined && (answer.exitCode === 0 || answer.exitCode === 3) && object !== undefined) {
    return { ...answer, podName: object.metadata.name, podUid: object.metadata.uid, node: state.node };
  }
  if (answer?.failure?.code === 'PASSWORD_MISSING') throw withoutCredentials(pod);
  if (answer?.failure !== undefined) throw failed(pod, answer.failure.message, answer.failure);
  if (object === undefined) throw failed(pod, [state.words, ...(await endOfJob(cluster, job))].join('; '));
  const log = await cluster.logs(pod.namespace, object.metadata.name, LOG_TAIL);
  const lines = log
    .trim()
    .split('\n')
    .filter((line) => line !== '');
  throw failed(pod, [state.words, ...lines.slice(-3)].join('; '));
}

/** A Job removes the pod itself when its deadline is over. */
async function endOfJob(cluster: Cluster, job: KubeObject): Promise<string[]> {
  const current = await cluster.get(JOB, job.metadata.namespace, job.metadata.name);
  const end = conditionOf(current, 'Failed') ?? conditionOf(current, 'FailureTarget');
  return end === undefined ? [] : [`${end.reason}: ${end.message}`];
}

const LOG_TAIL = { container: MOVER_CONTAINER, tailLines: 20 };

/** What the controllers behind a pod that does not start complain of. */
async function whyNot(cluster: Cluster, job: KubeObject, pod: MoverPod, podUid: string | undefined): Promise<string[]> {
  const claim = await cluster.get(CLAIM, pod.namespace, pod.claimName);
  const uids = [podUid, claim?.metadata.uid, job.metadata.uid].filter((uid) => uid !== undefined);
  const lists = await Promise.all(uids.map((uid) => warningsAbout(cluster, pod.namespace, uid)));
  return [...new Set(lists.flat())];
}

function withoutCredentials(pod: MoverPod): HoldfastError {
  const reason = `its Secret ${secretOf(pod) ?? ''} is not there, or has no HOLDFAST_PASSWORD`;
  return new HoldfastError('CREDENTIALS_MISSING', { namespace: pod.namespace, reason });
}

/** The mover's own code and hint stay readable in the context. */
function failed(pod: MoverPod, reason: string, failure?: MoverAnswer['failure']): HoldfastError {
  const own = failure === undefined ? {} : { moverCode: failure.code, moverHint: failure.hint };
  return new HoldfastError('MOVER_FAILED', { claim: pod.worksFor, reason, ...own });
}
