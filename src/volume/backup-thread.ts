/**
 * Starting the threads of a backup. One can be started before it has work: while a password is tried, or the index is
 * read, it loads its code on another processor.
 */
import { Worker } from 'node:worker_threads';
import { endThread } from '../base/threads.ts';

/** The garbage of a thread is short-lived; a larger nursery only costs memory. */
const youngGenerationMb = 8;

/** Threads that wait for their BackupWorkerSetup. */
export class BackupThreads {
  readonly #ready: Worker[] = [];

  prepare(): void {
    this.#ready.push(start());
  }

  /** A thread that is the caller's to end. */
  take(): Worker {
    return this.#ready.shift() ?? start();
  }

  /** Ends those that nobody took. */
  async close(): Promise<void> {
    await Promise.all(this.#ready.splice(0).map(endThread));
  }
}

function start(): Worker {
  return new Worker(new URL('./backup-worker.ts', import.meta.url), {
    // Files are opened past Node, which would warn when it is to close them.
    trackUnmanagedFds: false,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  });
}
