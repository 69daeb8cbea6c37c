/**
 * What the state of a mover's pod means. Pure: from the pod as the API server shows it to waiting, running or ended.
 */
import { conditionOf, type KubeObject, listAt, textAt, valueAt } from './object.ts';

export interface PodState {
  readonly phase: 'waiting' | 'running' | 'ended';
  /** For people. */
  readonly words: string;
  /** The termination message, once ended. */
  readonly message?: string;
  readonly node?: string | undefined;
  readonly object?: KubeObject | undefined;
  /** Something that no waiting mends. */
  readonly problem?: string;
}

/** A pod on a node that is gone never ends by itself; the eviction after 5 minutes only marks it. */
const LOST_NODE_MS = 60_000;

/** Reasons of a waiting container that stay until somebody changes the pod. */
const FATAL_WAITING =
  /^(CreateContainerConfigError|InvalidImageName|ErrImageNeverPull|CreateContainerError|RunContainerError)$/;

export function lookAtPod(pod: KubeObject | undefined, nowMs: number): PodState {
  if (pod === undefined) return { phase: 'waiting', words: 'no pod yet' };
  const node = textAt(pod, 'spec', 'nodeName');
  const status = listAt(pod, 'status', 'containerStatuses')[0];
  const terminated = valueAt(status, 'state', 'terminated');
  const seen = { node, object: pod };
  if (terminated !== undefined) {
    return { ...seen, phase: 'ended', words: describeEnd(terminated), message: textAt(terminated, 'message') ?? '' };
  }
  const phase = textAt(pod, 'status', 'phase');
  if (phase === 'Failed' || phase === 'Succeeded') {
    return { ...seen, phase: 'ended', words: describeFailedPod(pod), message: '' };
  }
  const deleted = Date.parse(pod.metadata.deletionTimestamp ?? '');
  if (nowMs - deleted > LOST_NODE_MS) {
    const words = `its pod ${pod.metadata.name} on node ${node ?? 'none'} is being deleted and does not stop`;
    return { ...seen, phase: 'waiting', words, problem: words };
  }
  if (valueAt(status, 'state', 'running') !== undefined) {
    return { ...seen, phase: 'running', words: `runs on node ${node ?? 'unknown'}` };
  }
  return { ...seen, ...describeWaiting(pod, status) };
}

function describeWaiting(pod: KubeObject, status: unknown): Pick<PodState, 'phase' | 'words' | 'problem'> {
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled !== undefined && scheduled.status !== 'True') {
    return { phase: 'waiting', words: `waits for a node: ${scheduled.message || scheduled.reason}` };
  }
  const reason = textAt(status, 'state', 'waiting', 'reason') ?? 'waits for its node';
  const message = textAt(status, 'state', 'waiting', 'message');
  const words = message === undefined ? reason : `${reason}: ${message}`;
  if (!FATAL_WAITING.test(reason)) return { phase: 'waiting', words };
  return { phase: 'waiting', words, problem: words };
}

function describeEnd(terminated: unknown): string {
  const reason = textAt(terminated, 'reason') ?? 'ended';
  const code = valueAt(terminated, 'exitCode');
  if (reason === 'OOMKilled') return 'it was killed for using more memory than its limit';
  const signal = valueAt(terminated, 'signal');
  if (code === 137 || signal === 9) return 'it was killed (signal 9)';
  return `${reason}, exit code ${String(code ?? 'unknown')}`;
}

function describeFailedPod(pod: KubeObject): string {
  const reason = textAt(pod, 'status', 'reason') ?? textAt(pod, 'status', 'phase') ?? 'ended';
  const message = textAt(pod, 'status', 'message');
  return message === undefined ? `its pod ended: ${reason}` : `its pod ended: ${reason}: ${message}`;
}
