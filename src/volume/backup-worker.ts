/** Thread of a backup: is set up by the first message, takes jobs in order, answers each, and sends packs as they fill. */
import { closeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { codeOf, messageOf } from '../base/errors.ts';
import { park, stopMessage } from '../base/threads.ts';
import { createBlobCodec } from '../repository/blob-codec.ts';
import { BlobIndex, type BlobType } from '../repository/blob-index.ts';
import { createChunker } from '../repository/chunker/chunker.ts';
import { type Compression, withCompression } from '../repository/compression.ts';
import { Packer, type PackSlot } from '../repository/packer.ts';
import { EntriesBatch } from './backup-entries.ts';
import type {
  BackupJob,
  BackupResult,
  BackupWorkerSetup,
  BlobJob,
  FailedResult,
  FromBackupWorker,
  SegmentJob,
  SegmentResult,
} from './backup-jobs.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { FileStatus } from './file-status.ts';
import { workingDirectory } from './libc.ts';
import { withShortPath } from './long-path.ts';
import { openForReading, terminated } from './open-entry.ts';

/**
 * Level 1 is the sweet spot: higher levels cost more than they save on what volumes hold. `max` is about what restic means
 * by it; still higher ones take a hundred megabytes a thread.
 */
const levels: Readonly<Record<Compression, number>> = { off: 0, auto: 1, max: 12 };

const port = parentPort!;
let work: BackupWork | undefined;

port.on('message', (message: BackupWorkerSetup | BackupJob | typeof stopMessage) => {
  if (message === stopMessage) park(port);
  else if (message.kind === 'setup') work = new BackupWork(message);
  else if (work) send({ type: 'result', result: work.attempt(message) });
});

function send(message: FromBackupWorker): void {
  const moved =
    message.type === 'result' && message.result.kind === 'entries' ? [message.result.nodes.buffer as ArrayBuffer] : [];
  port.postMessage(message, moved);
}

/** What a thread works with, for the one backup that it serves. */
class BackupWork {
  readonly #stop: Int32Array;
  readonly #index: BlobIndex;
  readonly #packers: Readonly<Record<BlobType, Packer>>;
  readonly #writer: ChunkWriter;

  constructor(setup: BackupWorkerSetup) {
    const { encrypt, macK, macR } = setup.key;
    const key = { encrypt: Buffer.from(encrypt), macK: Buffer.from(macK), macR: Buffer.from(macR) };
    const codec = createBlobCodec(key, { kind: setup.codec, verify: setup.verify });
    const throwIfStopped = () => this.#throwIfStopped();
    const packer = (type: BlobType, slots: readonly PackSlot[]) =>
      new Packer({
        codec: withCompression(codec, setup.compression[type]),
        type,
        packSizeBytes: setup.packSizeBytes,
        compressionLevel: levels[setup.compression[type]],
        slots,
        throwIfStopped,
        emit: (pack, oversized) => send({ type: 'pack', pack, blobType: type, oversized }),
      });
    this.#stop = new Int32Array(setup.stop);
    this.#index = BlobIndex.attach(setup.index);
    this.#packers = { data: packer('data', setup.dataSlots), tree: packer('tree', setup.treeSlots) };
    this.#writer = new ChunkWriter(
      codec,
      createChunker(setup.chunker),
      this.#index,
      this.#packers.data,
      throwIfStopped,
    );
  }

  attempt(job: BackupJob): BackupResult | FailedResult {
    try {
      this.#throwIfStopped();
      return this.#run(job);
    } catch (error) {
      return { kind: 'failed', message: messageOf(error), code: codeOf(error) };
    }
  }

  #throwIfStopped(): void {
    if (Atomics.load(this.#stop, 0) === 1) throw new Error('the backup was stopped');
  }

  #run(job: BackupJob): BackupResult {
    if (job.kind === 'entries') return new EntriesBatch(job, this.#writer, this.#index).run();
    if (job.kind === 'segment') return this.#readSegment(job);
    if (job.kind === 'blob') this.#storeBlob(job);
    else for (const open of [this.#packers.data, this.#packers.tree]) open.flush();
    return { kind: 'done' };
  }

  #readSegment(job: SegmentJob): SegmentResult {
    const path = Buffer.from(job.path, 'latin1');
    const file = withShortPath(path, (short) => openForReading(workingDirectory, terminated(short)));
    try {
      const before = new FileStatus().readOpen(file);
      const isOther = before.inode !== job.inode;
      const { offset, lengthBytes, isSparse } = job;
      const written = this.#writer.writeSegment(file, { offset, lengthBytes, isSparse, fileBytes: before.sizeBytes });
      const changed = isOther || !before.isSameVersion(new FileStatus().readOpen(file));
      return { kind: 'segment', ...written, changedWhileRead: changed || written.readBytes !== lengthBytes };
    } finally {
      closeSync(file);
    }
  }

  #storeBlob({ type, id, bytes, uncompressedLength = 0 }: BlobJob): void {
    if (uncompressedLength > 0) this.#packers[type].addCompressed(id, bytes, uncompressedLength);
    else this.#packers[type].add(id, bytes);
  }
}
