/**
 * Turns files into jobs by pack, in the order in which packs are first used, while the trees are still being read.
 * What is planned but not yet sent is bounded; a pack that is needed again later gets another job.
 */
import { type ContentRun, type ContentRuns, runsOf } from '../repository/format/content-runs.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import type { FoundBlob, LoadedIndex } from '../repository/load-index.ts';
import { ZeroBlobs } from '../repository/zero-blobs.ts';
import { type FileStart, JobBuilder, type JobFile, plainLength, type RestoreJob } from './restore-job.ts';
import type { SplitFiles } from './restore-split.ts';

/** A job is sent when it reaches one of these. */
const jobStoredBytes = 4 << 20;
const jobWrittenBytes = 32 << 20;
const jobWeight = 1024;
/** Files and uses in all open jobs: some 500 bytes each. */
const openWeightLimit = 64 << 10;
/** A larger file is written by several jobs. */
const wholeFileLimitBytes = 8 << 20;

/** Runs of zeros from this length on are made as holes at once, without a job. */
const longZerosBytes = 1 << 20;

/** A node whose long content is beside it. */
export type FileNode = TreeNode & { readonly longContent?: ContentRuns };

export interface PlanContext {
  readonly index: LoadedIndex;
  /** undefined: the jobs only check. */
  readonly splits: SplitFiles | undefined;
  /** Whether a range of a file is a hole; for jobs that only check. */
  readonly isHole?: (folder: string, node: TreeNode, offset: number, lengthBytes: number) => boolean;
  /** Content that is restored without a job. */
  readonly onZeros?: (lengthBytes: number) => void;
  /** Waits while the threads have enough to do. */
  readonly submit: (job: RestoreJob) => Promise<void>;
}

interface PlannedFile {
  readonly folder: Buffer;
  readonly node: FileNode;
  readonly start: FileStart;
}

interface Run {
  readonly jobFile: JobFile;
  readonly folder: string;
  readonly id: string;
  readonly position: number;
  readonly lengthBytes: number;
  readonly count: number;
}

interface Measure {
  readonly sizeBytes: number;
  /** The pack that holds all blobs; undefined when there are several, '' when there are no blobs. */
  readonly packId: string | undefined;
}

