/** The threads of a restore as the main thread sees them: jobs in, results out, a bounded number under way. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../base/error-catalog.ts';
import { type ErrorContext, HoldfastError } from '../base/errors.ts';
import { endThread } from '../base/threads.ts';
import type { MasterKey } from '../repository/crypto.ts';
import type { JobResult, RestoreJob } from './restore-job.ts';
import type { AttributeWarning, TargetConditions } from './write-attributes.ts';

export interface RestoreWorkerSetup {
  readonly url: string;
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
  readonly key: MasterKey;
  readonly conditions: TargetConditions;
  /** The open target, which all threads share, and its path for people. */
  readonly targetFd: number;
  readonly target: string;
}

/** A job, or the question for what is left to tell after the last one. */
export type ToRestoreWorker = RestoreJob | 'finish';

export type FromRestoreWorker =
  | { readonly type: 'done'; readonly result: JobResult }
  | { readonly type: 'finished'; readonly warnings: readonly AttributeWarning[]; readonly fetchedBytes: number }
  | FatalMessage;

interface FatalMessage {
  readonly type: 'fatal';
  readonly message: string;
  readonly stack: string;
  readonly code: ErrorCode | undefined;
  readonly context: ErrorContext | undefined;
  /** Where the file system was the cause. */
  readonly errno: string | undefined;
}

/** Enough that a thread has work while the main thread decodes a large tree. */
const jobsPerWorker = 8;
/** More threads than this only add memory: the store is the limit by then. */
const mostWorkers = 8;

interface Thread {
  readonly worker: Worker;
  jobsOpen: number;
}

export interface RestoreWorkersOptions extends RestoreWorkerSetup {
  readonly workers: number | undefined;
  readonly onResult: (result: JobResult) => void;
}

export class RestoreWorkers {
  readonly #options: RestoreWorkersOptions;
  readonly #threads: Thread[];
  readonly #warnings: AttributeWarning[] = [];
  #fetchedBytes = 0;
  #finishedThreads = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: RestoreWorkersOptions) {
    this.#options = options;
    const count = options.workers ?? Math.min(availableParallelism(), mostWorkers);
    this.#threads = Array.from({ length: count }, () => this.#start());
  }

  /** Hands the job to the thread with the least to do; waits while all have enough. One caller at a time. */
  async submit(job: RestoreJob): Promise<void> {
    const least = () => this.#threads.reduce((best, other) => (other.jobsOpen < best.jobsOpen ? other : best));
    await this.#until(() => least().jobsOpen < jobsPerWorker);
    const thread = least();
    thread.jobsOpen += 1;
    thread.worker.postMessage(job);
  }

  /** Waits for all jobs. */
  settled(): Promise<void> {
    return this.#until(() => this.#threads.every(({ jobsOpen }) => jobsOpen === 0));
  }

  /** Waits for all jobs; what the threads have to tell in the end. */
  async finish(): Promise<{ readonly warnings: readonly AttributeWarning[]; readonly fetchedBytes: number }> {
    await this.settled();
    for (const { worker } of this.#threads) worker.postMessage('finish');
    await this.#until(() => this.#finishedThreads === this.#threads.length);
    return { warnings: this.#warnings, fetchedBytes: this.#fetchedBytes };
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => endThread(worker)));
  }

  /** Ends the run: what waits now or later fails with this error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error;
  }

  async #until(condition: () => boolean): Promise<void> {
    this.throwIfFailed();
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.throwIfFailed();
    }
  }

  #start(): Thread {
    const { url, env, key, conditions, targetFd, target } = this.#options;
    const { encrypt, macK, macR } = key;
    const setup: RestoreWorkerSetup = { url, env, key: { encrypt, macK, macR }, conditions, targetFd, target };
    const worker = new Worker(new URL('./restore-worker.ts', import.meta.url), { workerData: setup });
    const thread: Thread = { worker, jobsOpen: 0 };
    worker.on('message', (message: FromRestoreWorker) => this.#receive(thread, message));
    worker.on('error', (error) => this.fail(error));
    return thread;
  }

  #receive(thread: Thread, message: FromRestoreWorker): void {
    if (message.type === 'fatal') {
      this.fail(this.#errorOf(message));
      return;
    }
    if (message.type === 'done') {
      thread.jobsOpen -= 1;
      this.#options.onResult(message.result);
    } else {
      this.#warnings.push(...message.warnings);
      this.#fetchedBytes += message.fetchedBytes;
      this.#finishedThreads += 1;
    }
    this.#wake?.();
  }

  #errorOf({ code, context, errno, message, stack }: FatalMessage): Error {
    if (code) return new HoldfastError(code, context);
    const { target } = this.#options;
    if (errno) return new HoldfastError('RESTORE_TARGET_UNUSABLE', { target, reason: message });
    return Object.assign(new Error(message), { stack });
  }
}
