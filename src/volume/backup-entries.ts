/**
 * A batch of entries of one folder, in a worker: metadata of each, the comparison with the parent, the content of
 * small files that are new or changed. Large files are left to the main thread, which hands them out in segments.
 */
import { closeSync, constants } from 'node:fs';
import { codeOf, isHoldfastError, messageOf } from '../base/errors.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import { idBytes, idDigits, readHexId } from '../repository/format/hex-id.ts';
import { NodeHead } from '../repository/format/node-head.ts';
import { encodeNodeHead, type TreeNode } from '../repository/format/tree.ts';
import { goModeFromPosix } from './attributes.ts';
import {
  type ChangeRules,
  type EntriesJob,
  type EntriesResult,
  type EntryCounts,
  type EntryProblem,
  type Hole,
  noCounts,
} from './backup-jobs.ts';
import type { ChunkWriter, WrittenContent } from './chunk-writer.ts';
import { FileStatus } from './file-status.ts';
import { withShortPath } from './long-path.ts';
import { openFolder, openForReading } from './open-entry.ts';
import { type Known, ParentEntries, type SameNode } from './parent-entries.ts';
import { everyContentId } from './parent-tree.ts';
import { readExtendedAttributes, readFurther, statusAttributes } from './read-attributes.ts';
import { groupName, userName } from './user-names.ts';

/** Files above this size become jobs of their own. */
export const inlineFileBytes = 4 << 20;

const comma = 0x2c;

/** Memory that lives as long as the thread, which does one batch at a time. */
const status = new FileStatus();
const statusAfter = new FileStatus();
const head = new NodeHead({ user: userName, group: groupName });
const nameBytes = Buffer.alloc(256);
let nodeBytes = Buffer.allocUnsafeSlow(256 << 10);

const nsPerSecond = 1_000_000_000n;

export class EntriesBatch {
  readonly #job: EntriesJob;
  readonly #writer: ChunkWriter;
  readonly #index: BlobIndex;
  readonly #parent: ParentEntries | undefined;
  readonly #settledBefore: { readonly seconds: number; readonly nanoseconds: number };
  /** The folder, held open. */
  #folder = -1;
  #length = 0;
  /** Nodes taken over that lie side by side in the parent, while there are no others: they are not copied yet. */
  #run: { readonly start: number; readonly end: number } | undefined;
  #onlyRun = true;
  readonly #id = Buffer.allocUnsafe(idBytes);
  readonly #holes: Hole[] = [];
  readonly #problems: EntryProblem[] = [];
  readonly #counts: EntryCounts = noCounts();

  constructor(job: EntriesJob, writer: ChunkWriter, index: BlobIndex) {
    this.#job = job;
    this.#writer = writer;
    this.#index = index;
    this.#parent = job.parent && new ParentEntries(Buffer.from(job.parent.buffer));
    const ns = job.rereadFromNs;
    this.#settledBefore = { seconds: Number(ns / nsPerSecond), nanoseconds: Number(ns % nsPerSecond) };
  }

