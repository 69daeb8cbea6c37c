/** One thread of a restore: fetches, opens and writes what its jobs name, with a store of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import { codeOf, isHoldfastError, messageOf } from '../base/errors.ts';
import { park, stopMessage } from '../base/threads.ts';
import type { MasterKey } from '../repository/crypto.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { OpenFolders, withoutHandles } from './open-folders.ts';
import { BlobOpener } from './restore-blobs.ts';
import { type CheckTools, checkAfter, checkBefore, hasFilesToCompare } from './restore-check.ts';
import { type FetchedSegment, ReadAhead } from './restore-fetch.ts';
import type { JobResult, RestoreJob } from './restore-job.ts';
import type { FromRestoreWorker, RestoreWorkerSetup, ToRestoreWorker } from './restore-workers.ts';
import { JobWriter } from './restore-writer.ts';
import { AttributeWriter } from './write-attributes.ts';

const port = parentPort!;
const setup = workerData as RestoreWorkerSetup;

class RestoreThread {
  readonly #store: Store;
  readonly #opener: BlobOpener;
  readonly #attributes = new AttributeWriter(setup.conditions);
  readonly #ahead: ReadAhead;
  readonly #folders = new OpenFolders(setup.targetFd);
  readonly #checkTools: CheckTools;
  #writer: JobWriter | undefined;
  #fetchedBytes = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#opener = new BlobOpener(keyOf(setup.key));
    this.#ahead = new ReadAhead(store);
    this.#checkTools = { folders: this.#folders, hash: (data, digest) => this.#opener.hash(data, digest) };
  }

  receive(message: ToRestoreWorker): void {
    if (message === 'finish')
      send({ type: 'finished', warnings: this.#attributes.warnings, fetchedBytes: this.#fetchedBytes });
    else if (message.isCheck) send({ type: 'done', result: checkedOnly(message, this.#checkTools) });
    else this.#ahead.add(message, hasFilesToCompare(message) ? checkBefore(message, this.#checkTools) : undefined);
  }

  /** Runs until the thread is ended from outside. */
  async run(): Promise<never> {
    for (;;) {
      await this.#use(await this.#ahead.next());
      // Lets the bytes of the requests in flight come in.
      await new Promise(setImmediate);
    }
  }

  async #use(fetched: FetchedSegment): Promise<void> {
    const { job, check, segment, isLast } = fetched;
    if (fetched.isFirst) {
      const tools = { folders: this.#folders, attributes: this.#attributes, target: setup.target };
      this.#writer = new JobWriter(job, tools, check);
      this.#writer.begin();
    }
    const writer = this.#writer!;
    if (segment) {
      this.#fetchedBytes += segment.length;
      for (let blob = segment.firstBlob; blob < segment.endBlob; blob++) {
        if (check && check.isNeeded[blob] === 0) continue;
        writer.write(blob, this.#fromSegment(fetched, blob) ?? (await this.#once(job, blob)));
      }
    }
    if (isLast) send({ type: 'done', result: writer.end() });
  }

  /** The content; a reason where there is none; undefined where asking for this blob alone may help. */
  #fromSegment({ job, segment, outcome }: FetchedSegment, blob: number): Buffer | string | undefined {
    if ('error' in outcome) {
      if (isHoldfastError(outcome.error, 'FILE_NOT_FOUND')) return outcome.error.message;
      if (isHoldfastError(outcome.error, 'FILE_DAMAGED')) return undefined;
      throw outcome.error;
    }
    const { offset, length, uncompressedLength, id } = blobOf(job, blob);
    const start = offset - segment!.offset;
    try {
      return this.#opener.open(outcome.bytes.subarray(start, start + length), uncompressedLength, id);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
      return undefined;
    }
  }

  /** Damage may have come on the way, and a pack that is cut off still has its front. The reason where it fails again. */
  async #once(job: RestoreJob, blob: number): Promise<Buffer | string> {
    const { offset, length, uncompressedLength, id } = blobOf(job, blob);
    try {
      this.#fetchedBytes += length;
      const sealed = await this.#store.get('data', job.packId, { offset, length });
      return this.#opener.open(sealed, uncompressedLength, id);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND') || isHoldfastError(error, 'FILE_DAMAGED')) return error.message;
      throw error;
    }
  }
}

function checkedOnly(job: RestoreJob, tools: CheckTools): JobResult {
  const nothing = { filesDone: 0, filesUnchanged: 0, bytesWritten: 0, bytesUnchanged: 0, splits: [] };
  return { number: job.number, ...nothing, failures: checkAfter(job, tools) };
}

function blobOf(job: RestoreJob, blob: number) {
  const [offset = 0, length = 0, uncompressedLength = 0] = job.blobSpans.subarray(3 * blob, 3 * blob + 3);
  const { buffer, byteOffset } = job.blobIds;
  return { offset, length, uncompressedLength, id: Buffer.from(buffer, byteOffset + 32 * blob, 32) };
}

/** Buffers arrive in a thread as plain Uint8Arrays. */
function keyOf({ encrypt, macK, macR }: MasterKey): MasterKey {
  return { encrypt: Buffer.from(encrypt), macK: Buffer.from(macK), macR: Buffer.from(macR) };
}

function send(message: FromRestoreWorker): void {
  port.postMessage(message);
}

function sendFatal(error: unknown): void {
  const { code, context } = isHoldfastError(error) ? error : { code: undefined, context: undefined };
  send({
    type: 'fatal',
    message: withoutHandles(messageOf(error)),
    stack: String((error as Error).stack),
    code,
    context,
    errno: codeOf(error),
  });
}

const thread = openStore(setup.url, setup.env ? { env: setup.env } : {}).then((store) => new RestoreThread(store));
thread.then((ready) => ready.run()).catch(sendFatal);

port.on('message', (message: ToRestoreWorker | typeof stopMessage) => {
  if (message === stopMessage) park(port);
  // A thread that has no store has said so.
  else thread.then((ready) => ready.receive(message)).catch(sendFatal);
});
