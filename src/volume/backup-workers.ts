/** The threads of a backup as the main thread sees them: jobs in, answers out, packs to the uploader. */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { HoldfastError } from '../base/errors.ts';
import { endThread } from '../base/threads.ts';
import { codecKind } from '../repository/blob-codec.ts';
import type { BlobIndex, BlobType } from '../repository/blob-index.ts';
import { chunkerOf, maxChunkBytes } from '../repository/chunker/chunker.ts';
import { type Compression, compressionOf } from '../repository/compression.ts';
import type { PackUploader } from '../repository/pack-uploader.ts';
import { type PackSlot, slotBytes } from '../repository/packer.ts';
import type { Repository } from '../repository/repository.ts';
import type { BackupJob, BackupResult, BackupWorkerSetup, FailedResult, FromBackupWorker } from './backup-jobs.ts';
import type { BackupThreads } from './backup-thread.ts';

const treeSlotsPerWorker = 2;
/** Jobs that wait before one more thread is worth its start. */
const jobsForAnotherThread = 2;
/** More threads than this only add memory: the store is the limit by then. */
const mostWorkers = 8;

interface Waiting {
  readonly resolve: (result: BackupResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly slots: { readonly data: readonly PackSlot[]; readonly tree: readonly PackSlot[] };
  /** Jobs are answered in the order in which they were sent. */
  readonly waiting: Waiting[];
}

/** A job that failed on its own path, such as a file that cannot be read. */
export class JobFailure extends Error {
  readonly code: string | undefined;
  constructor(result: FailedResult) {
    super(result.message);
    this.code = result.code;
  }
}

export interface BackupWorkersOptions {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly uploader: PackUploader;
  readonly packSizeBytes: number;
  /** Default auto. */
  readonly compression?: Compression | undefined;
  /** Whether what was compressed is decompressed again and compared. Default true. */
  readonly verify?: boolean | undefined;
  /** Default: as many as there are processors. */
  readonly workers?: number | undefined;
  readonly threads: BackupThreads;
}

export class BackupWorkers {
  readonly #threads: Thread[];
  readonly #uploader: PackUploader;
  /** One word: 1 once the threads are to drop what they do. */
  readonly #stop = new SharedArrayBuffer(4);
  #failure: { error: unknown } | undefined;

  readonly #options: BackupWorkersOptions;
  /** The most threads that there will be. */
  readonly count: number;

  constructor(options: BackupWorkersOptions) {
    this.#options = options;
    this.#uploader = options.uploader;
    this.count = options.workers ?? Math.min(availableParallelism(), mostWorkers);
    this.#threads = [this.#start()];
  }

  /**
   * Gives the job to the thread with the least to do; further threads are started only when there is work for them.
   * Rejects with JobFailure when only this job failed.
   */
  run(job: BackupJob): Promise<BackupResult> {
    let thread = this.#threads.reduce((best, other) => (other.waiting.length < best.waiting.length ? other : best));
    if (thread.waiting.length >= jobsForAnotherThread && this.#threads.length < this.count) {
      thread = this.#start();
      this.#threads.push(thread);
    }
    return this.#send(thread, job);
  }

  /** Trees all go to one thread, so that they lie together in few packs. */
  storeBlob(type: BlobType, id: string, bytes: Uint8Array, uncompressedLength = 0): Promise<BackupResult> {
    return this.#send(this.#threads[0]!, { kind: 'blob', type, id, bytes, uncompressedLength });
  }

  /** Has all threads finish their open packs. */
  async flush(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => this.#send(thread, { kind: 'flush' })));
  }

  /** Ends the threads; what they have not done yet is left undone. */
  async close(): Promise<void> {
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    await Promise.all(this.#threads.map(({ worker }) => endThread(worker)));
  }

  /** Ends the run: what is waiting and what comes later fails with this error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const thread of this.#threads) {
      for (const waiting of thread.waiting.splice(0)) waiting.reject(error);
    }
  }

  #start(): Thread {
    const worker = this.#options.threads.take();
    const { repository, index, packSizeBytes, compression, verify = true } = this.#options;
    const slots = {
      // One pack fills while others are on their way.
      data: packSlots(1 + Math.ceil(repository.store.uploadsAtOnce / this.count), packSizeBytes),
      tree: packSlots(treeSlotsPerWorker, packSizeBytes),
    };
    const { encrypt, macK, macR } = repository.key;
    const setup: BackupWorkerSetup = {
      kind: 'setup',
      key: { encrypt, macK, macR },
      codec: codecKind(),
      chunker: chunkerOf(repository.config),
      index: index.shared,
      packSizeBytes,
      compression: {
        data: compressionOf(repository.version, 'data', compression),
        tree: compressionOf(repository.version, 'tree', compression),
      },
      verify,
      dataSlots: slots.data,
      treeSlots: slots.tree,
      stop: this.#stop,
    };
    worker.postMessage(setup);
    const thread: Thread = { worker, slots, waiting: [] };
    worker.on('message', (message: FromBackupWorker) => this.#receive(thread, message));
    worker.on('error', (error) => this.fail(error));
    return thread;
  }

  #send(thread: Thread, job: BackupJob): Promise<BackupResult> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      thread.waiting.push({ resolve, reject });
      thread.worker.postMessage(job, job.kind === 'entries' && job.parent ? [job.parent.buffer] : []);
    });
  }

  #receive(thread: Thread, message: FromBackupWorker): void {
    if (message.type === 'pack') this.#upload(thread, message);
    else this.#answer(thread.waiting.shift(), message.result);
  }

  #answer(waiting: Waiting | undefined, result: BackupResult | FailedResult): void {
    if (!waiting) return;
    if (result.kind !== 'failed') waiting.resolve(result);
    else if (result.code === 'INDEX_FULL') waiting.reject(new HoldfastError('INDEX_FULL', { blobs: 'the limit of' }));
    else waiting.reject(new JobFailure(result));
  }

  #upload(thread: Thread, message: Extract<FromBackupWorker, { type: 'pack' }>): void {
    const { pack, blobType, oversized } = message;
    const slot = oversized ? undefined : thread.slots[blobType][pack.slot]!;
    void this.#uploader.upload(pack, oversized ?? slot!.bytes, slot, (error) => this.fail(error));
  }
}

/** Shared memory is only taken as it is written to, so a slot that is never used costs nothing. */
function packSlots(count: number, packSizeBytes: number): PackSlot[] {
  return Array.from({ length: count }, () => ({
    bytes: new SharedArrayBuffer(slotBytes(packSizeBytes, maxChunkBytes)),
    state: new SharedArrayBuffer(4),
  }));
}
