/** Writes the blobs of one job into their files, in a thread of a restore. Long runs of zeros become holes. */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { type EntryFailure, JobFiles, type JobResult, type RestoreJob } from './restore-job.ts';
import { createFile, isTargetLost } from './restore-target.ts';
import type { AttributeWriter } from './write-attributes.ts';

/** Smaller holes would cost more calls than they save space. */
const holeBytes = 64 << 10;
/** Where a file system can begin a hole. */
const blockBytes = 4096;
const zeros = Buffer.alloc(holeBytes);
/** Files kept open at the same time. */
const mostOpenFiles = 64;

export class JobWriter {
  readonly #job: RestoreJob;
  readonly #files: JobFiles;
  readonly #attributes: AttributeWriter;
  readonly #replace: boolean;
  /** Uses still to come, per file. */
  readonly #remaining: Uint32Array;
  readonly #isFailed: Uint8Array;
  readonly #isCreated: Uint8Array;
  readonly #open = new Map<number, number>();
  readonly #failures: EntryFailure[] = [];
  #nextUse = 0;
  #filesDone = 0;
  #bytesWritten = 0;

  constructor(job: RestoreJob, attributes: AttributeWriter, replace: boolean) {
    this.#job = job;
    this.#files = new JobFiles(job);
    this.#attributes = attributes;
    this.#replace = replace;
    this.#remaining = new Uint32Array(this.#files.count);
    this.#isFailed = new Uint8Array(this.#files.count);
    this.#isCreated = new Uint8Array(this.#files.count);
    for (let use = 1; use < job.uses.length; use += 2) this.#remaining[job.uses[use]!]! += 1;
  }

  /** Makes the files that have no content. */
  writeEmptyFiles(): void {
    for (let file = 0; file < this.#files.count; file++) {
      if (this.#remaining[file] === 0) this.#guarded(file, () => this.#writeAll(file, zeros.subarray(0, 0)));
    }
  }

  /** To be called for each blob of the job in order; with the reason instead of the content for one that is damaged. */
  write(blob: number, content: Buffer | string): void {
    const { uses, positions } = this.#job;
    while (this.#nextUse < positions.length && uses[2 * this.#nextUse] === blob) {
      const file = uses[2 * this.#nextUse + 1]!;
      const position = positions[this.#nextUse]!;
      this.#nextUse += 1;
      this.#remaining[file]! -= 1;
      if (typeof content === 'string') this.#failed(file, content);
      else if (this.#canWriteAtOnce(file)) this.#guarded(file, () => this.#writeAll(file, content));
      else this.#guarded(file, () => this.#writePart(file, content, position));
      if (this.#remaining[file] === 0 && this.#isCreated[file] === 1) this.#guarded(file, () => this.#finish(file));
    }
  }

  /** Closes what is open. */
  end(): JobResult {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    const splitNumbers: number[] = [];
    for (let file = 0; file < this.#files.count; file++) {
      if (!this.#files.isWhole(file)) splitNumbers.push(this.#files.splitNumber(file));
    }
    return {
      number: this.#job.number,
      filesDone: this.#filesDone,
      bytesWritten: this.#bytesWritten,
      splitNumbers,
      failures: this.#failures,
    };
  }

  /** The blob is all that the file has. */
  #canWriteAtOnce(file: number): boolean {
    return (
      this.#remaining[file] === 0 &&
      this.#isCreated[file] === 0 &&
      this.#isFailed[file] === 0 &&
      this.#files.isWhole(file)
    );
  }

  #writeAll(file: number, content: Buffer): void {
    const path = this.#files.path(file);
    const fd = createFile(path, this.#replace);
    try {
      if (this.#writeAround(fd, content, 0)) ftruncateSync(fd, content.length);
      this.#attributes.writeNewFile(fd, path, this.#files.attributes(file));
    } finally {
      closeSync(fd);
    }
    this.#filesDone += 1;
  }

  #writePart(file: number, content: Buffer, position: number): void {
    // A damaged part does not keep the others from being restored; an error of the file system does.
    if (this.#isFailed[file] === 2) return;
    this.#writeAround(this.#openFile(file), content, position);
  }

  /** Only whole files end here; split ones end in the main thread. */
  #finish(file: number): void {
    if (this.#isFailed[file] === 2) return;
    const fd = this.#openFile(file);
    ftruncateSync(fd, this.#files.sizeBytes(file));
    this.#attributes.writeNewFile(fd, this.#files.path(file), this.#files.attributes(file));
    this.#open.delete(file);
    closeSync(fd);
    if (this.#isFailed[file] === 0) this.#filesDone += 1;
  }

  #openFile(file: number): number {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const path = this.#files.path(file);
    const isToCreate = this.#files.isWhole(file) && this.#isCreated[file] === 0;
    const fd = isToCreate ? createFile(path, this.#replace) : openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    if (isToCreate) this.#isCreated[file] = 1;
    const [oldest] = this.#open;
    if (oldest && this.#open.size >= mostOpenFiles) {
      this.#open.delete(oldest[0]);
      closeSync(oldest[1]);
    }
    this.#open.set(file, fd);
    return fd;
  }

  /** Leaves long runs of zeros out; whether it left any, so that the size must be set. The file has no content there. */
  #writeAround(fd: number, content: Buffer, position: number): boolean {
    this.#bytesWritten += content.length;
    if (content.length >= holeBytes && isZero(content)) return true;
    let written = 0;
    let at = (blockBytes - (position % blockBytes)) % blockBytes;
    for (; at + holeBytes <= content.length; at += holeBytes) {
      if (!isZero(content.subarray(at, at + holeBytes))) continue;
      writeFully(fd, content, written, at, position + written);
      written = at + holeBytes;
    }
    writeFully(fd, content, written, content.length, position + written);
    return written > 0;
  }

  #guarded(file: number, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (isTargetLost(error)) throw error;
      this.#failed(file, messageOf(error));
      this.#isFailed[file] = 2;
    }
  }

  /** The first reason is told. */
  #failed(file: number, message: string): void {
    if (this.#isFailed[file] !== 0) return;
    this.#isFailed[file] = 1;
    this.#failures.push({ path: this.#files.path(file), message, splitNumber: this.#files.splitNumber(file) });
  }
}

function isZero(bytes: Buffer): boolean {
  if (bytes[0] !== 0 || bytes[bytes.length - 1] !== 0) return false;
  for (let at = 0; at < bytes.length; at += holeBytes) {
    const end = Math.min(at + holeBytes, bytes.length);
    if (bytes.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function writeFully(fd: number, bytes: Buffer, from: number, to: number, position: number): void {
  let done = from;
  while (done < to) done += writeSync(fd, bytes, done, to - done, position + done - from);
}
