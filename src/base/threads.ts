/**
 * Ending worker threads. A thread that is terminated within a native call takes the whole process down with it, so it
 * is asked first, and ended where it waits.
 */
import type { MessagePort, Worker } from 'node:worker_threads';

/** What a thread is sent that is to end. Its answer, once it waits: `parkedMessage`. */
export const stopMessage = 'stop';
const parkedMessage = 'parked';

/** In the thread, on `stopMessage`: waits to be ended. Does not return. */
export function park(port: MessagePort): void {
  port.postMessage(parkedMessage);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** In the main thread: ends the thread when it has handled what it was sent before. Its answers are no longer heard. */
export async function endThread(worker: Worker): Promise<void> {
  worker.removeAllListeners('message');
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => resolve());
    worker.on('message', (message: unknown) => {
      if (message === parkedMessage) resolve();
    });
  });
  if (worker.threadId === -1) return;
  worker.postMessage(stopMessage);
  await ended;
  await worker.terminate();
}
