/**
 * Folders below a root, held open, so that what is in them is named by one short path: that of the descriptor in /proc and
 * the name. No link is ever followed on the way down, also none that somebody puts there meanwhile, and folders may lie
 * deeper than the 4096 bytes that Linux allows in a path.
 */
import { chmodSync, closeSync, constants, fstatSync, openSync } from 'node:fs';

/** Linux: only to go on from there; needs no right to read. Node has no name for it. */
const pathOnly = 0o10000000;
const folderFlags = pathOnly | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Each thread has its own; all of them together stay far below what a process may open. */
const mostOpen = 48;
const slash = 0x2f;

interface OpenFolder {
  readonly fd: number;
  /** `/proc/self/fd/N/` */
  readonly prefix: Buffer;
}

/** Paths are latin1, relative to the root, which is ''. */
export class OpenFolders {
  readonly #root: OpenFolder;
  /** The one that was used last is at the end. */
  readonly #open = new Map<string, OpenFolder>();
  #last: { readonly path: string; readonly folder: OpenFolder };

  /** The root's descriptor stays the caller's. */
  constructor(rootFd: number) {
    this.#root = opened(rootFd);
    this.#last = { path: '', folder: this.#root };
  }

  /** A path under which the entry can be used until the next call. Throws where the folder is not there, or a link. */
  entry(folder: string, name: Buffer): Buffer {
    const { prefix } = this.#folder(folder);
    const path = Buffer.allocUnsafe(prefix.length + name.length);
    prefix.copy(path);
    name.copy(path, prefix.length);
    return path;
  }

  /** A path of the folder itself, likewise. */
  itself(folder: string): Buffer {
    return this.entry(folder, Buffer.from('.'));
  }

  /** The folder held open on its own, only to go on from there; to be closed by the caller. */
  open(folder: string): number {
    return openSync(this.itself(folder), pathOnly | constants.O_DIRECTORY);
  }

  /** To be called when a folder was removed. */
  forget(folder: string): void {
    const known = this.#open.get(folder);
    if (!known) return;
    this.#open.delete(folder);
    closeSync(known.fd);
    if (this.#last.path === folder) this.#last = { path: '', folder: this.#root };
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#last = { path: '', folder: this.#root };
  }

  #folder(path: string): OpenFolder {
    if (path === this.#last.path) return this.#last.folder;
    const known = this.#known(path);
    const folder = known ?? this.#openBelow(path);
    this.#last = { path, folder };
    return folder;
  }

  #known(path: string): OpenFolder | undefined {
    if (path === '') return this.#root;
    const known = this.#open.get(path);
    if (!known) return undefined;
    this.#open.delete(path);
    this.#open.set(path, known);
    return known;
  }

  /** From the nearest folder above that is open, down by one name after the other. */
  #openBelow(path: string): OpenFolder {
    let end = path.length;
    let folder: OpenFolder | undefined;
    while (!folder) {
      end = Math.max(0, path.lastIndexOf('/', end - 1));
      folder = this.#known(path.slice(0, end));
    }
    while (end < path.length) {
      const start = end === 0 ? 0 : end + 1;
      const next = path.indexOf('/', start);
      end = next < 0 ? path.length : next;
      const name = Buffer.from(path.slice(start, end), 'latin1');
      folder = opened(openSync(Buffer.concat([folder.prefix, name]), folderFlags));
      this.#open.set(path.slice(0, end), folder);
      this.#closeOldest();
    }
    return folder;
  }

  #closeOldest(): void {
    if (this.#open.size <= mostOpen) return;
    const [oldest] = this.#open;
    if (!oldest) return;
    this.#open.delete(oldest[0]);
    closeSync(oldest[1].fd);
  }
}

function opened(fd: number): OpenFolder {
  return { fd, prefix: Buffer.from(`/proc/self/fd/${fd}/`) };
}

/** `a/b`; of a folder that is the root, only the name. */
export function joinBelow(folder: string, name: Buffer): string {
  const text = name.toString('latin1');
  return folder === '' ? text : `${folder}/${text}`;
}

/** The bytes of `/target/a/b`, for people. */
export function joinShown(target: string, path: string): Buffer {
  return path === ''
    ? Buffer.from(target)
    : Buffer.concat([Buffer.from(target), Buffer.of(slash), Buffer.from(path, 'latin1')]);
}

/** chmod that follows no link: there is no such call for a path. */
export function changeMode(path: Buffer, permissions: number): void {
  const fd = openSync(path, pathOnly | constants.O_NOFOLLOW);
  try {
    if (fstatSync(fd).isSymbolicLink())
      throw Object.assign(new Error('ELOOP: it became a symbolic link'), { code: 'ELOOP' });
    chmodSync(`/proc/self/fd/${fd}`, permissions);
  } finally {
    closeSync(fd);
  }
}

/** Without the paths of descriptors, which mean nothing to anybody. */
export function withoutHandles(message: string): string {
  return message.replace(/ '\/proc\/self\/fd\/.*$/s, '');
}
