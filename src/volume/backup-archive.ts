/**
 * Backs up the tar archive of a folder as if the folder itself had been walked: entries become trees, contents chunks.
 * The archive is a stream that may break off; then nothing is saved.
 */
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { type ChunkerConfig, chunkerOf } from '../repository/chunker/chunker.ts';
import { ContentRuns } from '../repository/format/content-runs.ts';
import type { Repository } from '../repository/repository.ts';
import { ArchiveTree, type LeafContent } from './archive-tree.ts';
import type { EntryProblem } from './backup-jobs.ts';
import { type Place, storeGivenPlace } from './backup-place.ts';
import { type RunOptions, type RunTools, runBackup } from './backup-run.ts';
import { type BackupSummary, progressOf } from './backup-summary.ts';
import { ContentCutter } from './content-cutter.ts';
import { readTar, type TarMember } from './tar-reader.ts';

export interface ArchiveOptions extends RunOptions {
  /** What it is the archive of, for messages. */
  readonly name: string;
  /** Paths in it are relative to the folder, as `tar -C FOLDER .` makes them. */
  readonly archive: AsyncIterable<Uint8Array>;
  /** Default: the content becomes the root of the tree. */
  readonly place?: Place | undefined;
  /** Names of entries of the folder itself that are left out. */
  readonly leaveOut?: readonly string[];
  /** Told when the archive has come to its end, though the stream may go on to fill up its last record. */
  readonly onArchiveEnd?: () => void;
  /**
   * Asked once the archive was read, whole or not: how the program that made it has ended. What it throws ends the
   * backup, and says better than a broken archive why.
   */
  ending(): Promise<ArchiveEnding>;
}

export interface ArchiveEnding {
  /** What is not in the archive, and should be. */
  readonly problems: readonly EntryProblem[];
  readonly filesChangedWhileRead: number;
  readonly filesVanished: number;
}

const progressEveryBytes = 4 << 20;
/** Lists of blobs up to this length are kept as text. */
const textRuns = 256;

/** Throws STREAM_BROKEN for an archive that is not whole, what `ending` throws, and what runBackup throws. */
export function backupArchive(repository: Repository, options: ArchiveOptions): Promise<BackupSummary> {
  const chunker = chunkerOf(repository.config);
  return runBackup(repository, options, {
    parent: undefined,
    store: (tools) => new ArchiveStore(tools, chunker, options).store(),
  });
}

class ArchiveStore {
  readonly #tools: RunTools;
  readonly #options: ArchiveOptions;
  readonly #cutter: ContentCutter;
  readonly #tree: ArchiveTree;
  #reportedBytes = 0;

  constructor(tools: RunTools, chunker: ChunkerConfig, options: ArchiveOptions) {
    this.#tools = tools;
    this.#options = options;
    this.#cutter = new ContentCutter(tools, chunker);
    this.#tree = new ArchiveTree(tools.timeNs);
  }

  async store(): Promise<string> {
    const { walk, timeNs } = this.#tools;
    const { place, leaveOut = [] } = this.#options;
    await this.#readAll();
    const { problems, filesChangedWhileRead, filesVanished } = await this.#options.ending();
    walk.problems.push(...problems);
    walk.counts.changedWhileRead += filesChangedWhileRead;
    walk.counts.vanished += filesVanished;
    await this.#cutter.settle();
    this.#report();
    for (const name of leaveOut) this.#tree.leaveOut(name);
    const content = await this.#tree.store(walk);
    if (!place) return content;
    const attributes = { ...this.#tree.rootAttributes, name: Buffer.from(place.name) };
    return storeGivenPlace(walk, place, attributes, content, timeNs);
  }

  async #readAll(): Promise<void> {
    try {
      for await (const member of readTar(this.#options.archive, this.#options.onArchiveEnd)) await this.#add(member);
    } catch (error) {
      if (isHoldfastError(error) || this.#options.signal?.aborted) throw error;
      // How its maker ended is the reason, this only what came of it.
      await this.#options.ending();
      const context = { name: this.#options.name, reason: messageOf(error) };
      throw new HoldfastError('STREAM_BROKEN', context, { cause: error });
    }
  }

  async #add(member: TarMember): Promise<void> {
    const path = namesOf(member.path);
    switch (member.type) {
      case 'dir':
        this.#tree.addFolder(path, member);
        break;
      case 'link':
        if (!this.#tree.addLink(path, namesOf(member.target))) {
          const message = 'it is another name of a file that is not in the archive';
          this.#tools.walk.problems.push({ path: member.path.toString(), message });
        }
        break;
      case 'file':
        this.#tree.addLeaf(path, member, await this.#storeContent(member));
        this.#tools.walk.counts.filesNew++;
        break;
      default:
        this.#tree.addLeaf(path, member, null);
        this.#tools.walk.counts.filesNew++;
    }
  }

  async #storeContent(member: TarMember): Promise<LeafContent> {
    for await (const piece of member.content) {
      if (typeof piece === 'number') await this.#cutter.takeZeros(piece);
      else await this.#cutter.take(piece);
      if (this.#tools.walk.counts.bytesProcessed - this.#reportedBytes >= progressEveryBytes) this.#report();
    }
    const content = await this.#cutter.finishFile();
    if (content.length <= textRuns) return Buffer.concat([...content.json()]).toString('latin1');
    const own = new ContentRuns();
    own.append(content.packed());
    return own;
  }

  #report(): void {
    const { walk } = this.#tools;
    this.#reportedBytes = walk.counts.bytesProcessed;
    this.#options.onProgress?.(progressOf(walk));
  }
}

/** The names of a path as latin1; none for the folder itself. A path that leads out of it is no path of an archive. */
function namesOf(path: Buffer): string[] {
  const text = path.toString('latin1');
  const names = text.split('/').filter((name) => name !== '' && name !== '.');
  if (text.startsWith('/') || text === '' || names.includes('..')) {
    throw new Error(`the path "${path.toString()}" leads out of its folder`);
  }
  return names;
}
