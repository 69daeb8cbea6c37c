/** Collects stored packs and writes them as index files (restic format v2, "Index files"). */
import type { Clock } from '../base/clock.ts';
import { encodeIndex, type IndexedPack } from './format/index-file.ts';
import { type Repository, saveFile } from './repository.ts';

/** An index file is written at this many blobs … */
const maxBlobs = 50_000;
/** … or when the oldest pack in it has waited this long: what a killed run loses at most. */
const maxAgeMs = 5 * 60_000;

export class IndexWriter {
  readonly #repository: Repository;
  readonly #clock: Clock;
  #packs: IndexedPack[] = [];
  #blobs = 0;
  #oldestMs = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(repository: Repository, clock: Clock) {
    this.#repository = repository;
    this.#clock = clock;
  }

  /** Adds a pack whose upload has succeeded. */
  async add(pack: IndexedPack): Promise<void> {
    if (this.#packs.length === 0) this.#oldestMs = this.#clock.nowMs();
    this.#packs.push(pack);
    this.#blobs += pack.blobs.length;
    if (this.#blobs >= maxBlobs || this.#clock.nowMs() - this.#oldestMs >= maxAgeMs) await this.flush();
  }

  /** Writes what is collected and waits for all index files that are under way. */
  async flush(): Promise<void> {
    if (this.#packs.length > 0) {
      const packs = this.#packs;
      this.#packs = [];
      this.#blobs = 0;
      this.#writing = Promise.all([this.#writing, saveFile(this.#repository, 'index', encodeIndex(packs))]);
    }
    await this.#writing;
  }
}
