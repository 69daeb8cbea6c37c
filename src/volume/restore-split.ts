/** Files whose content comes from several jobs: made when the first is planned, finished when the last is done. */
import { closeSync, constants, ftruncateSync, openSync } from 'node:fs';
import type { TreeNode } from '../repository/format/tree.ts';
import { createFile, joinPath } from './restore-target.ts';
import type { AttributeWriter } from './write-attributes.ts';

interface SplitFile {
  readonly path: Buffer;
  readonly node: TreeNode;
  readonly sizeBytes: number;
  jobsOpen: number;
  isPlanned: boolean;
}

export class SplitFiles {
  readonly #attributes: AttributeWriter;
  readonly #replace: boolean;
  readonly #onFinished: (path: Buffer, error: unknown) => void;
  readonly #files = new Map<number, SplitFile>();
  #count = 0;

  /** `onFinished` is called once a file; with an error when its size or attributes could not be set. */
  constructor(attributes: AttributeWriter, replace: boolean, onFinished: (path: Buffer, error: unknown) => void) {
    this.#attributes = attributes;
    this.#replace = replace;
    this.#onFinished = onFinished;
  }

  /** Files that were made and are not finished. */
  get openCount(): number {
    return this.#files.size;
  }

  create(folder: Buffer, node: TreeNode, sizeBytes: number): number {
    const path = joinPath(folder, node.name);
    closeSync(createFile(path, this.#replace));
    const number = this.#count++;
    this.#files.set(number, { path, node, sizeBytes, jobsOpen: 0, isPlanned: false });
    return number;
  }

  expectJob(number: number): void {
    this.#file(number).jobsOpen += 1;
  }

  allPlanned(number: number): void {
    this.#file(number).isPlanned = true;
    this.#finishWhenDone(number);
  }

  jobDone(number: number): void {
    this.#file(number).jobsOpen -= 1;
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
    try {
      this.#finish(file);
      this.#onFinished(file.path, undefined);
    } catch (error) {
      this.#onFinished(file.path, error);
    }
  }

  /** Holes were not written, so the size may still be too small. */
  #finish({ path, node, sizeBytes }: SplitFile): void {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      ftruncateSync(fd, sizeBytes);
      this.#attributes.writeNewFile(fd, path, node);
    } finally {
      closeSync(fd);
    }
  }
}