  run(): EntriesResult {
    const names = this.#job.names.split('/');
    try {
      this.#folder = withShortPath(Buffer.from(this.#job.folder, 'latin1'), openFolder);
      for (const name of names) this.#attempt(name);
    } catch (error) {
      if (isHoldfastError(error) || this.#folder >= 0) throw error;
      for (const name of names) this.#problem(name, error);
    } finally {
      if (this.#folder >= 0) closeSync(this.#folder);
    }
    const unchanged = this.#onlyRun ? this.#run : undefined;
    return {
      kind: 'entries',
      nodes: new Uint8Array(nodeBytes.subarray(0, unchanged ? 0 : this.#length)),
      unchanged,
      holes: this.#holes,
      counts: this.#counts,
      problems: this.#problems,
    };
  }

  #attempt(name: string): void {
    try {
      this.#entry(name);
    } catch (error) {
      if (isHoldfastError(error)) throw error;
      this.#problem(name, error);
    }
  }

  #problem(name: string, error: unknown): void {
    if (codeOf(error) === 'ENOENT') this.#counts.vanished++;
    else this.#problems.push({ path: this.#path(name).toString(), message: messageOf(error) });
  }

  #path(name: string): Buffer {
    return Buffer.from(`${this.#job.folder}/${name}`, 'latin1');
  }

  #entry(name: string): void {
    nameBytes[nameBytes.write(name, 'latin1')] = 0;
    status.readEntry(this.#folder, nameBytes);
    if (isFile(status.mode)) {
      if (!this.#isUnchanged(name)) this.#file(name);
      return;
    }
    const plain = statusAttributes(Buffer.from(name, 'latin1'), status);
    if (!plain) return;
    const attributes = withShortPath(this.#path(name), (path) => readFurther(path, plain));
    const headText = encodeNodeHead(attributes);
    if (attributes.type === 'dir') this.#directory(name, headText);
    else this.#write(`${headText}null},`);
  }

  /**
   * The shortest way, for nearly all entries of a second backup: a file without extended attributes that encodes to the
   * same bytes. It cannot have got any since, because that changes its ctime.
   */
  #isUnchanged(name: string): boolean {
    if (!this.#parent || status.links !== 1 || !this.#isSettled()) return false;
    setPlainHead(name, status.sizeBytes);
    const same = this.#parent.findSame(head);
    return same !== undefined && this.#takeOver(same);
  }

  /** Whether neither content nor attributes changed at or after the time from which everything is read again. */
  #isSettled(): boolean {
    const { mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds } = status;
    if (!this.#isBefore(mtimeSeconds, mtimeNanoseconds)) return false;
    return this.#job.change.ignoreCtime || this.#isBefore(ctimeSeconds, ctimeNanoseconds);
  }

  #isBefore(seconds: number, nanoseconds: number): boolean {
    const limit = this.#settledBefore;
    return seconds < limit.seconds || (seconds === limit.seconds && nanoseconds < limit.nanoseconds);
  }

  #directory(name: string, headText: string): void {
    this.#write(`${headText}null,"subtree":"`);
    this.#holes.push({ kind: 'folder', at: this.#length, name });
    this.#write(`${'0'.repeat(idDigits)}"},`);
  }

  #file(name: string): void {
    const { sizeBytes } = status;
    const extendedAttributes = withShortPath(this.#path(name), readExtendedAttributes);
    const isPlain = status.links === 1 && extendedAttributes.length === 0;
    const attributes = () => ({ ...statusAttributes(Buffer.from(name, 'latin1'), status)!, extendedAttributes });
    const setHead = (size: number) => {
      if (isPlain) setPlainHead(name, size);
      else head.setText(encodeNodeHead({ ...attributes(), sizeBytes: size }));
    };
    setHead(sizeBytes);
    const known = this.#parent?.find(name, head);
    if (known && this.#isSettled() && this.#reuse(known)) return;
    if (sizeBytes > inlineFileBytes) {
      this.#copyRun();
      const { isSparse } = status;
      const hole = { kind: 'file', at: this.#length, name, known: known !== undefined, isSparse } as const;
      this.#holes.push({ ...hole, attributes: attributes() });
      return;
    }
    const { written, changed } = this.#read(sizeBytes);
    this.#count(known, written, changed);
    if (written.readBytes !== sizeBytes) setHead(written.readBytes);
    this.#writeFile(written.content);
  }

  #count(known: Known | undefined, written: WrittenContent, changed: boolean): void {
    const counts = this.#counts;
    if (!known) counts.filesNew++;
    else if (known.same && !changed && written.bytesAdded === 0) counts.filesUnmodified++;
    else counts.filesChanged++;
    if (changed) counts.changedWhileRead++;
    counts.bytesProcessed += written.readBytes;
    counts.bytesAdded += written.bytesAdded;
    counts.dataBlobs += written.dataBlobs;
  }

  /** Reads a small file; one that is replaced or written meanwhile is noted, its content is what was read. */
  #read(sizeBytes: number): { written: WrittenContent; changed: boolean } {
    const file = openForReading(this.#folder, nameBytes);
    try {
      const written = this.#writer.write(file, 0, sizeBytes);
      const isSame = status.isSameVersion(statusAfter.readOpen(file));
      return { written, changed: !isSame || written.readBytes !== sizeBytes };
    } finally {
      closeSync(file);
    }
  }

  /** Takes over the parent's content where the file did not change and all its blobs are there. */
  #reuse(known: Known): boolean {
    return known.same ? this.#takeOver(known.same) : this.#takeContent(known.node!);
  }

  #takeOver({ start, end, contentAt }: SameNode): boolean {
    if (!this.#allStored(this.#parent!.bytes, contentAt, end)) return false;
    if (this.#run && this.#run.end + 1 !== start) this.#copyRun();
    if (this.#onlyRun) this.#run = { start: this.#run?.start ?? start, end };
    else this.#copy(start, end);
    this.#parent!.pass(end);
    this.#countUnmodified();
    return true;
  }

  #takeContent(node: TreeNode): boolean {
    if (node.type !== 'file' || !node.content || !isSameVersion(node, status, this.#job.change)) return false;
    const content = node.content.map((id) => `"${id}"`).join(',');
    const bytes = Buffer.from(content, 'latin1');
    if (!this.#allStored(bytes, 0, bytes.length)) return false;
    this.#writeFile(content);
    this.#countUnmodified();
    return true;
  }

  #countUnmodified(): void {
    this.#counts.filesUnmodified++;
    this.#counts.bytesProcessed += status.sizeBytes;
  }

  #allStored(bytes: Buffer, start: number, end: number): boolean {
    let last = -1;
    return everyContentId(bytes, start, end, (at) => {
      // A hole is millions of times the same.
      if (last >= 0 && bytes.compare(bytes, last, last + idDigits, at, at + idDigits) === 0) return true;
      last = at;
      return readHexId(bytes, at, this.#id) && this.#index.has('data', this.#id);
    });
  }

  /** The head at hand and its content, as the ids of its blobs in quotes. */
  #writeFile(content: string): void {
    this.#copyRun();
    this.#reserve(head.length);
    this.#length += head.bytes.copy(nodeBytes, this.#length, 0, head.length);
    this.#write(`[${content}]},`);
  }

  #write(text: string): void {
    this.#copyRun();
    this.#reserve(text.length * 3);
    this.#length += nodeBytes.write(text, this.#length);
  }

  /** From here on the nodes are not all one stretch of the parent. */
  #copyRun(): void {
    const run = this.#run;
    this.#onlyRun = false;
    this.#run = undefined;
    if (run) this.#copy(run.start, run.end);
  }

  #copy(start: number, end: number): void {
    this.#reserve(end - start + 1);
    this.#length += this.#parent!.bytes.copy(nodeBytes, this.#length, start, end);
    nodeBytes[this.#length++] = comma;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= nodeBytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.#length + bytes) * 2);
    nodeBytes.copy(larger, 0, 0, this.#length);
    nodeBytes = larger;
  }
}

function setPlainHead(name: string, sizeBytes: number): void {
  head.setPlainFile(name, goModeFromPosix(status.mode), status, sizeBytes);
}

function isFile(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFREG;
}

/** Strict, unless told otherwise: size, times and inode must all be the same. */
function isSameVersion(node: TreeNode, now: FileStatus, { ignoreCtime, ignoreInode }: ChangeRules): boolean {
  return (
    node.sizeBytes === now.sizeBytes &&
    node.mtimeNs === now.mtimeNs &&
    (ignoreCtime || node.ctimeNs === now.ctimeNs) &&
    (ignoreInode || node.inode === now.inode)
  );
}
