/**
 * Method FileCopy: a mover mounts the claim itself beside the pods that use it, and goes as soon as one of them needs
 * the volume elsewhere.
 */
import { textAt } from '../cluster/object.ts';
import { moveLimitMs } from './claim-work.ts';
import { watchForConsumers } from './give-way.ts';
import type { MethodSteps } from './method.ts';
import { runMover } from './run-mover.ts';

export const fileCopy: MethodSteps = {
  /** Nothing is cut: the time is when the files begin to be read. */
  cut: async (claim) => ({ time: claim.now() }),
  move: async (claim, cut) => {
    let node: string | undefined;
    const { plan, timeouts, options } = claim.work;
    const giveWay = watchForConsumers(claim.cluster, plan, {
      timeoutMs: timeouts.startMs + moveLimitMs(claim.work),
      moverNode: () => node,
    });
    const signal = options.signal === undefined ? giveWay.signal : AbortSignal.any([options.signal, giveWay.signal]);
    try {
      return await runMover(claim, cut, {
        signal,
        onPod: (found) => {
          node = textAt(found, 'spec', 'nodeName');
        },
      });
    } finally {
      giveWay.stop();
    }
  },
};
