/** Compares what files hold with the blobs that they should hold: what is right is not fetched again, or is proof after it was. */

import { constants, fstatSync, openSync, readSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import { forgetCached } from './libc.ts';
import { OpenFiles } from './open-files.ts';
import { joinBelow, type OpenFolders } from './open-folders.ts';
import { openOwnFile } from './restore-existing.ts';
import { type EntryFailure, type FileStart, JobFiles, type RestoreJob } from './restore-job.ts';
import { isTargetLost } from './restore-target.ts';

export interface CheckTools {
  readonly folders: OpenFolders;
  /** SHA-256 into 32 bytes. */
  readonly hash: (data: Uint8Array, digest: Uint8Array) => void;
}

/** What of a job is there already. */
export interface JobCheck {
  /** Per use: 1 where the file holds the blob. */
  readonly isRight: Uint8Array;
  /** Per blob: 1 where it must be fetched. */
  readonly isNeeded: Uint8Array;
  /** Per file: how it begins now that it was looked at. */
  readonly starts: readonly FileStart[];
}

/** Linux: reading leaves the access time as it was restored; only the owner and root may. */
const noAccessTime = 0o1000000;
let scratch = Buffer.allocUnsafeSlow(1 << 20);
const digest = Buffer.alloc(32);

export function hasFilesToCompare(job: RestoreJob): boolean {
  const files = new JobFiles(job);
  for (let file = 0; file < files.count; file++) if (files.start(file) === 'compare') return true;
  return false;
}

/** For a job that writes: looks at the files that are there. */
export function checkBefore(job: RestoreJob, tools: CheckTools): JobCheck {
  const files = new JobFiles(job);
  const starts = Array.from({ length: files.count }, (_, file) => files.start(file));
  const open = new FilesToRead(files, tools.folders, openOwnFile);
  const isRight = new Uint8Array(job.positions.length);
  const isNeeded = new Uint8Array(job.blobSpans.length / 3);
  try {
    // Empty files have no use that would look at them.
    starts.forEach((start, file) => {
      if (start === 'compare' && files.isWhole(file) && open.fd(file) === undefined) starts[file] = 'replace';
    });
    job.positions.forEach((position, use) => {
      const blob = job.uses[2 * use]!;
      const file = job.uses[2 * use + 1]!;
      const fd = starts[file] === 'compare' ? open.fd(file) : undefined;
      if (fd !== undefined && holds(fd, position, blobOf(job, blob), tools)) isRight[use] = 1;
      else isNeeded[blob] = 1;
    });
  } finally {
    open.close();
  }
  return { isRight, isNeeded, starts };
}

/** For a job that only checks: what files do not hold what they should. */
export function checkAfter(job: RestoreJob, tools: CheckTools): EntryFailure[] {
  const files = new JobFiles(job);
  const failures = new Map<number, EntryFailure>();
  const fail = (file: number, message: string): void => {
    const path = joinBelow(files.folder(file), files.name(file));
    if (!failures.has(file)) failures.set(file, { path, message, splitNumber: -1 });
  };
  const open = new FilesToRead(files, tools.folders, openToVerify);
  try {
    for (let file = 0; file < files.count; file++) {
      const problem = open.problemWith(file);
      if (problem !== undefined) fail(file, problem);
    }
    job.positions.forEach((position, use) => {
      const file = job.uses[2 * use + 1]!;
      const fd = failures.has(file) ? undefined : open.fd(file);
      if (fd === undefined || holds(fd, position, blobOf(job, job.uses[2 * use]!), tools)) return;
      fail(file, `what was read back from byte ${position} on is not what the backup has`);
    });
  } finally {
    open.close();
  }
  return [...failures.values()];
}

interface Blob {
  readonly id: Buffer;
  readonly lengthBytes: number;
}

function blobOf({ blobIds, blobSpans }: RestoreJob, blob: number): Blob {
  const [, sealed = 0, plain = 0] = blobSpans.subarray(3 * blob, 3 * blob + 3);
  const id = Buffer.from(blobIds.buffer, blobIds.byteOffset + 32 * blob, 32);
  return { id, lengthBytes: plain > 0 ? plain : sealed - 32 };
}

function holds(fd: number, position: number, { id, lengthBytes }: Blob, { hash }: CheckTools): boolean {
  if (scratch.length < lengthBytes) scratch = Buffer.allocUnsafeSlow(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const read = readSync(fd, scratch, done, lengthBytes - done, position + done);
    if (read === 0) return false;
    done += read;
  }
  hash(scratch.subarray(0, lengthBytes), digest);
  return digest.equals(id);
}

/** Reads from the disk, not from what the kernel still has in memory of the writing. */
function openToVerify(path: Buffer): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = openSync(path, flags | noAccessTime);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
    fd = openSync(path, flags);
  }
  forgetCached(fd);
  return fd;
}

/** The files of a job, opened when they are asked for. */
class FilesToRead {
  readonly #files: JobFiles;
  readonly #folders: OpenFolders;
  readonly #openFile: (path: Buffer) => number | undefined;
  readonly #open = new OpenFiles();

  constructor(files: JobFiles, folders: OpenFolders, openFile: (path: Buffer) => number | undefined) {
    this.#files = files;
    this.#folders = folders;
    this.#openFile = openFile;
  }

  /** undefined where it may not be opened. */
  fd(file: number): number | undefined {
    return this.#open.fd(file, () =>
      this.#openFile(this.#folders.entry(this.#files.folder(file), this.#files.name(file))),
    );
  }

  /** What is wrong with the file itself. */
  problemWith(file: number): string | undefined {
    try {
      const stat = fstatSync(this.fd(file) ?? -1);
      const sizeBytes = this.#files.sizeBytes(file);
      if (!stat.isFile()) return 'it is no file any more';
      return stat.size === sizeBytes ? undefined : `it has ${stat.size} bytes instead of ${sizeBytes}`;
    } catch (error) {
      if (isTargetLost(error)) throw error;
      return `it cannot be read back (${codeOf(error)})`;
    }
  }

  close(): void {
    this.#open.closeAll();
  }
}
