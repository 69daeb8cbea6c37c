/**
 * The status of one entry after the other, read into the same memory: a backup asks for it a million times, and objects
 * with big integers for each are most of what an unchanged file costs.
 */
import { statAt, workingDirectory } from './libc.ts';

/** Sizes and places of struct statx (Linux, include/uapi/linux/stat.h). */
const statxBytes = 256;
const linksAt = 16;
const uidAt = 20;
const gidAt = 24;
const modeAt = 28;
const inodeAt = 32;
const sizeAt = 40;
const blocksAt = 48;
const ctimeAt = 96;
const mtimeAt = 112;
const rdevAt = 128;
const devAt = 136;
const nanosecondsAfter = 8;
/** Unit of stx_blocks, whatever the file system. */
const blockBytes = 512;
const wordRange = 2 ** 32;
const nsPerSecond = 1_000_000_000n;
const noName = Buffer.of(0);

export class FileStatus {
  readonly #bytes = Buffer.alloc(statxBytes);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, statxBytes);

  /** Of what `name` (ending with NUL) is in the open folder; links are not followed. Throws as Node's calls do. */
  readEntry(folder: number, name: Buffer): this {
    statAt(folder, name, this.#bytes);
    return this;
  }

  readOpen(file: number): this {
    statAt(file, noName, this.#bytes);
    return this;
  }

  readPath(path: Buffer): this {
    statAt(workingDirectory, Buffer.concat([path, noName]), this.#bytes);
    return this;
  }

  /** st_mode */
  get mode(): number {
    return this.#view.getUint16(modeAt, true);
  }

  get uid(): number {
    return this.#view.getUint32(uidAt, true);
  }

  get gid(): number {
    return this.#view.getUint32(gidAt, true);
  }

  get links(): number {
    return this.#view.getUint32(linksAt, true);
  }

  get sizeBytes(): number {
    return this.#number(sizeAt);
  }

  /** Whether it takes less on the disk than it holds: it has holes, or its file system compresses. */
  get isSparse(): boolean {
    return this.#number(blocksAt) * blockBytes < this.sizeBytes;
  }

  get inode(): bigint {
    return this.#view.getBigUint64(inodeAt, true);
  }

  /** The same, rounded beyond 2^53. */
  get inodeNumber(): number {
    return this.#number(inodeAt);
  }

  /** st_dev */
  get device(): bigint {
    return this.#deviceNumber(devAt);
  }

  /** st_rdev */
  get ownDevice(): bigint {
    return this.#deviceNumber(rdevAt);
  }

  /** Whole seconds since 1970, rounded down. */
  get mtimeSeconds(): number {
    return this.#seconds(mtimeAt);
  }

  get mtimeNanoseconds(): number {
    return this.#view.getUint32(mtimeAt + nanosecondsAfter, true);
  }

  get ctimeSeconds(): number {
    return this.#seconds(ctimeAt);
  }

  get ctimeNanoseconds(): number {
    return this.#view.getUint32(ctimeAt + nanosecondsAfter, true);
  }

  get mtimeNs(): bigint {
    return BigInt(this.mtimeSeconds) * nsPerSecond + BigInt(this.mtimeNanoseconds);
  }

  get ctimeNs(): bigint {
    return BigInt(this.ctimeSeconds) * nsPerSecond + BigInt(this.ctimeNanoseconds);
  }

  /** Whether it is the same file with, as far as its status tells, the same content. */
  isSameVersion(other: FileStatus): boolean {
    return (
      this.#number(inodeAt) === other.#number(inodeAt) &&
      this.sizeBytes === other.sizeBytes &&
      this.mtimeSeconds === other.mtimeSeconds &&
      this.mtimeNanoseconds === other.mtimeNanoseconds
    );
  }

  #number(at: number): number {
    return this.#view.getUint32(at + 4, true) * wordRange + this.#view.getUint32(at, true);
  }

  #seconds(at: number): number {
    return this.#view.getInt32(at + 4, true) * wordRange + this.#view.getUint32(at, true);
  }

  /** Major and minor number as stat joins them (makedev). */
  #deviceNumber(at: number): bigint {
    const major = BigInt(this.#view.getUint32(at, true));
    const minor = BigInt(this.#view.getUint32(at + 4, true));
    return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn);
  }
}
