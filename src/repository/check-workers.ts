/** The threads of a check as the main thread sees them. */
import { Worker } from 'node:worker_threads';
import type { ErrorCode } from '../base/error-catalog.ts';
import { type ErrorContext, HoldfastError } from '../base/errors.ts';
import { endThread } from '../base/threads.ts';
import type { MasterKey } from './crypto.ts';
import type { IndexedBlob } from './format/index-file.ts';

export interface CheckWorkerSetup {
  readonly url: string;
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
  readonly key: MasterKey;
}

export interface PackTask {
  readonly packId: string;
  readonly blobs: readonly IndexedBlob[];
}

export type PackAnswer =
  | { readonly packId: string; readonly problems: string[] }
  | { readonly packId: string; readonly error: { readonly code: ErrorCode; readonly context: ErrorContext } }
  | { readonly packId: string; readonly bug: string };

interface Thread {
  readonly worker: Worker;
  open: number;
}

export class CheckWorkers {
  readonly #threads: Thread[];
  readonly #asked = new Map<string, PromiseWithResolvers<string[]>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(count: number, { url, env, key }: CheckWorkerSetup) {
    const setup: CheckWorkerSetup = { url, env, key: { encrypt: key.encrypt, macK: key.macK, macR: key.macR } };
    this.#threads = Array.from({ length: count }, () => this.#start(setup));
  }

  /** What is wrong with a pack; empty when it is sound. A pack is asked for once at a time. */
  verify(packId: string, blobs: readonly IndexedBlob[]): Promise<string[]> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    const thread = this.#threads.reduce((best, other) => (other.open < best.open ? other : best));
    const answer = Promise.withResolvers<string[]>();
    this.#asked.set(packId, answer);
    thread.open += 1;
    const task: PackTask = { packId, blobs };
    thread.worker.postMessage(task);
    return answer.promise;
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => endThread(worker)));
  }

  #start(setup: CheckWorkerSetup): Thread {
    const worker = new Worker(new URL('./check-worker.ts', import.meta.url), { workerData: setup });
    const thread: Thread = { worker, open: 0 };
    worker.on('message', (answer: PackAnswer) => {
      thread.open -= 1;
      this.#settle(answer);
    });
    worker.on('error', (error) => {
      this.#failure ??= { error };
      for (const { reject } of this.#asked.values()) reject(error);
    });
    return thread;
  }

  #settle(answer: PackAnswer): void {
    const asked = this.#asked.get(answer.packId);
    this.#asked.delete(answer.packId);
    if ('problems' in answer) asked?.resolve(answer.problems);
    else if ('error' in answer) asked?.reject(new HoldfastError(answer.error.code, answer.error.context));
    else asked?.reject(new Error(`a thread of the check failed: ${answer.bug}`));
  }
}
