/**
 * A repository in a folder, in restic's local layout. A file is written under a temporary name beside its place, made
 * durable, and then linked to its name, which the file system does for one writer only; a crash leaves at most a
 * temporary file, which no reader takes for one of the repository's.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HoldfastError } from '../base/errors.ts';
import { alreadyThere, filePath, fileTypes, kindOf } from './file-path.ts';
import { againWhenShaken, errnoOf, folderError } from './folder-errors.ts';
import * as files from './folder-files.ts';
import { rangeWithin, tooShort } from './range.ts';
import type { FileType, Leftovers, Range, Store, StoredFile } from './store.ts';

/** What must be gone for good before the next step of a prune or forget may rely on it. */
const durablyRemoved: ReadonlySet<FileType> = new Set(['config', 'keys', 'index', 'snapshots']);

/** Permission bits of files and folders. */
interface Modes {
  readonly file: number;
  readonly folder: number;
}

export function openFolderStore(path: string, url = path): Store {
  return new FolderStore(path, url);
}

class FolderStore implements Store {
  readonly url: string;
  readonly uploadsAtOnce = 2;
  readonly listsAtOnce = true;
  readonly #root: string;
  #modes: Modes | undefined;

  constructor(root: string, url: string) {
    this.#root = root;
    this.url = url;
  }

  put(type: FileType, name: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(type, name);
    return this.#named('writing', type, name, async () => {
      if (await this.#isThere(type, name, bytes.length)) return;
      if (type === 'config') await this.#makeFolders();
      const temporary = `${path}-tmp-${randomBytes(8).toString('hex')}`;
      await this.#writeWhole(type, temporary, bytes);
      try {
        const isMine = await files.linkOnce(temporary, path);
        // Another writer was faster, which is fine where it wrote the same.
        if (!isMine && !(await this.#isThere(type, name, bytes.length))) {
          const reason = 'it was made and removed by somebody else meanwhile';
          throw new HoldfastError('STORE_FAILED', { operation: `writing ${path}`, url: this.url, reason });
        }
      } finally {
        await files.removeIfThere(temporary);
      }
      await files.syncFolder(dirname(path));
    });
  }

