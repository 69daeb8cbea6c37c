/**
 * A batch of entries of one folder, in a worker: metadata of each, the comparison with the parent, the content of
 * small files that are new or changed. Large files are left to the main thread, which hands them out in segments.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { isHoldfastError, messageOf } from '../base/errors.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import { goNameJson } from '../repository/format/go-json.ts';
import { encodeNodeHead, type TreeNode } from '../repository/format/tree.ts';
import {
  type EntriesJob,
  type EntriesResult,
  type EntryCounts,
  type EntryProblem,
  type Hole,
  noCounts,
} from './backup-jobs.ts';
import type { ChunkWriter, WrittenContent } from './chunk-writer.ts';
import { everyContentId, findNode, nodeAt, sameHead } from './parent-tree.ts';
import { type EntryAttributes, readFurther, statAttributes } from './read-attributes.ts';

/** Files above this size become jobs of their own. */
export const inlineFileBytes = 4 << 20;

const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Linux: reading leaves no access time; only the owner and root may. */
const noAccessTime = 0o1000000;
const folderIdBytes = 64;
const comma = 0x2c;

/** Memory that lives as long as the thread, which does one batch at a time. */
const headBytes = Buffer.allocUnsafeSlow(128 << 10);
let nodeBytes = Buffer.allocUnsafeSlow(256 << 10);

/** What the parent knows of an entry. */
interface Known {
  /** The whole node in the parent's bytes, when it is the same byte by byte. */
  readonly same?: { readonly start: number; readonly end: number };
  readonly node?: TreeNode;
}

export class EntriesBatch {
  readonly #job: EntriesJob;
  readonly #writer: ChunkWriter;
  readonly #index: BlobIndex;
  readonly #parent: Buffer | undefined;
  #cursor = 0;
  #length = 0;
  /** Where the nodes taken over from the parent lie in it, while they are all that there is and lie side by side. */
  #takenOver: { readonly start: number; readonly end: number } | undefined;
  #allTakenOver = true;
  readonly #id = Buffer.allocUnsafe(32);
  readonly #holes: Hole[] = [];
  readonly #problems: EntryProblem[] = [];
  readonly #counts: EntryCounts = noCounts();

  constructor(job: EntriesJob, writer: ChunkWriter, index: BlobIndex) {
    this.#job = job;
    this.#writer = writer;
    this.#index = index;
    this.#parent = job.parent && Buffer.from(job.parent.buffer);
  }

  run(): EntriesResult {
    for (const name of this.#job.names.split('/')) {
      const path = Buffer.from(`${this.#job.folder}/${name}`, 'latin1');
      try {
        this.#entry(path, name);
      } catch (error) {
        if (isHoldfastError(error)) throw error;
        this.#problem(path, error);
      }
    }
    const unchanged = this.#allTakenOver ? this.#takenOver : undefined;
    return {
      kind: 'entries',
      nodes: new Uint8Array(nodeBytes.subarray(0, unchanged ? 0 : this.#length)),
      unchanged,
      holes: this.#holes,
      counts: this.#counts,
      problems: this.#problems,
    };
  }

  #problem(path: Buffer, error: unknown): void {
    if (codeOf(error) === 'ENOENT') this.#counts.vanished++;
    else this.#problems.push({ path: path.toString(), message: messageOf(error) });
  }

  #entry(path: Buffer, name: string): void {
    const stat = lstatSync(path, { bigint: true });
    const plain = statAttributes(Buffer.from(name, 'latin1'), stat);
    if (!plain || this.#isUnchanged(plain, stat)) return;
    const attributes = readFurther(path, plain);
    if (attributes.type === 'file') this.#file(path, name, attributes, stat);
    else if (attributes.type === 'dir') this.#folder(name, attributes);
    else this.#write(`${encodeNodeHead(attributes)}null},`);
  }

  /**
   * The shortest way, for nearly all entries of a second backup: a file without extended attributes that encodes to the
   * same bytes. It cannot have got any since, because that changes its ctime.
   */
  #isUnchanged(attributes: EntryAttributes, stat: BigIntStats): boolean {
    if (!this.#parent || attributes.type !== 'file' || !this.#isSettled(stat)) return false;
    const cursor = this.#cursor;
    const head = encodeNodeHead(attributes);
    const known = this.#lookUp(attributes.name, head);
    if (known?.same && this.#reuse(known, head, attributes)) return true;
    this.#cursor = cursor;
    return false;
  }

  #isSettled(stat: BigIntStats): boolean {
    return stat.mtimeNs < this.#job.rereadFromNs && stat.ctimeNs < this.#job.rereadFromNs;
  }

  #folder(name: string, attributes: EntryAttributes): void {
    this.#write(`${encodeNodeHead(attributes)}null,"subtree":"`);
    this.#holes.push({ kind: 'folder', at: this.#length, name });
    this.#write(`${'0'.repeat(folderIdBytes)}"},`);
  }

