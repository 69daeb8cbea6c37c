/**
 * Reads a tree of any size from pieces of its bytes: never as one string, which V8 limits to 512 MiB, and with no more in
 * memory than some nodes at a time. Long lists of blobs become ContentRuns. Small trees are for decodeTree, which is faster.
 */
import { ContentRuns } from './content-runs.ts';
import { damaged } from './document.ts';
import { decodeTree, type TreeNode } from './tree.ts';

/** Some nodes of a tree. `long` has the content of those whose own `content` is left empty, by their place in `nodes`. */
export interface TreePart {
  readonly nodes: TreeNode[];
  readonly long: ReadonlyMap<number, ContentRuns>;
}

/** Nodes are decoded when so many bytes of them are there. */
const partBytes = 256 << 10;
/** A longer list of ids is read as runs. */
const longContentBytes = 64 << 10;
/** A node without its content, or what is in a tree beside its nodes: names and attributes have limits of their own. */
const largestNodeBytes = 16 << 20;
const hexBytes = 64;
const quotedIdBytes = hexBytes + 2;

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const bracketOpen = 0x5b;
const bracketClose = 0x5d;
const braceOpen = 0x7b;
const braceClose = 0x7d;

/** Levels of nesting: the tree is an object (1) with a list of nodes (2), each an object (3) with a list of ids (4). */
const inTree = 1;
const inList = 2;
const inNode = 3;
const inContent = 4;

/** For one tree: push its bytes in order, then call end. */
export class TreeScanner {
  readonly #name: string;
  /** What is to be decoded next; between nodes it ends with a comma. */
  #bytes = Buffer.allocUnsafe(2 * partBytes);
  #length = 0;
  #nodes = 0;
  #nodeStart = 0;
  #long = new Map<number, ContentRuns>();
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** The bytes of the last string, as far as they can be a key that matters. */
  #key = '';
  #keyStart = 0;
  #isNodes = false;
  #hasNodes = false;
  #contentStart = -1;
  #runs: ContentRuns | undefined;
  readonly #id = Buffer.alloc(quotedIdBytes);
  #idLength = 0;
  readonly #lastId = Buffer.alloc(quotedIdBytes);

  /** `name` is the tree's id, for messages. */
  constructor(name: string) {
    this.#name = name;
  }

