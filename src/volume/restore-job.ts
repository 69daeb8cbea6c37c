/**
 * What the main thread hands to the threads of a restore: the blobs that are needed of one pack, and the files they go into.
 * Columns of numbers instead of objects, so that a message costs the same for one file as for hundreds.
 */
import type { ExtendedAttribute, TreeNode } from '../repository/format/tree.ts';
import type { FoundBlob } from '../repository/load-index.ts';
import type { RestoredAttributes } from './write-attributes.ts';

/** How a job begins with a file: a new one, one in place of another, or the one that is there, whose content is compared. */
export type FileStart = 'make' | 'replace' | 'compare';

/** A file as the job sees it: `whole` is made, filled and finished by this job alone; of others the job writes its parts. */
export interface JobFile {
  /** Its path below the target, without slashes at its ends. */
  readonly folder: Buffer;
  readonly start: FileStart;
  readonly node: TreeNode;
  readonly sizeBytes: number;
  readonly isWhole: boolean;
  /** Number of the split file; -1 for a whole one. */
  readonly splitNumber: number;
}

export interface RestoreJob {
  readonly number: number;
  /** Nothing is fetched or written: what differs from the blobs is a failure. */
  readonly isCheck: boolean;
  /** '' where no file has content. */
  readonly packId: string;
  /** SHA-256 of each blob, 32 bytes each; blobs are in the order of the pack. */
  readonly blobIds: Uint8Array;
  /** Per blob: offset in the pack, sealed length, length before compression (0: stored as it is). */
  readonly blobSpans: Uint32Array;
  /** Per use of a blob, in the order of the blobs: blob, file. */
  readonly uses: Uint32Array;
  /** Per use: where the blob goes in the file. */
  readonly positions: Float64Array;
  readonly folders: readonly Uint8Array[];
  /** The names of all files, one after the other. */
  readonly names: Uint8Array;
  /** Per file: number of its folder, end of its name in `names`, mode, uid, gid, 1 when it is whole, number of its start. */
  readonly files: Uint32Array;
  readonly splitNumbers: Int32Array;
  readonly sizes: Float64Array;
  /** Per file: seconds and nanoseconds of mtime, then of atime. Years that 64 bits of nanoseconds cannot hold exist. */
  readonly times: Float64Array;
  /** Of the few files that have any, by number. */
  readonly attributes: ReadonlyMap<number, readonly ExtendedAttribute[]>;
}

/** What a thread answers. */
export interface JobResult {
  readonly number: number;
  readonly filesDone: number;
  /** Of them, those that were right already. */
  readonly filesUnchanged: number;
  readonly bytesWritten: number;
  /** Content that was there already. */
  readonly bytesUnchanged: number;
  /** Split files of which the job wrote its parts, as well or badly as it went; and whether it wrote anything. */
  readonly splits: readonly { readonly number: number; readonly hasWritten: boolean }[];
  readonly failures: readonly EntryFailure[];
}

/** An entry that is not restored completely, and why. */
export interface EntryFailure {
  /** Below the target, latin1. */
  readonly path: string;
  readonly message: string;
  /** Number of the split file; -1 for every other entry. */
  readonly splitNumber: number;
}

const fileColumns = 7;
const starts: readonly FileStart[] = ['make', 'replace', 'compare'];
const nanosecondsPerSecond = 1_000_000_000n;

interface PlannedBlob {
  readonly id: string;
  readonly found: FoundBlob;
  /** Pairs of file and position. */
  readonly uses: number[];
}

/** Collects one job. */
export class JobBuilder {
  readonly packId: string;
  /** By offset in the pack. */
  readonly #blobs = new Map<number, PlannedBlob>();
  readonly #files: JobFile[] = [];
  #storedBytes = 0;
  #writtenBytes = 0;
  #useCount = 0;

  constructor(packId: string) {
    this.packId = packId;
  }

