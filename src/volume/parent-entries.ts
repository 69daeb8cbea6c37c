/** The nodes of a parent tree, or of a part of it, as a batch looks them up: in ascending order of their names. */
import { goLatin1NameJson } from '../repository/format/go-json.ts';
import type { NodeHead } from '../repository/format/node-head.ts';
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

export class ParentEntries {
  readonly bytes: Buffer;
  /** What was found so far lies before. */
  #cursor = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** The next node, if it is the same; `head` is that of the entry. */
  findSame(head: NodeHead): SameNode | undefined {
    return this.#sameAt(this.#cursor, head);
  }

  /** What the parent has under this name (latin1). Names have to be asked for in ascending order. */
  find(name: string, head: NodeHead): Known | undefined {
    const next = this.findSame(head);
    if (next) return { same: next };
    const start = findNode(this.bytes, goLatin1NameJson(name), this.#cursor);
    if (start < 0) return undefined;
    const same = this.#sameAt(start, head);
    if (same) return { same };
    const found = nodeAt(this.bytes, start);
    if (found) this.#cursor = found.end + 1;
    return found && { node: found.node };
  }

  /** The node that ends there was taken: what is asked for next comes later. */
  pass(end: number): void {
    this.#cursor = end + 1;
  }

  #sameAt(start: number, head: NodeHead): SameNode | undefined {
    const end = sameHead(this.bytes, start, head.bytes, head.length);
    return end < 0 ? undefined : { start, contentAt: start + head.length, end };
  }
}