  /** Throws FILE_DAMAGED. */
  *push(piece: Buffer): Generator<TreePart, void> {
    let at = 0;
    while (at < piece.length) {
      if (this.#runs) at = this.#readIds(piece, at, this.#runs);
      else at = this.#readPlain(piece, at);
      if (this.#depth === inList && this.#isNodes && this.#length >= partBytes) yield this.#take();
    }
  }

  *end(): Generator<TreePart, void> {
    if (this.#depth !== 0 || this.#isInString || !this.#hasNodes) throw this.#damaged('it ends too early');
    if (this.#nodes > 0) yield this.#take();
  }

  /** Up to the end of the piece, or where something is to be done with what was read. Returns where to go on. */
  #readPlain(piece: Buffer, from: number): number {
    this.#reserve(piece.length - from);
    for (let at = from; at < piece.length; at++) {
      const byte = piece[at]!;
      if (this.#isNodes && this.#depth >= inNode) this.#bytes[this.#length++] = byte;
      if (this.#isInString) this.#readString(byte, piece, at);
      else if (byte === quote) {
        this.#isInString = true;
        this.#keyStart = at + 1;
        this.#key = '';
      } else if (byte === braceOpen || byte === bracketOpen) this.#open(byte);
      else if (byte === braceClose || byte === bracketClose) {
        this.#close();
        if (this.#depth === inList && this.#isNodes) return at + 1;
      } else if (byte === comma && this.#isLongContent()) {
        this.#beginRuns();
        return at + 1;
      }
    }
    if (this.#isInString) this.#keepKey(piece, piece.length);
    if (this.#length - this.#nodeStart > largestNodeBytes) throw this.#damaged('one of its nodes is too large');
    return piece.length;
  }

  #readString(byte: number, piece: Buffer, at: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === backslash) this.#isEscaped = true;
    else if (byte === quote) {
      this.#isInString = false;
      if (this.#depth === inTree || this.#depth === inNode) this.#keepKey(piece, at);
    }
  }

  /** A string may lie in two pieces. Longer ones are no keys that matter. */
  #keepKey(piece: Buffer, end: number): void {
    const length = Math.min(end - this.#keyStart, 16);
    this.#key += piece.toString('latin1', this.#keyStart, this.#keyStart + length);
    this.#keyStart = 0;
  }

  #open(byte: number): void {
    this.#depth += 1;
    if (this.#depth === inList && byte === bracketOpen && this.#key === 'nodes') {
      this.#isNodes = true;
      this.#hasNodes = true;
    } else if (this.#isNodes && this.#depth === inNode) {
      this.#nodeStart = this.#length;
      this.#bytes[this.#length++] = byte;
    } else if (this.#isNodes && this.#depth === inContent && byte === bracketOpen && this.#key === 'content') {
      this.#contentStart = this.#length;
    }
  }

  #close(): void {
    if (this.#depth === inContent) this.#contentStart = -1;
    this.#depth -= 1;
    if (this.#depth < 0) throw this.#damaged('it is not well nested');
    if (!this.#isNodes) return;
    if (this.#depth === inTree) this.#isNodes = false;
    else if (this.#depth === inList) {
      this.#nodes += 1;
      this.#reserve(1);
      this.#bytes[this.#length++] = comma;
      this.#nodeStart = this.#length;
    }
  }

  #isLongContent(): boolean {
    return this.#contentStart >= 0 && this.#length - this.#contentStart > longContentBytes;
  }

  /** What was read of the list so far, and all that follows, is taken out of the node. */
  #beginRuns(): void {
    const runs = new ContentRuns();
    const begun = Buffer.from(this.#bytes.subarray(this.#contentStart, this.#length));
    this.#length = this.#contentStart;
    this.#long.set(this.#nodes, runs);
    this.#runs = runs;
    this.#lastId.fill(0);
    this.#readIds(begun, 0, runs);
  }

  #readIds(piece: Buffer, from: number, runs: ContentRuns): number {
    let at = from;
    while (at < piece.length) {
      const byte = piece[at]!;
      if (this.#idLength > 0 || (byte === quote && at + quotedIdBytes > piece.length)) {
        const length = Math.min(quotedIdBytes - this.#idLength, piece.length - at);
        piece.copy(this.#id, this.#idLength, at, at + length);
        at += length;
        this.#idLength += length;
        if (this.#idLength < quotedIdBytes) continue;
        this.#idLength = 0;
        this.#addId(this.#id, 0, runs);
      } else if (byte === quote) {
        this.#addId(piece, at, runs);
        at += quotedIdBytes;
      } else if (byte === bracketClose) {
        this.#runs = undefined;
        this.#reserve(1);
        this.#bytes[this.#length++] = byte;
        this.#close();
        return at + 1;
      } else if (byte === comma || byte <= 0x20) at += 1;
      else throw this.#damaged('the content of a node is not a list of ids');
    }
    return at;
  }

  #addId(bytes: Buffer, at: number, runs: ContentRuns): void {
    if (bytes.compare(this.#lastId, 0, quotedIdBytes, at, at + quotedIdBytes) === 0) {
      runs.repeat();
      return;
    }
    const text = bytes.toString('latin1', at, at + quotedIdBytes);
    if (!/^"[0-9a-f]{64}"$/.test(text)) throw this.#damaged('the content of a node is not a list of ids');
    runs.add(text.slice(1, -1));
    bytes.copy(this.#lastId, 0, at, at + quotedIdBytes);
  }

  /** Everything up to the last node that is complete. */
  #take(): TreePart {
    const list = this.#bytes.subarray(0, this.#length - 1);
    const nodes = decodeTree(Buffer.concat([Buffer.from('{"nodes":['), list, Buffer.from(']}')]), this.#name);
    const part = { nodes, long: this.#long };
    this.#long = new Map();
    this.#length = 0;
    this.#nodeStart = 0;
    this.#nodes = 0;
    return part;
  }

  #reserve(length: number): void {
    const needed = this.#length + length + 1;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  #damaged(reason: string): Error {
    return damaged({ kind: 'tree', name: this.#name }, reason);
  }
}
