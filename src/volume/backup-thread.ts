/**
 * Starting the threads of a backup. One can be started before the repository is open: while the password is tried, it
 * loads its code on another processor.
 */
import { Worker } from 'node:worker_threads';
import { endThread } from '../base/threads.ts';

/** The garbage of a thread is short-lived; a larger nursery only costs memory. */
const youngGenerationMb = 8;

/** A thread that waits for its BackupWorkerSetup. */
export function startBackupThread(): Worker {
  return new Worker(new URL('./backup-worker.ts', import.meta.url), {
    // Files are opened past Node, which would warn when it is to close them.
    trackUnmanagedFds: false,
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
  });
}

/** Runs `use` with a thread that starts meanwhile, and ends it where `use` did not. */
export async function withBackupThread<T>(use: (thread: Worker) => Promise<T>): Promise<T> {
  const thread = startBackupThread();
  try {
    return await use(thread);
  } finally {
    await endThread(thread);
  }
}
