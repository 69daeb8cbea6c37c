/** The nodes of a parent tree, or of a part of it, as a batch looks them up: in ascending order of their names. */
import { goLatin1NameJson } from '../repository/format/go-json.ts';
import type { TreeNode } from '../repository/format/tree.ts';
import { findNode, nodeAt, sameHead } from './parent-tree.ts';

/** A node that is the same in the parent, byte by byte up to its content list: where it and that list lie there. */
export interface SameNode {
  readonly start: number;
  readonly contentAt: number;
  /** Without the comma after it. */
  readonly end: number;
}

/** What the parent knows of an entry: that it is the same, or what it was. */
export interface Known {
  readonly same?: SameNode;
  readonly node?: TreeNode;
}

/** Memory that lives as long as the thread, which does one batch at a time. */
const headBytes = Buffer.allocUnsafeSlow(128 << 10);

export class ParentEntries {
  readonly bytes: Buffer;
  /** What was found so far lies before. */
  #cursor = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** The next node, if it is the same; `head` is what encodeNodeHead makes of the entry. */
  findSame(head: string): SameNode | undefined {
    return this.#sameAt(this.#cursor, writeHead(head));
  }

  /** What the parent has under this name (latin1). Names have to be asked for in ascending order. */
  find(name: string, head: string): Known | undefined {
    const headLength = writeHead(head);
    const next = this.#sameAt(this.#cursor, headLength);
    if (next) return { same: next };
    const start = findNode(this.bytes, goLatin1NameJson(name), this.#cursor);
    if (start < 0) return undefined;
    const same = this.#sameAt(start, headLength);
    if (same) return { same };
    const found = nodeAt(this.bytes, start);
    if (found) this.#cursor = found.end + 1;
    return found && { node: found.node };
  }

  /** The node that ends there was taken: what is asked for next comes later. */
  pass(end: number): void {
    this.#cursor = end + 1;
  }

  #sameAt(start: number, headLength: number): SameNode | undefined {
    const end = headLength > 0 ? sameHead(this.bytes, start, headBytes, headLength) : -1;
    return end < 0 ? undefined : { start, contentAt: start + headLength, end };
  }
}

/** The length of the head in headBytes; 0 for one that is longer than any worth comparing. */
function writeHead(head: string): number {
  return headBytes.length > head.length * 3 ? headBytes.write(head, 0) : 0;
}
