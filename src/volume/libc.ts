/**
 * The calls of the C library that Node has no function for: extended attributes, times to the nanosecond, device nodes.
 * Through koffi, about 1.5 µs a call. Paths are bytes without a final NUL; no call follows a symbolic link. Where an entry can
 * also be named by a file descriptor, that must be open for more than its path (not O_PATH).
 * Failures are thrown as Node's own file system errors are: with code, syscall and path.
 */
import { createRequire } from 'node:module';
import { HoldfastError, messageOf } from '../base/errors.ts';

interface Calls {
  readonly llistxattr: (path: Buffer, list: Buffer, size: number) => number;
  readonly lgetxattr: (path: Buffer, name: Buffer, value: Buffer, size: number) => number;
  readonly lsetxattr: (path: Buffer, name: Buffer, value: Buffer, size: number, flags: number) => number;
  readonly lremovexattr: (path: Buffer, name: Buffer) => number;
  readonly flistxattr: (fd: number, list: Buffer, size: number) => number;
  readonly fgetxattr: (fd: number, name: Buffer, value: Buffer, size: number) => number;
  readonly fsetxattr: (fd: number, name: Buffer, value: Buffer, size: number, flags: number) => number;
  readonly fremovexattr: (fd: number, name: Buffer) => number;
  readonly fallocate: (fd: number, mode: number, offset: number, length: number) => number;
  readonly lseek: (fd: number, offset: number, whence: number) => number;
  readonly fadvise: (fd: number, offset: number, length: number, advice: number) => number;
  readonly utimensat: (directory: number, path: Buffer, times: BigInt64Array, flags: number) => number;
  readonly futimens: (fd: number, times: BigInt64Array) => number;
  readonly mkfifo: (path: Buffer, mode: number) => number;
  readonly mknod: (path: Buffer, mode: number, device: number) => number;
  readonly statx: (directory: number, path: Buffer, flags: number, mask: number, result: Buffer) => number;
  readonly openat: (directory: number, path: Buffer, flags: number) => number;
  readonly syncfs: { async(fd: number, done: (error: unknown, result: number) => void): void };
  readonly errno: () => number;
  /** Name of each error number of this system. */
  readonly errorNames: ReadonlyMap<number, string>;
}

const pathMaxBytes = 4096;
/** Linux allows 64 KiB for the list of names and for one value. */
const attributeMaxBytes = 65536;
/** Stands for a folder in calls that take one, where paths are not below another. */
export const workingDirectory = -100;
const atSymlinkNoFollow = 0x100;
const atNoAutomount = 0x800;
const atEmptyPath = 0x1000;
/** Everything that stat tells, too. */
const basicStatus = 0x7ff;
const closeOnExec = 0o2000000;
/** FALLOC_FL_PUNCH_HOLE with FALLOC_FL_KEEP_SIZE. */
const punchHoleKeepSize = 0x3;
const seekData = 3;
const adviceDontNeed = 4;
const nanosecondsPerSecond = 1_000_000_000n;

const pathScratch = Buffer.alloc(pathMaxBytes);
const valueScratch = Buffer.alloc(attributeMaxBytes);
/** Two timespec {seconds, nanoseconds}: access, modification. */
const timesScratch = new BigInt64Array(4);
const noNames: readonly string[] = [];

let loaded: Calls | undefined;

function calls(): Calls {
  loaded ??= load();
  return loaded;
}

