/**
 * Turns files into jobs by pack, in the order in which packs are first used, while the trees are still being read.
 * What is planned but not yet sent is bounded; a pack that is needed again later gets another job.
 */
import type { TreeNode } from '../repository/format/tree.ts';
import type { FoundBlob, LoadedIndex } from '../repository/load-index.ts';
import { JobBuilder, plainLength, type RestoreJob } from './restore-job.ts';
import type { SplitFiles } from './restore-split.ts';

/** A job is sent when it reaches one of these. */
const jobStoredBytes = 4 << 20;
const jobWrittenBytes = 32 << 20;
const jobWeight = 1024;
/** Files and uses in all open jobs: some 500 bytes each. */
const openWeightLimit = 64 << 10;
/** A larger file is written by several jobs. */
const wholeFileLimitBytes = 8 << 20;

export interface PlanContext {
  readonly index: LoadedIndex;
  readonly splits: SplitFiles;
  /** Waits while the threads have enough to do. */
  readonly submit: (job: RestoreJob) => Promise<void>;
}

interface Measure {
  readonly sizeBytes: number;
  /** The pack that holds all blobs; undefined when there are several, '' when there are no blobs. */
  readonly packId: string | undefined;
}

export class RestorePlan {
  readonly #context: PlanContext;
  readonly #open = new Map<string, JobBuilder>();
  #openWeight = 0;
  #jobCount = 0;

  constructor(context: PlanContext) {
    this.#context = context;
  }

  /** Throws an Error that names the blob when the index does not know one of the file's blobs. */
  async addFile(folder: Buffer, node: TreeNode): Promise<void> {
    const content = node.content ?? [];
    const [onlyId] = content;
    if (onlyId !== undefined && content.length === 1) {
      const found = this.#find(onlyId);
      await this.#addWhole(folder, node, { sizeBytes: plainLength(found), packId: found.packId }, [found]);
      return;
    }
    const measure = this.#measure(content);
    const isWhole = measure.packId !== undefined && measure.sizeBytes <= wholeFileLimitBytes;
    if (isWhole)
      await this.#addWhole(
        folder,
        node,
        measure,
        content.map((id) => this.#find(id)),
      );
    else await this.#addSplit(folder, node, measure.sizeBytes);
  }

  /** Sends what is left. */
  async finish(): Promise<void> {
    for (const builder of [...this.#open.values()]) await this.#send(builder);
  }

  #measure(content: readonly string[]): Measure {
    let sizeBytes = 0;
    let packId: string | undefined = '';
    for (const id of content) {
      const found = this.#find(id);
      if (packId === '') packId = found.packId;
      else if (packId !== found.packId) packId = undefined;
      sizeBytes += plainLength(found);
    }
    return { sizeBytes, packId };
  }

  async #addWhole(folder: Buffer, node: TreeNode, measure: Measure, blobs: readonly FoundBlob[]): Promise<void> {
    const { sizeBytes, packId = '' } = measure;
    const builder = this.#builderOf(packId);
    const file = builder.addFile({ folder, node, sizeBytes, isWhole: true, splitNumber: -1 });
    let position = 0;
    blobs.forEach((found, index) => {
      builder.addUse(node.content![index]!, found, file, position);
      position += plainLength(found);
    });
    this.#openWeight += 1 + blobs.length;
    await this.#sendWhatIsFull(builder);
  }

  /** The file is there, empty, before the first job writes into it. */
  async #addSplit(folder: Buffer, node: TreeNode, sizeBytes: number): Promise<void> {
    const { splits } = this.#context;
    const splitNumber = splits.create(folder, node, sizeBytes);
    const split = { folder, node, sizeBytes, isWhole: false, splitNumber };
    const fileNumbers = new WeakMap<JobBuilder, number>();
    let position = 0;
    for (const id of node.content ?? []) {
      const found = this.#find(id);
      const builder = this.#builderOf(found.packId);
      let file = fileNumbers.get(builder);
      if (file === undefined) {
        file = builder.addFile(split);
        fileNumbers.set(builder, file);
        splits.expectJob(splitNumber);
        this.#openWeight += 1;
      }
      builder.addUse(id, found, file, position);
      this.#openWeight += 1;
      position += plainLength(found);
      await this.#sendWhatIsFull(builder);
    }
    splits.allPlanned(splitNumber);
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
    await this.#context.submit(builder.build(this.#jobCount++));
  }
}
