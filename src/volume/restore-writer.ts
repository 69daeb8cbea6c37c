/** Writes the blobs of one job into their files, in a thread of a restore. Long runs of zeros become holes. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { punchHole } from './libc.ts';
import { OpenFiles } from './open-files.ts';
import { joinBelow, joinShown, type OpenFolders, withoutHandles } from './open-folders.ts';
import type { JobCheck } from './restore-check.ts';
import { type EntryFailure, type FileStart, JobFiles, type JobResult, type RestoreJob } from './restore-job.ts';
import { createFile, isTargetLost } from './restore-target.ts';
import { type AttributeWriter, withoutTimes } from './write-attributes.ts';

/** Smaller holes would cost more calls than they save space. */
const holeBytes = 64 << 10;
/** Where a file system can begin a hole. */
const blockBytes = 4096;
const zeros = Buffer.alloc(holeBytes);

export interface WriterTools {
  readonly folders: OpenFolders;
  readonly attributes: AttributeWriter;
  /** For people: what paths are below of. */
  readonly target: string;
}

export class JobWriter {
  readonly #job: RestoreJob;
  readonly #files: JobFiles;
  readonly #tools: WriterTools;
  readonly #check: JobCheck | undefined;
  /** Uses still to come, per file. */
  readonly #remaining: Uint32Array;
  readonly #isFailed: Uint8Array;
  readonly #isCreated: Uint8Array;
  readonly #hasWritten: Uint8Array;
  readonly #open = new OpenFiles();
  readonly #failures: EntryFailure[] = [];
  #nextUse = 0;
  #filesDone = 0;
  #filesUnchanged = 0;
  #bytesWritten = 0;
  #bytesUnchanged = 0;

  /** With a check, what is right already is not written, and blobs that are not needed are not to be passed in. */
  constructor(job: RestoreJob, tools: WriterTools, check?: JobCheck) {
    this.#job = job;
    this.#files = new JobFiles(job);
    this.#tools = tools;
    this.#check = check;
    this.#remaining = new Uint32Array(this.#files.count);
    this.#isFailed = new Uint8Array(this.#files.count);
    this.#isCreated = new Uint8Array(this.#files.count);
    this.#hasWritten = new Uint8Array(this.#files.count);
    job.positions.forEach((_, use) => {
      const file = job.uses[2 * use + 1]!;
      if (check?.isRight[use] === 1) this.#bytesUnchanged += this.#lengthOf(job.uses[2 * use]!);
      else this.#remaining[file]! += 1;
    });
  }