function load(): Calls {
  if (process.platform !== 'linux') {
    throw new HoldfastError('PLATFORM_UNSUPPORTED', { reason: `it runs ${process.platform}, not Linux` });
  }
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load(null);
    return {
      llistxattr: library.func('llistxattr', 'int64_t', ['const void *', 'void *', 'size_t']),
      lgetxattr: library.func('lgetxattr', 'int64_t', ['const void *', 'const void *', 'void *', 'size_t']),
      lsetxattr: library.func('lsetxattr', 'int', ['const void *', 'const void *', 'const void *', 'size_t', 'int']),
      lremovexattr: library.func('lremovexattr', 'int', ['const void *', 'const void *']),
      flistxattr: library.func('flistxattr', 'int64_t', ['int', 'void *', 'size_t']),
      fgetxattr: library.func('fgetxattr', 'int64_t', ['int', 'const void *', 'void *', 'size_t']),
      fsetxattr: library.func('fsetxattr', 'int', ['int', 'const void *', 'const void *', 'size_t', 'int']),
      fremovexattr: library.func('fremovexattr', 'int', ['int', 'const void *']),
      fallocate: library.func('fallocate', 'int', ['int', 'int', 'int64_t', 'int64_t']),
      lseek: library.func('lseek', 'int64_t', ['int', 'int64_t', 'int']),
      fadvise: library.func('posix_fadvise', 'int', ['int', 'int64_t', 'int64_t', 'int']),
      utimensat: library.func('utimensat', 'int', ['int', 'const void *', 'const void *', 'int']),
      futimens: library.func('futimens', 'int', ['int', 'const void *']),
      mkfifo: library.func('mkfifo', 'int', ['const void *', 'uint32_t']),
      mknod: library.func('mknod', 'int', ['const void *', 'uint32_t', 'uint64_t']),
      statx: library.func('statx', 'int', ['int', 'const void *', 'int', 'uint32_t', 'void *']),
      openat: library.func('openat', 'int', ['int', 'const void *', 'int']),
      syncfs: library.func('syncfs', 'int', ['int']),
      errno: () => koffi.errno(),
      errorNames: new Map(Object.entries(koffi.os.errno).map(([name, value]) => [Number(value), name])),
    };
  } catch (error) {
    throw new HoldfastError('PLATFORM_UNSUPPORTED', { reason: messageOf(error) }, { cause: error });
  }
}

/** An entry by its path, or by its open file. */
export type EntryHandle = Buffer | number;

/** Names in the order of the file system. File systems without attributes have none. */
export function listAttributeNames(entry: EntryHandle): readonly string[] {
  const { llistxattr, flistxattr } = calls();
  const length =
    typeof entry === 'number'
      ? flistxattr(entry, valueScratch, attributeMaxBytes)
      : llistxattr(terminated(entry), valueScratch, attributeMaxBytes);
  if (length === 0) return noNames;
  if (length > 0) return valueScratch.toString('utf8', 0, length - 1).split('\0');
  const error = failure('listxattr', entry);
  if (isUnsupported(error)) return noNames;
  throw error;
}

/** undefined where the attribute is gone, or the file system lists but does not tell it. */
export function getAttribute(entry: EntryHandle, name: string): Buffer | undefined {
  const { lgetxattr, fgetxattr } = calls();
  const key = Buffer.from(`${name}\0`);
  const length =
    typeof entry === 'number'
      ? fgetxattr(entry, key, valueScratch, attributeMaxBytes)
      : lgetxattr(terminated(entry), key, valueScratch, attributeMaxBytes);
  if (length >= 0) return Buffer.from(valueScratch.subarray(0, length));
  const error = failure('getxattr', entry);
  if (error.code === 'ENODATA' || isUnsupported(error)) return undefined;
  throw error;
}

export function setAttribute(entry: EntryHandle, name: string, value: Buffer): void {
  const { lsetxattr, fsetxattr } = calls();
  const key = Buffer.from(`${name}\0`);
  const result =
    typeof entry === 'number'
      ? fsetxattr(entry, key, value, value.length, 0)
      : lsetxattr(terminated(entry), key, value, value.length, 0);
  if (result !== 0) throw failure('setxattr', entry);
}

/** An attribute that is not there is not an error. */
export function removeAttribute(entry: EntryHandle, name: string): void {
  const { lremovexattr, fremovexattr } = calls();
  const key = Buffer.from(`${name}\0`);
  const result = typeof entry === 'number' ? fremovexattr(entry, key) : lremovexattr(terminated(entry), key);
  if (result === 0) return;
  const error = failure('removexattr', entry);
  if (error.code !== 'ENODATA') throw error;
}

/** Sets the times of the entry itself, also of a symbolic link. Nanoseconds since 1970, may be negative. */
export function setTimes(path: Buffer, atimeNs: bigint, mtimeNs: bigint): void {
  const times = timespecs(atimeNs, mtimeNs);
  const result = calls().utimensat(workingDirectory, terminated(path), times, atSymlinkNoFollow);
  if (result !== 0) throw failure('utimensat', path);
}

export function setTimesOfOpenFile(fd: number, atimeNs: bigint, mtimeNs: bigint): void {
  if (calls().futimens(fd, timespecs(atimeNs, mtimeNs)) !== 0) throw failure('futimens');
}

/**
 * Fills `result`, a struct statx, with the status of what `name` (ending with NUL) is in the open directory, links not
 * followed; of the open file itself where the name is empty.
 */