export class RestorePlan {
  readonly #context: PlanContext;
  readonly #open = new Map<string, JobBuilder>();
  readonly #zeros = new ZeroBlobs();
  #openWeight = 0;
  #jobCount = 0;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  /** `folder` is its path below the target, latin1. Throws an Error that names the blob when the index does not know one of the file's blobs. */
  async addFile(folder: Buffer, node: FileNode, start: FileStart): Promise<void> {
    const [onlyId] = node.content ?? [];
    if (onlyId !== undefined && node.content?.length === 1) {
      const found = this.#find(onlyId);
      const measure = { sizeBytes: plainLength(found), packId: found.packId };
      await this.#addWhole({ folder, node, start }, measure, [found]);
      return;
    }
    const measure = this.#measure(node);
    const isWhole = measure.packId !== undefined && measure.sizeBytes <= wholeFileLimitBytes;
    if (!isWhole) return this.#addSplit({ folder, node, start }, measure.sizeBytes);
    const blobs = (node.content ?? []).map((id) => this.#find(id));
    return this.#addWhole({ folder, node, start }, measure, blobs);
  }

  /** Sends what is left. */
  async finish(): Promise<void> {
    for (const builder of [...this.#open.values()]) await this.#send(builder);
  }

  #measure(node: FileNode): Measure {
    let sizeBytes = 0;
    let packId: string | undefined = node.longContent ? undefined : '';
    for (const { id, count } of contentOf(node)) {
      const found = this.#find(id);
      if (packId === '') packId = found.packId;
      else if (packId !== found.packId) packId = undefined;
      sizeBytes += count * plainLength(found);
    }
    return { sizeBytes, packId };
  }

  async #addWhole(file: PlannedFile, measure: Measure, blobs: readonly FoundBlob[]): Promise<void> {
    const { sizeBytes, packId = '' } = measure;
    const builder = this.#builderOf(packId);
    const number = builder.addFile({ ...file, sizeBytes, isWhole: true, splitNumber: -1 });
    let position = 0;
    blobs.forEach((found, index) => {
      builder.addUse(file.node.content![index]!, found, number, position);
      position += plainLength(found);
    });
    this.#openWeight += 1 + blobs.length;
    await this.#sendWhatIsFull(builder);
  }

  /** The file is there, empty, before the first job writes into it. */
  async #addSplit(file: PlannedFile, sizeBytes: number): Promise<void> {
    const { splits } = this.#context;
    const folder = file.folder.toString('latin1');
    const split = splits?.create(folder, file.node, sizeBytes, file.start);
    const splitNumber = split?.number ?? -1;
    const jobFile = { ...file, start: split?.start ?? file.start, sizeBytes, isWhole: false, splitNumber };
    const fileNumbers = new WeakMap<JobBuilder, number>();
    let position = 0;
    for (const { id, count } of contentOf(file.node)) {
      const found = this.#find(id);
      const lengthBytes = plainLength(found);
      if (this.#isMadeHole({ jobFile, folder, id, position, lengthBytes, count })) {
        position += count * lengthBytes;
        continue;
      }
      for (let time = 0; time < count; time++) {
        const builder = this.#builderOf(found.packId);
        let number = fileNumbers.get(builder);
        if (number === undefined) {
          number = builder.addFile(jobFile);
          fileNumbers.set(builder, number);
          splits?.expectJob(splitNumber);
          this.#openWeight += 1;
        }
        builder.addUse(id, found, number, position);
        this.#openWeight += 1;
        position += lengthBytes;
        await this.#sendWhatIsFull(builder);
      }
    }
    splits?.allPlanned(splitNumber);
  }

  /** A long run of zeros needs no blob. */
  #isMadeHole({ jobFile, folder, id, position, lengthBytes, count }: Run): boolean {
    const { splits, isHole, onZeros } = this.#context;
    const runBytes = count * lengthBytes;
    if (count === 1 || runBytes < longZerosBytes || !this.#zeros.has(id, lengthBytes)) return false;
    if (!splits) return isHole?.(folder, jobFile.node, position, runBytes) ?? false;
    if (!splits.makeHole(jobFile.splitNumber, position, runBytes)) return false;
    onZeros?.(runBytes);
    return true;
  }

  #find(id: string): FoundBlob {
    const found = this.#context.index.find('data', id);
    if (!found) throw new Error(`its blob ${id} is not in the index of the repository`);
    return found;
  }

  #builderOf(packId: string): JobBuilder {
    let builder = this.#open.get(packId);
    if (!builder) {
      builder = new JobBuilder(packId);
      this.#open.set(packId, builder);
    }
    return builder;
  }

  /** The builder, when it is; and the oldest ones while there is too much open. */
  async #sendWhatIsFull(builder: JobBuilder): Promise<void> {
    const { storedBytes, writtenBytes, weight } = builder;
    if (storedBytes >= jobStoredBytes || writtenBytes >= jobWrittenBytes || weight >= jobWeight)
      await this.#send(builder);
    while (this.#openWeight > openWeightLimit) {
      const [oldest] = this.#open.values();
      if (!oldest) return;
      await this.#send(oldest);
    }
  }

  async #send(builder: JobBuilder): Promise<void> {
    this.#open.delete(builder.packId);
    this.#openWeight -= builder.weight;
    await this.#context.submit(builder.build(this.#jobCount++, this.#context.splits === undefined));
  }
}

/** The blobs of a file in their order. */
export function contentOf({ content, longContent }: FileNode): Iterable<ContentRun> {
  return longContent ?? runsOf(content ?? []);
}
