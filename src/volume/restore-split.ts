/** Files whose content comes from several jobs: made when the first is planned, finished when the last is done. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import type { TreeNode } from '../repository/format/tree.ts';
import { nextData, punchHole } from './libc.ts';
import { joinBelow, type OpenFolders } from './open-folders.ts';
import { openOwnFile } from './restore-existing.ts';
import type { FileStart } from './restore-job.ts';
import { createFile } from './restore-target.ts';
import { type AttributeWriter, withoutTimes } from './write-attributes.ts';

interface SplitFile {
  /** Below the target, latin1. */
  readonly folder: string;
  readonly node: TreeNode;
  readonly sizeBytes: number;
  readonly isNew: boolean;
  isTouched: boolean;
  isFailed: boolean;
  jobsOpen: number;
  isPlanned: boolean;
}

export interface SplitOutcome {
  readonly error?: unknown;
  /** All of its content was there already. */
  readonly isUnchanged: boolean;
}

export interface SplitContext {
  readonly folders: OpenFolders;
  readonly attributes: AttributeWriter;
  /** Of a path below the target, for people. */
  readonly show: (path: string) => string;
  /** Called once a file; with an error when its size or attributes could not be set. */
  readonly onFinished: (path: string, outcome: SplitOutcome) => void;
}

export class SplitFiles {
  readonly #context: SplitContext;
  readonly #files = new Map<number, SplitFile>();
  #count = 0;

  constructor(context: SplitContext) {
    this.#context = context;
  }

  /** Files that were made and are not finished. */
  get openCount(): number {
    return this.#files.size;
  }

  /** `start`: how it was begun, which the jobs have to know. A file that cannot be corrected is replaced. */
  create(folder: string, node: TreeNode, sizeBytes: number, start: FileStart): { number: number; start: FileStart } {
    const path = this.#context.folders.entry(folder, node.name);
    const own = start === 'compare' ? openOwnFile(path) : undefined;
    closeSync(own ?? createFile(path, start !== 'make'));
    const number = this.#count++;
    const isNew = own === undefined;
    this.#files.set(number, {
      folder,
      node,
      sizeBytes,
      isNew,
      isTouched: isNew,
      isFailed: false,
      jobsOpen: 0,
      isPlanned: false,
    });
    return { number, start: isNew ? 'make' : 'compare' };
  }

  /** Zeros in this range, without a job. Whether that can be done. */
  makeHole(number: number, offset: number, lengthBytes: number): boolean {
    const file = this.#file(number);
    if (file.isNew) return true;
    const fd = this.#open(file.folder, file.node);
    try {
      if ((nextData(fd, offset) ?? Infinity) >= offset + lengthBytes) return true;
      file.isTouched = true;
      return punchHole(fd, offset, lengthBytes);
    } finally {
      closeSync(fd);
    }
  }

  expectJob(number: number): void {
    this.#file(number).jobsOpen += 1;
  }

  /** A part of the file is missing. */
  failed(number: number): void {
    this.#file(number).isFailed = true;
  }

  allPlanned(number: number): void {
    this.#file(number).isPlanned = true;
    this.#finishWhenDone(number);
  }

  jobDone(number: number, hasWritten: boolean): void {
    const file = this.#file(number);
    file.jobsOpen -= 1;
    file.isTouched ||= hasWritten;
    this.#finishWhenDone(number);
  }

  #file(number: number): SplitFile {
    const file = this.#files.get(number);
    if (!file) throw new Error(`split file ${number} is not open`);
    return file;
  }

  #finishWhenDone(number: number): void {
    const file = this.#file(number);
    if (!file.isPlanned || file.jobsOpen > 0) return;
    this.#files.delete(number);
    const path = joinBelow(file.folder, file.node.name);
    try {
      this.#finish(file, path);
    } catch (error) {
      this.#context.onFinished(path, { error, isUnchanged: false });
      return;
    }
    this.#context.onFinished(path, { isUnchanged: !file.isTouched });
  }

  /** Holes were not written, so the size may still be too small; of a file that was there it may be too large. */
  #finish({ folder, node, sizeBytes, isNew, isFailed }: SplitFile, path: string): void {
    const { attributes, show } = this.#context;
    const fd = this.#open(folder, node);
    try {
      if (fstatSync(fd).size !== sizeBytes) ftruncateSync(fd, sizeBytes);
      const entry = { at: fd, isNew, shown: () => show(path) };
      if (isFailed) attributes.write(entry, withoutTimes(node));
      else if (isNew) attributes.write(entry, node);
      else attributes.correct(entry, node);
    } finally {
      closeSync(fd);
    }
  }

  #open(folder: string, node: TreeNode): number {
    return openSync(this.#context.folders.entry(folder, node.name), constants.O_WRONLY | constants.O_NOFOLLOW);
  }
}