  get storedBytes(): number {
    return this.#storedBytes;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Files and uses: what the job costs in memory until it is sent. */
  get weight(): number {
    return this.#useCount + this.#files.length;
  }

  get files(): readonly JobFile[] {
    return this.#files;
  }

  addFile(file: JobFile): number {
    return this.#files.push(file) - 1;
  }

  addUse(id: string, found: FoundBlob, file: number, position: number): void {
    let blob = this.#blobs.get(found.offset);
    if (!blob) {
      blob = { id, found, uses: [] };
      this.#blobs.set(found.offset, blob);
      this.#storedBytes += found.length;
    }
    blob.uses.push(file, position);
    this.#useCount += 1;
    this.#writtenBytes += plainLength(found);
  }

  build(number: number, isCheck = false): RestoreJob {
    const blobs = [...this.#blobs.values()].sort((a, b) => a.found.offset - b.found.offset);
    return {
      number,
      isCheck,
      packId: this.packId,
      ...blobColumns(blobs, this.#useCount),
      ...columnsOfFiles(this.#files),
    };
  }
}

/** The length of a blob's content. */
export function plainLength({ length, uncompressedLength }: FoundBlob): number {
  return uncompressedLength > 0 ? uncompressedLength : length - 32;
}

function blobColumns(blobs: readonly PlannedBlob[], useCount: number) {
  const blobIds = Buffer.alloc(32 * blobs.length);
  const blobSpans = new Uint32Array(3 * blobs.length);
  const uses = new Uint32Array(2 * useCount);
  const positions = new Float64Array(useCount);
  let use = 0;
  blobs.forEach((blob, index) => {
    blobIds.write(blob.id, 32 * index, 'hex');
    blobSpans.set([blob.found.offset, blob.found.length, blob.found.uncompressedLength], 3 * index);
    for (let i = 0; i < blob.uses.length; i += 2) {
      uses[2 * use] = index;
      uses[2 * use + 1] = blob.uses[i]!;
      positions[use] = blob.uses[i + 1]!;
      use += 1;
    }
  });
  return { blobIds, blobSpans, uses, positions };
}

function columnsOfFiles(planned: readonly JobFile[]) {
  const folderNumbers = new Map<Buffer, number>();
  const files = new Uint32Array(fileColumns * planned.length);
  const splitNumbers = new Int32Array(planned.length);
  const sizes = new Float64Array(planned.length);
  const times = new Float64Array(4 * planned.length);
  const attributes = new Map<number, readonly ExtendedAttribute[]>();
  let nameEnd = 0;
  planned.forEach(({ folder, node, start, sizeBytes, isWhole, splitNumber }, index) => {
    let folderNumber = folderNumbers.get(folder);
    if (folderNumber === undefined) {
      folderNumber = folderNumbers.size;
      folderNumbers.set(folder, folderNumber);
    }
    nameEnd += node.name.length;
    const at = fileColumns * index;
    files[at] = folderNumber;
    files[at + 1] = nameEnd;
    files[at + 2] = node.mode;
    files[at + 3] = node.uid;
    files[at + 4] = node.gid;
    files[at + 5] = isWhole ? 1 : 0;
    files[at + 6] = starts.indexOf(start);
    splitNumbers[index] = splitNumber;
    sizes[index] = sizeBytes;
    putTime(times, 4 * index, node.mtimeNs);
    if (node.atimeNs === node.mtimeNs) times.copyWithin(4 * index + 2, 4 * index, 4 * index + 2);
    else putTime(times, 4 * index + 2, node.atimeNs);
    if (isWhole && node.extendedAttributes.length > 0) attributes.set(index, node.extendedAttributes);
  });
  const names = Buffer.concat(
    planned.map(({ node }) => node.name),
    nameEnd,
  );
  return { folders: [...folderNumbers.keys()], names, files, splitNumbers, sizes, times, attributes };
}

function putTime(times: Float64Array, at: number, timeNs: bigint): void {
  const seconds = timeNs / nanosecondsPerSecond;
  times[at] = Number(seconds);
  times[at + 1] = Number(timeNs - seconds * nanosecondsPerSecond);
}

function timeAt(times: Float64Array, at: number): bigint {
  return BigInt(times[at]!) * nanosecondsPerSecond + BigInt(times[at + 1]!);
}

/** Reads the columns of a job that arrived in a thread. */
export class JobFiles {
  readonly #job: RestoreJob;
  readonly #folders: readonly string[];
  readonly count: number;

  constructor(job: RestoreJob) {
    this.#job = job;
    this.#folders = job.folders.map((folder) => Buffer.from(folder).toString('latin1'));
    this.count = job.splitNumbers.length;
  }

  /** Below the target, latin1. */
  folder(file: number): string {
    return this.#folders[this.#job.files[fileColumns * file]!]!;
  }

  name(file: number): Buffer {
    const { files, names } = this.#job;
    const start = file === 0 ? 0 : files[fileColumns * (file - 1) + 1]!;
    const end = files[fileColumns * file + 1]!;
    return Buffer.from(names.buffer, names.byteOffset + start, end - start);
  }

  start(file: number): FileStart {
    return starts[this.#job.files[fileColumns * file + 6]!] ?? 'make';
  }

  isWhole(file: number): boolean {
    return this.#job.files[fileColumns * file + 5] === 1;
  }

  splitNumber(file: number): number {
    return this.#job.splitNumbers[file]!;
  }

  sizeBytes(file: number): number {
    return this.#job.sizes[file]!;
  }

  attributes(file: number): RestoredAttributes {
    const { files, times, attributes } = this.#job;
    const at = fileColumns * file;
    const mtimeNs = timeAt(times, 4 * file);
    const sameTimes = times[4 * file] === times[4 * file + 2] && times[4 * file + 1] === times[4 * file + 3];
    return {
      type: 'file',
      mode: files[at + 2]!,
      uid: files[at + 3]!,
      gid: files[at + 4]!,
      mtimeNs,
      atimeNs: sameTimes ? mtimeNs : timeAt(times, 4 * file + 2),
      extendedAttributes: attributes.get(file) ?? [],
    };
  }
}