export function statAt(directory: number, name: Buffer, result: Buffer): void {
  const flags = atSymlinkNoFollow | atNoAutomount | (name[0] === 0 ? atEmptyPath : 0);
  if (calls().statx(directory, name, flags, basicStatus, result) !== 0) throw failure('statx', textOf(name));
}

/** Opens what `name` (ending with NUL) is in the open directory. */
export function openAt(directory: number, name: Buffer, flags: number): number {
  const file = calls().openat(directory, name, flags | closeOnExec);
  if (file < 0) throw failure('openat', textOf(name));
  return file;
}

/** `permissions` are masked by the umask, as everywhere. */
export function makeFifo(path: Buffer, permissions: number): void {
  if (calls().mkfifo(terminated(path), permissions) !== 0) throw failure('mkfifo', path);
}

/** `mode` with S_IFBLK or S_IFCHR; `device` as in st_rdev. */
export function makeDevice(path: Buffer, mode: number, device: number): void {
  if (calls().mknod(terminated(path), mode, device) !== 0) throw failure('mknod', path);
}

/** Makes the range read as zeros and gives its blocks back; false where the file system cannot. The size stays. */
export function punchHole(fd: number, offset: number, length: number): boolean {
  if (calls().fallocate(fd, punchHoleKeepSize, offset, length) === 0) return true;
  const error = failure('fallocate');
  if (isUnsupported(error) || error.code === 'ENOSYS') return false;
  throw error;
}

/** Where the next byte from `offset` on lies that is not in a hole; undefined where there is none up to the end. */
export function nextData(fd: number, offset: number): number | undefined {
  const found = calls().lseek(fd, offset, seekData);
  if (found >= 0) return found;
  const error = failure('lseek');
  if (error.code === 'ENXIO') return undefined;
  // A file system that knows no holes: everything is data.
  if (error.code === 'EINVAL') return offset;
  throw error;
}

/** Has what follows read from the disk, as far as the kernel follows the advice. What is not yet written there stays. */
export function forgetCached(fd: number): void {
  calls().fadvise(fd, 0, 0, adviceDontNeed);
}

/** One number on Linux, two names. */
function isUnsupported(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENOTSUP' || error.code === 'EOPNOTSUPP';
}

/**
 * Waits until all that was written to the file system of `fd` is on its disk, without blocking the thread: it can take minutes.
 * Rejects where the disk has failed to take something.
 */
export function syncFileSystem(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    calls().syncfs.async(fd, (error, result) => {
      if (error) reject(error);
      else if (result === 0) resolve();
      // The number of the error stays in the thread that made the call.
      else reject(systemError('EIO', 'syncfs'));
    });
  });
}

function textOf(name: Buffer): Buffer {
  return name.subarray(0, name.indexOf(0));
}

function terminated(path: Buffer): Buffer {
  if (path.length >= pathMaxBytes) throw systemError('ENAMETOOLONG', 'open', path);
  path.copy(pathScratch);
  pathScratch[path.length] = 0;
  return pathScratch;
}

function timespecs(atimeNs: bigint, mtimeNs: bigint): BigInt64Array {
  putTimespec(0, mtimeNs);
  if (atimeNs === mtimeNs) timesScratch.copyWithin(2, 0, 2);
  else {
    putTimespec(2, mtimeNs);
    putTimespec(0, atimeNs);
  }
  return timesScratch;
}

function putTimespec(position: number, timeNs: bigint): void {
  let seconds = timeNs / nanosecondsPerSecond;
  let nanoseconds = timeNs - seconds * nanosecondsPerSecond;
  if (nanoseconds < 0n) {
    seconds -= 1n;
    nanoseconds += nanosecondsPerSecond;
  }
  timesScratch[position] = seconds;
  timesScratch[position + 1] = nanoseconds;
}

function failure(syscall: string, entry?: EntryHandle): NodeJS.ErrnoException {
  const { errno, errorNames } = calls();
  const number = errno();
  return systemError(errorNames.get(number) ?? `E${number}`, syscall, typeof entry === 'number' ? undefined : entry);
}

function systemError(code: string, syscall: string, path?: Buffer): NodeJS.ErrnoException {
  const place = path === undefined ? '' : ` '${path.toString()}'`;
  const fields = path === undefined ? { code, syscall } : { code, syscall, path: path.toString() };
  return Object.assign(new Error(`${code}: ${syscall}${place}`), fields);
}