  /** Makes the files that have no content, and finishes those that have all of it. */
  begin(): void {
    for (let file = 0; file < this.#files.count; file++) {
      if (this.#remaining[file]! > 0 || !this.#files.isWhole(file)) continue;
      if (this.#startOf(file) === 'compare') this.#guarded(file, () => this.#finish(file));
      else this.#guarded(file, () => this.#writeAll(file, zeros.subarray(0, 0)));
    }
  }

  /** To be called for each blob that is needed, in order; with the reason instead of the content for one that is damaged. */
  write(blob: number, content: Buffer | string): void {
    const { uses, positions } = this.#job;
    for (; this.#nextUse < positions.length && uses[2 * this.#nextUse]! <= blob; this.#nextUse++) {
      if (uses[2 * this.#nextUse]! < blob || this.#check?.isRight[this.#nextUse] === 1) continue;
      this.#use(uses[2 * this.#nextUse + 1]!, content, positions[this.#nextUse]!);
    }
  }

  /** Closes what is open. */
  end(): JobResult {
    this.#open.closeAll();
    const splits: { number: number; hasWritten: boolean }[] = [];
    for (let file = 0; file < this.#files.count; file++) {
      const hasWritten = this.#hasWritten[file] === 1;
      if (!this.#files.isWhole(file)) splits.push({ number: this.#files.splitNumber(file), hasWritten });
    }
    return {
      number: this.#job.number,
      filesDone: this.#filesDone,
      filesUnchanged: this.#filesUnchanged,
      bytesWritten: this.#bytesWritten,
      bytesUnchanged: this.#bytesUnchanged,
      splits,
      failures: this.#failures,
    };
  }

  #use(file: number, content: Buffer | string, position: number): void {
    this.#remaining[file]! -= 1;
    if (typeof content === 'string') this.#failed(file, content);
    else if (this.#canWriteAtOnce(file)) this.#guarded(file, () => this.#writeAll(file, content));
    else this.#guarded(file, () => this.#writePart(file, content, position));
    if (this.#remaining[file] === 0 && this.#isCreated[file] === 1) this.#guarded(file, () => this.#finish(file));
  }

  #startOf(file: number): FileStart {
    return this.#check?.starts[file] ?? this.#files.start(file);
  }

  #lengthOf(blob: number): number {
    const [, sealed = 0, plain = 0] = this.#job.blobSpans.subarray(3 * blob, 3 * blob + 3);
    return plain > 0 ? plain : sealed - 32;
  }

  /** The blob is all that the file has. */
  #canWriteAtOnce(file: number): boolean {
    return (
      this.#remaining[file] === 0 &&
      this.#isCreated[file] === 0 &&
      this.#isFailed[file] === 0 &&
      this.#startOf(file) !== 'compare' &&
      this.#files.isWhole(file)
    );
  }

  #writeAll(file: number, content: Buffer): void {
    const fd = createFile(this.#entry(file), this.#startOf(file) !== 'make');
    try {
      if (this.#writeAround(fd, content, 0)) ftruncateSync(fd, content.length);
      this.#writeAttributes(file, fd);
    } finally {
      closeSync(fd);
    }
    this.#filesDone += 1;
  }

  #writePart(file: number, content: Buffer, position: number): void {
    // A damaged part does not keep the others from being restored; an error of the file system does.
    if (this.#isFailed[file] === 2) return;
    const fd = this.#openFile(file);
    this.#hasWritten[file] = 1;
    if (this.#startOf(file) === 'compare') this.#writeOver(fd, content, position);
    else this.#writeAround(fd, content, position);
  }

  /** Only whole files end here; split ones end in the main thread. */
  #finish(file: number): void {
    if (this.#isFailed[file] === 2) return;
    const fd = this.#openFile(file);
    const sizeBytes = this.#files.sizeBytes(file);
    const isUnchanged = this.#hasWritten[file] === 0 && this.#startOf(file) === 'compare';
    const hasSize = fstatSync(fd).size === sizeBytes;
    if (!hasSize) ftruncateSync(fd, sizeBytes);
    this.#writeAttributes(file, fd);
    this.#open.close(file);
    if (this.#isFailed[file] !== 0) return;
    this.#filesDone += 1;
    if (isUnchanged && hasSize) this.#filesUnchanged += 1;
  }

  #writeAttributes(file: number, fd: number): void {
    const isNew = this.#startOf(file) !== 'compare';
    const shown = () => joinShown(this.#tools.target, this.#path(file)).toString();
    const { attributes } = this.#tools;
    const wanted = this.#files.attributes(file);
    if (this.#isFailed[file] !== 0) attributes.write({ at: fd, isNew, shown }, withoutTimes(wanted));
    else if (isNew) attributes.write({ at: fd, isNew, shown }, wanted);
    else attributes.correct({ at: fd, isNew, shown }, wanted);
  }

  #entry(file: number): Buffer {
    return this.#tools.folders.entry(this.#files.folder(file), this.#files.name(file));
  }

  #path(file: number): string {
    return joinBelow(this.#files.folder(file), this.#files.name(file));
  }

  #openFile(file: number): number {
    return this.#open.fd(file, () => this.#openAnew(file));
  }

  #openAnew(file: number): number {
    const path = this.#entry(file);
    const start = this.#startOf(file);
    const isToCreate = start !== 'compare' && this.#files.isWhole(file) && this.#isCreated[file] === 0;
    const fd = isToCreate
      ? createFile(path, start !== 'make')
      : openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    if (this.#files.isWhole(file)) this.#isCreated[file] = 1;
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

  /** For a file that may have other content there. */
  #writeOver(fd: number, content: Buffer, position: number): void {
    if (content.length >= holeBytes && isZero(content) && punchHole(fd, position, content.length)) {
      this.#bytesWritten += content.length;
      return;
    }
    this.#bytesWritten += content.length;
    writeFully(fd, content, 0, content.length, position);
  }

  #guarded(file: number, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (isTargetLost(error)) throw error;
      this.#failed(file, withoutHandles(messageOf(error)));
      this.#isFailed[file] = 2;
    }
  }

  /** The first reason is told. */
  #failed(file: number, message: string): void {
    if (this.#isFailed[file] !== 0) return;
    this.#isFailed[file] = 1;
    this.#failures.push({ path: this.#path(file), message, splitNumber: this.#files.splitNumber(file) });
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
