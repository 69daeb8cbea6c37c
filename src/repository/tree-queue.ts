/**
 * The trees that a walk has met and not read yet, by the pack in which they lie: those of one pack are read together,
 * as a pack is fetched whole. Several readers take from one queue, and what they read brings more.
 */
export class TreeQueue<Tree> {
  readonly #waiting = new Map<string, Tree[]>();
  /** The keys of #waiting in the order in which they came. */
  readonly #packs: string[] = [];
  #packsInWork = 0;
  #waitingCount = 0;
  #ended = false;
  #changed = Promise.withResolvers<void>();

  /** How many wait to be read. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  add(packId: string, tree: Tree): void {
    this.#waitingCount += 1;
    const together = this.#waiting.get(packId);
    if (together) together.push(tree);
    else {
      this.#waiting.set(packId, [tree]);
      this.#packs.push(packId);
      this.#tellChange();
    }
  }

  /**
   * Hands every tree to `read`, several at a time, and ends when none is left and none can come any more. After an
   * error nothing more is begun; it is thrown when all that is under way has ended.
   */
  async drain(readersCount: number, read: (tree: Tree) => Promise<void>): Promise<void> {
    const ends = await Promise.allSettled(Array.from({ length: readersCount }, () => this.#readPacks(read)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** Lets nobody begin anything more. */
  end(): void {
    this.#ended = true;
    this.#tellChange();
  }

  async #readPacks(read: (tree: Tree) => Promise<void>): Promise<void> {
    for (let trees = await this.#takePack(); trees; trees = await this.#takePack()) {
      try {
        for (const tree of trees) {
          this.#waitingCount -= 1;
          await read(tree);
        }
      } catch (error) {
        this.end();
        throw error;
      } finally {
        this.#packsInWork -= 1;
        this.#tellChange();
      }
    }
  }

  /** The waiting trees of the pack met last, as it is the most likely to be in memory still. */
  async #takePack(): Promise<Tree[] | undefined> {
    while (!this.#ended) {
      const pack = this.#packs.pop();
      if (pack !== undefined) {
        const trees = this.#waiting.get(pack);
        this.#waiting.delete(pack);
        this.#packsInWork += 1;
        return trees;
      }
      if (this.#packsInWork === 0) return undefined;
      await this.#changed.promise;
    }
    return undefined;
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
