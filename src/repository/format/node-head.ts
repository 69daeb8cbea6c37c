/**
 * The head of a node as bytes, in memory that is used again and again: a backup makes one for every file, also for those
 * that did not change, and strings for each would be most of its garbage.
 */
import { goJsonString, goLatin1NameJson } from './go-json.ts';
import { formatSeconds } from './time.ts';

/** What the head of a file with one link and no extended attributes says of it. */
export interface PlainFile {
  /** Whole seconds since 1970, rounded down, and the nanoseconds above them. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  /** The inode rounded to a double, exact up to 2^53. */
  readonly inodeNumber: number;
}

/** Names of users and groups; '' where an id has none. */
export interface OwnerNames {
  user(uid: number): string;
  group(gid: number): string;
}

const openName = Buffer.from('{"name":');
const fileType = Buffer.from(',"type":"file"');
const modeField = Buffer.from(',"mode":');
const mtimeField = Buffer.from(',"mtime":"');
const atimeField = Buffer.from('","atime":"');
const ctimeField = Buffer.from('","ctime":"');
const inodeField = Buffer.from(',"inode":');
const sizeField = Buffer.from(',"size":');
const lastFields = Buffer.from(',"links":1,"content":');

const quote = 0x22;
const zero = 0x30;
const dot = 0x2e;
const letterZ = 0x5a;
/** More than all fields of a head take beside its name and owner. */
const fieldsBytes = 1024;
/** A byte of a name becomes at most so many: `\\xff` as JSON. */
const bytesPerNameByte = 6;
const smallestIntBeyond = 2 ** 31;
const rememberedSeconds = 4096;

/** 1 for each byte that stands in a name as it is. */
const isPlainByte = new Uint8Array(256);
for (let byte = 0x20; byte < 0x7f; byte++) isPlainByte[byte] = '"&<>\\'.includes(String.fromCharCode(byte)) ? 0 : 1;

/** The head of one node after the other: from `{` up to and including `"content":`, in bytes[0, length). */
export class NodeHead {
  bytes = Buffer.allocUnsafeSlow(16 << 10);
  length = 0;
  readonly #names: OwnerNames;
  readonly #seconds = new Map<number, Buffer>();
  readonly #owners = new Map<string, Buffer>();
  #second = Number.NaN;
  #secondText: Buffer = Buffer.alloc(0);
  #uid = -1;
  #gid = -1;
  #owner: Buffer = Buffer.alloc(0);

  constructor(names: OwnerNames) {
    this.#names = names;
  }

  /** As encodeNodeHead gives it. */
  setText(json: string): void {
    this.length = 0;
    this.#reserve(json.length * 3);
    this.length = this.bytes.write(json);
  }

  /** As setText(encodeNodeHead()) of the file. `name` is latin1, `mode` has the bits of Go. */
  setPlainFile(name: string, mode: number, file: PlainFile, sizeBytes: number): void {
    this.length = 0;
    if (file.uid !== this.#uid || file.gid !== this.#gid) this.#setOwner(file.uid, file.gid);
    this.#reserve(name.length * bytesPerNameByte + this.#owner.length + fieldsBytes);
    this.#copy(openName);
    this.#name(name);
    this.#copy(fileType);
    if (mode !== 0) {
      this.#copy(modeField);
      this.#number(mode);
    }
    this.#times(file);
    this.#copy(this.#owner);
    this.#copy(inodeField);
    if (file.inodeNumber <= Number.MAX_SAFE_INTEGER) this.#number(file.inodeNumber);
    else this.#text(String(file.inode));
    if (sizeBytes !== 0) {
      this.#copy(sizeField);
      this.#number(sizeBytes);
    }
    this.#copy(lastFields);
  }

  #name(name: string): void {
    const { bytes } = this;
    const start = this.length;
    let at = start;
    bytes[at++] = quote;
    for (let i = 0; i < name.length; i++) {
      const byte = name.charCodeAt(i);
      if (isPlainByte[byte] !== 1) {
        this.#text(goLatin1NameJson(name));
        return;
      }
      bytes[at++] = byte;
    }
    bytes[at++] = quote;
    this.length = at;
  }

  /** atime is set to mtime, as restic does. */
  #times({ mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds }: PlainFile): void {
    this.#copy(mtimeField);
    const start = this.length;
    this.#time(mtimeSeconds, mtimeNanoseconds);
    const end = this.length;
    this.#copy(atimeField);
    this.bytes.copyWithin(this.length, start, end);
    this.length += end - start;
    this.#copy(ctimeField);
    this.#time(ctimeSeconds, ctimeNanoseconds);
    this.bytes[this.length++] = quote;
  }

  #time(seconds: number, nanoseconds: number): void {
    if (seconds !== this.#second) this.#setSecond(seconds);
    this.#copy(this.#secondText);
    // A year out of range has no fraction.
    if (this.#secondText[this.#secondText.length - 1] === letterZ) return;
    const { bytes } = this;
    if (nanoseconds > 0) {
      let left = nanoseconds;
      let digits = 9;
      for (; left % 10 === 0; left /= 10) digits--;
      bytes[this.length] = dot;
      for (let at = this.length + digits; at > this.length; at--) {
        bytes[at] = zero + (left % 10);
        left = Math.floor(left / 10);
      }
      this.length += digits + 1;
    }
    bytes[this.length++] = letterZ;
  }

  /** Files are often written in bursts, so the text of a second is needed again and again. */
  #setSecond(seconds: number): void {
    let text = this.#seconds.get(seconds);
    if (!text) {
      if (this.#seconds.size >= rememberedSeconds) this.#seconds.clear();
      const whole = formatSeconds(seconds, 0);
      const isClamped = formatSeconds(seconds, 1) === whole;
      text = Buffer.from(isClamped ? whole : whole.slice(0, -1));
      this.#seconds.set(seconds, text);
    }
    this.#second = seconds;
    this.#secondText = text;
  }

  #setOwner(uid: number, gid: number): void {
    const key = `${uid} ${gid}`;
    let owner = this.#owners.get(key);
    if (!owner) {
      const user = this.#names.user(uid);
      const group = this.#names.group(gid);
      const names = `${user && `,"user":${goJsonString(user)}`}${group && `,"group":${goJsonString(group)}`}`;
      owner = Buffer.from(`,"uid":${uid},"gid":${gid}${names}`);
      this.#owners.set(key, owner);
    }
    this.#uid = uid;
    this.#gid = gid;
    this.#owner = owner;
  }

  #number(value: number): void {
    if (value >= smallestIntBeyond) {
      this.#text(String(value));
      return;
    }
    const { bytes } = this;
    let end = this.length + 1;
    for (let left = value; left >= 10; left = (left / 10) | 0) end++;
    let left = value;
    for (let at = end - 1; at >= this.length; at--) {
      bytes[at] = zero + (left % 10);
      left = (left / 10) | 0;
    }
    this.length = end;
  }

  #text(text: string): void {
    this.length += this.bytes.write(text, this.length);
  }

  #copy(part: Buffer): void {
    const { bytes } = this;
    let at = this.length;
    for (let i = 0; i < part.length; i++) bytes[at++] = part[i]!;
    this.length = at;
  }

  /** Room for so many bytes more. */
  #reserve(room: number): void {
    if (this.length + room <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.length + room) * 2);
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}
