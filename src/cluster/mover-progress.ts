/**
 * Whether a mover gets on: its log tells of progress every few seconds in which there was any. How long it takes in all
 * does not matter, only that it does not stand still.
 */
import { HoldfastError } from '../base/errors.ts';
import { isDenied } from './api-error.ts';
import type { Cluster } from './client.ts';
import { MOVER_CONTAINER } from './mover-pod.ts';
import { parseJson, textAt } from './object.ts';

export interface ProgressWatch {
  /** Aborted with MOVER_FAILED once nothing was heard of the mover's progress for too long. */
  readonly signal: AbortSignal;
  stop(): void;
}

export interface WatchedMover {
  readonly namespace: string;
  readonly podName: string;
  /** namespace/name of the claim, for the message. */
  readonly worksFor: string;
  readonly stalledMs: number;
}

const LOOK_EVERY_MS = 60_000;
/** More than a mover writes between two looks, warnings included. */
const TAIL_LINES = 200;

/** Looks from now on until it is stopped. An account that may not read logs watches nothing. */
export function watchProgress(cluster: Cluster, mover: WatchedMover): ProgressWatch {
  const stalled = new AbortController();
  let heard: string | undefined;
  let heardMs = performance.now();
  const look = async () => {
    try {
      const log = await cluster.logs(mover.namespace, mover.podName, {
        container: MOVER_CONTAINER,
        tailLines: TAIL_LINES,
      });
      const sign = lastProgress(log);
      if (sign !== undefined && sign !== heard) {
        heard = sign;
        heardMs = performance.now();
      }
    } catch (error) {
      if (isDenied(error)) clearInterval(timer);
      // A server that does not answer now is asked again; what it cannot tell for so long counts as silence.
    }
    if (performance.now() - heardMs >= mover.stalledMs) {
      clearInterval(timer);
      stalled.abort(failed(mover));
    }
  };
  const timer = setInterval(() => void look(), Math.min(LOOK_EVERY_MS, mover.stalledMs / 4));
  timer.unref();
  return { signal: stalled.signal, stop: () => clearInterval(timer) };
}

/** The newest line that tells of progress: not a warning, which a mover also writes when it gets nowhere. */
export function lastProgress(log: string): string | undefined {
  return log.split('\n').findLast((line) => {
    try {
      return textAt(parseJson(line), 'level') === 'info';
    } catch {
      return false;
    }
  });
}

function failed({ worksFor, stalledMs }: WatchedMover): HoldfastError {
  const time = stalledMs >= 60_000 ? `${Math.round(stalledMs / 60_000)} min` : `${Math.round(stalledMs / 1000)} s`;
  return new HoldfastError('MOVER_FAILED', { claim: worksFor, reason: `it made no progress for ${time}` });
}