  get(type: FileType, name: string, range?: Range): Promise<Buffer> {
    const path = this.#path(type, name);
    return this.#named('reading', type, name, async () => {
      const file = await openIfThere(path);
      if (!file) throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf(type), name });
      try {
        const wanted = rangeWithin((await file.stat()).size, range, type, name);
        const bytes = await files.readUpTo(file, wanted.offset, wanted.length);
        if (bytes.length < wanted.length) throw tooShort(wanted, type, name);
        return bytes;
      } finally {
        await file.close();
      }
    });
  }

  stat(type: FileType, name: string): Promise<StoredFile | undefined> {
    const path = this.#path(type, name);
    return this.#named('looking for', type, name, async () => {
      const stats = await files.statIfThere(path);
      return stats?.isFile() ? { name, sizeBytes: stats.size, modifiedMs: stats.mtimeMs } : undefined;
    });
  }

  async *list(type: FileType): AsyncIterable<StoredFile> {
    const folder = join(this.#root, type);
    if (type === 'config') {
      const config = await this.stat('config', 'config');
      if (config) yield config;
    } else if (type === 'data') {
      const names = await this.#named('listing', type, '', () => files.namesIn(folder));
      for (const name of names.filter(isPackFolder).sort()) {
        const packs = await this.#named('listing', type, name, () => files.filesIn(join(folder, name)));
        yield* packs.filter((pack) => pack.name.startsWith(name));
      }
    } else {
      yield* await this.#named('listing', type, '', () => files.filesIn(folder));
    }
  }

  remove(type: FileType, name: string): Promise<void> {
    const path = this.#path(type, name);
    return this.#named('removing', type, name, async () => {
      const wasThere = await files.removeIfThere(path);
      if (wasThere && durablyRemoved.has(type)) await files.syncFolder(dirname(path));
    });
  }

  replaceConfig(bytes: Uint8Array): Promise<void> {
    const path = this.#path('config', 'config');
    return this.#named('replacing', 'config', 'config', async () => {
      if (!(await files.statIfThere(path))) {
        throw new HoldfastError('FILE_NOT_FOUND', { kind: kindOf('config'), name: 'config' });
      }
      const temporary = `${path}-tmp-${randomBytes(8).toString('hex')}`;
      await this.#writeWhole('config', temporary, bytes);
      try {
        await rename(temporary, path);
      } finally {
        await files.removeIfThere(temporary);
      }
      await files.syncFolder(dirname(path));
    });
  }

  async sweepLeftovers({ olderThanMs, remove }: { olderThanMs: number; remove: boolean }): Promise<Leftovers> {
    const untilMs = Date.now() - olderThanMs;
    const folders = fileTypes.map((type) => (type === 'config' ? this.#root : join(this.#root, type)));
    const data = join(this.#root, 'data');
    const packs = await this.#named('listing', 'data', '', () => files.namesIn(data));
    folders.push(...packs.filter(isPackFolder).map((name) => join(data, name)));
    let [count, bytes] = [0, 0];
    for (const folder of folders) {
      const found = await this.#named('listing', 'data', '', () => files.leftoversIn(folder));
      for (const { path, sizeBytes, modifiedMs } of found) {
        if (modifiedMs > untilMs) continue;
        if (remove) await this.#named('removing', 'data', basename(path), () => files.removeIfThere(path));
        count += 1;
        bytes += sizeBytes;
      }
    }
    return { files: count, bytes };
  }

  async close(): Promise<void> {}

  #path(type: FileType, name: string): string {
    return join(this.#root, filePath(type, name));
  }

  /** Runs a step and says, where it fails, what it was about. */
  async #named<T>(verb: string, type: FileType, name: string, step: () => Promise<T>): Promise<T> {
    try {
      return await againWhenShaken(step);
    } catch (error) {
      throw folderError(error, { url: this.url, verb, name: `${kindOf(type)} ${name}`.trim() });
    }
  }

  async #isThere(type: FileType, name: string, sizeBytes: number): Promise<boolean> {
    const stats = await files.statIfThere(this.#path(type, name));
    return stats ? alreadyThere(this.url, type, name, sizeBytes, stats.size) : false;
  }

  /** Leaves nothing behind when it throws. */
  async #writeWhole(type: FileType, temporary: string, bytes: Uint8Array): Promise<void> {
    const modes = await this.#modesOfRepository();
    const file = await this.#openNew(type, temporary, modes);
    try {
      try {
        await files.writeAll(file, bytes);
        await file.chmod(modes.file);
        await file.sync();
      } finally {
        // Network file systems may report a full disk only here.
        await file.close();
      }
    } catch (error) {
      await files.removeIfThere(temporary);
      throw error;
    }
  }

  async #openNew(type: FileType, path: string, modes: Modes): Promise<FileHandle> {
    const create = () => open(path, 'wx', 0o600);
    try {
      return await create();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await this.#makeFolder(dirname(path), modes, type);
      return await create();
    }
  }

  /** All folders of a new repository, as restic makes them. */
  async #makeFolders(): Promise<void> {
    const modes = await this.#modesOfRepository();
    for (const name of ['keys', 'snapshots', 'index', 'locks', 'data']) {
      await this.#makeFolder(join(this.#root, name), modes, 'config');
    }
    const data = join(this.#root, 'data');
    for (let first = 0; first < 256; first += 1) {
      await files.mkdirIfMissing(join(data, first.toString(16).padStart(2, '0')), modes.folder);
    }
    await files.syncFolder(data);
  }

  /**
   * Makes a folder and those between it and the root. The root itself is made only for the first files of a repository:
   * when it vanishes later, as an unmounted disk does, a backup must not go on in an empty folder.
   */
  async #makeFolder(folder: string, modes: Modes, firstFile: FileType): Promise<void> {
    if (folder === this.#root) {
      if (firstFile !== 'config' && firstFile !== 'keys') {
        throw new HoldfastError('STORE_MISSING', { url: this.url, reason: 'there is no such folder' });
      }
      const firstMade = await mkdir(folder, { recursive: true, mode: modes.folder });
      if (firstMade !== undefined) await files.syncFolder(dirname(firstMade));
      return;
    }
    const make = async () => {
      if (await files.mkdirIfMissing(folder, modes.folder)) await files.syncFolder(dirname(folder));
    };
    try {
      await make();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      await this.#makeFolder(dirname(folder), modes, firstFile);
      await make();
    }
  }

  /** Files and folders are the owner's, and the group's too where it may read the config, as with restic. */
  async #modesOfRepository(): Promise<Modes> {
    if (this.#modes) return this.#modes;
    const config = await files.statIfThere(join(this.#root, 'config'));
    const isShared = config !== undefined && (config.mode & 0o040) !== 0;
    const modes = isShared ? { file: 0o440, folder: 0o770 } : { file: 0o400, folder: 0o700 };
    if (config) this.#modes = modes;
    return modes;
  }
}

function isPackFolder(name: string): boolean {
  return /^[0-9a-f]{2}$/.test(name);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
