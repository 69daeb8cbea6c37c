/** Thread of a backup: takes jobs in order, answers each, and sends packs as they fill. */
import { closeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
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
import { openForReading, terminated } from './open-entry.ts';

/**
 * Level 1 is the sweet spot: higher levels cost more than they save on what volumes hold. `max` is about what restic means
 * by it; still higher ones take a hundred megabytes a thread.
 */
const levels: Readonly<Record<Compression, number>> = { off: 0, auto: 1, max: 12 };

const setup = workerData as BackupWorkerSetup;
const port = parentPort!;
const stop = new Int32Array(setup.stop);
const index = BlobIndex.attach(setup.index);
const { encrypt, macK, macR } = setup.key;
const key = { encrypt: Buffer.from(encrypt), macK: Buffer.from(macK), macR: Buffer.from(macR) };
const codec = createBlobCodec(key, { verify: setup.verify });
const packers = { data: packer('data', setup.dataSlots), tree: packer('tree', setup.treeSlots) };
const writer = new ChunkWriter(codec, createChunker(setup.chunker), index, packers.data, throwIfStopped);

port.on('message', (job: BackupJob | typeof stopMessage) => {
  if (job === stopMessage) park(port);
  else send({ type: 'result', result: attempt(job) });
});

function throwIfStopped(): void {
  if (Atomics.load(stop, 0) === 1) throw new Error('the backup was stopped');
}

function packer(type: BlobType, slots: readonly PackSlot[]): Packer {
  const compression = setup.compression[type];
  return new Packer({
    codec: withCompression(codec, compression),
    type,
    packSizeBytes: setup.packSizeBytes,
    compressionLevel: levels[compression],
    slots,
    throwIfStopped,
    emit: (pack, oversized) => send({ type: 'pack', pack, blobType: type, oversized }),
  });
}

function send(message: FromBackupWorker): void {
  const moved =
    message.type === 'result' && message.result.kind === 'entries' ? [message.result.nodes.buffer as ArrayBuffer] : [];
  port.postMessage(message, moved);
}

function attempt(job: BackupJob): BackupResult | FailedResult {
  try {
    throwIfStopped();
    return run(job);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { kind: 'failed', message: messageOf(error), code };
  }
}

function run(job: BackupJob): BackupResult {
  if (job.kind === 'entries') return new EntriesBatch(job, writer, index).run();
  if (job.kind === 'segment') return readSegment(job);
  if (job.kind === 'blob') storeBlob(job);
  else for (const open of [packers.data, packers.tree]) open.flush();
  return { kind: 'done' };
}

function readSegment(job: SegmentJob): SegmentResult {
  const file = openForReading(workingDirectory, terminated(Buffer.from(job.path, 'latin1')));
  try {
    const before = new FileStatus().readOpen(file);
    const isOther = before.inode !== job.inode;
    const { offset, lengthBytes, isSparse } = job;
    const written = writer.writeSegment(file, { offset, lengthBytes, isSparse, fileBytes: before.sizeBytes });
    const changed = isOther || !before.isSameVersion(new FileStatus().readOpen(file));
    return { kind: 'segment', ...written, changedWhileRead: changed || written.readBytes !== lengthBytes };
  } finally {
    closeSync(file);
  }
}

function storeBlob({ type, id, bytes, uncompressedLength = 0 }: BlobJob): void {
  if (uncompressedLength > 0) packers[type].addCompressed(id, bytes, uncompressedLength);
  else packers[type].add(id, bytes);
}