  #file(path: Buffer, name: string, attributes: EntryAttributes, stat: BigIntStats): void {
    const head = encodeNodeHead(attributes);
    const known = this.#lookUp(attributes.name, head);
    if (known && this.#isSettled(stat) && this.#reuse(known, head, attributes)) return;
    if (attributes.sizeBytes > inlineFileBytes) {
      this.#allTakenOver = false;
      this.#holes.push({ kind: 'file', at: this.#length, name, attributes, known: known !== undefined });
      return;
    }
    const { written, changed } = this.#read(path, attributes, stat);
    this.#count(known, written, changed, attributes);
    const exact =
      written.readBytes === attributes.sizeBytes
        ? head
        : encodeNodeHead({ ...attributes, sizeBytes: written.readBytes });
    this.#write(`${exact}[${written.content}]},`);
  }

  #count(known: Known | undefined, written: WrittenContent, changed: boolean, attributes: EntryAttributes): void {
    const counts = this.#counts;
    if (!known) counts.filesNew++;
    else if (known.same && !changed && written.readBytes === attributes.sizeBytes && written.bytesAdded === 0)
      counts.filesUnmodified++;
    else counts.filesChanged++;
    if (changed) counts.changedWhileRead++;
    counts.bytesProcessed += written.readBytes;
    counts.bytesAdded += written.bytesAdded;
    counts.dataBlobs += written.dataBlobs;
  }

  /** Reads a small file; one that is replaced or written meanwhile is noted, its content is what was read. */
  #read(path: Buffer, attributes: EntryAttributes, stat: BigIntStats): { written: WrittenContent; changed: boolean } {
    const file = openForReading(path);
    try {
      const written = this.#writer.write(file, 0, attributes.sizeBytes);
      const after = fstatSync(file, { bigint: true });
      return { written, changed: changedBetween(stat, after) || written.readBytes !== attributes.sizeBytes };
    } finally {
      closeSync(file);
    }
  }

  /** What the parent has under this name. The parent's nodes and the names of the batch both ascend, so a cursor suffices. */
  #lookUp(name: Buffer, head: string): Known | undefined {
    const parent = this.#parent;
    if (!parent) return undefined;
    const headLength = headBytes.length > head.length * 3 ? headBytes.write(head, 0) : 0;
    let start = this.#cursor;
    if (headLength > 0) {
      const end = sameHead(parent, start, headBytes, headLength);
      if (end >= 0) return this.#same(start, end);
    }
    start = findNode(parent, goNameJson(name), this.#cursor);
    if (start < 0) return undefined;
    const end = headLength > 0 ? sameHead(parent, start, headBytes, headLength) : -1;
    if (end >= 0) return this.#same(start, end);
    const found = nodeAt(parent, start);
    if (found) this.#cursor = found.end + 1;
    return found && { node: found.node };
  }

  #same(start: number, end: number): Known {
    this.#cursor = end + 1;
    return { same: { start, end } };
  }

  /** Takes over the parent's content where the file did not change and all its blobs are there. */
  #reuse(known: Known, head: string, attributes: EntryAttributes): boolean {
    if (!(known.same ? this.#takeOver(known.same, head) : this.#takeContent(known.node!, head, attributes)))
      return false;
    this.#counts.filesUnmodified++;
    this.#counts.bytesProcessed += attributes.sizeBytes;
    return true;
  }

  #takeOver({ start, end }: { readonly start: number; readonly end: number }, head: string): boolean {
    if (!this.#allStored(this.#parent!, start + Buffer.byteLength(head), end)) return false;
    this.#reserve(end - start + 1);
    this.#length += this.#parent!.copy(nodeBytes, this.#length, start, end);
    nodeBytes[this.#length++] = comma;
    if (this.#takenOver && this.#takenOver.end + 1 !== start) this.#allTakenOver = false;
    this.#takenOver = { start: this.#takenOver?.start ?? start, end };
    return true;
  }

  #takeContent(node: TreeNode, head: string, attributes: EntryAttributes): boolean {
    if (node.type !== 'file' || !node.content || !sameVersion(node, attributes)) return false;
    const content = node.content.map((id) => `"${id}"`).join(',');
    const bytes = Buffer.from(content, 'latin1');
    if (!this.#allStored(bytes, 0, bytes.length)) return false;
    this.#write(`${head}[${content}]},`);
    return true;
  }

  #allStored(bytes: Buffer, start: number, end: number): boolean {
    return everyContentId(bytes, start, end, (at) => {
      this.#id.write(bytes.toString('latin1', at, at + folderIdBytes), 'hex');
      return this.#index.has('data', this.#id);
    });
  }

  #write(text: string): void {
    this.#allTakenOver = false;
    this.#reserve(text.length * 3);
    this.#length += nodeBytes.write(text, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= nodeBytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.#length + bytes) * 2);
    nodeBytes.copy(larger, 0, 0, this.#length);
    nodeBytes = larger;
  }
}

/** Strict: size, times and inode must all be the same. */
function sameVersion(node: TreeNode, now: EntryAttributes): boolean {
  return (
    node.sizeBytes === now.sizeBytes &&
    node.mtimeNs === now.mtimeNs &&
    node.ctimeNs === now.ctimeNs &&
    node.inode === now.inode
  );
}

export function changedBetween(before: BigIntStats, after: BigIntStats): boolean {
  return before.ino !== after.ino || before.size !== after.size || before.mtimeNs !== after.mtimeNs;
}

/** Never follows a symbolic link and never waits for the other end of a FIFO that took a file's place. */
export function openForReading(path: Buffer): number {
  try {
    return openSync(path, openFlags | noAccessTime);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
    return openSync(path, openFlags);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
