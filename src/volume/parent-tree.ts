/**
 * Looks entries up in the bytes of a parent tree without parsing it. An entry that did not change encodes to the same
 * bytes, so comparing bytes decides nearly all; what differs is parsed, node by node. The bytes may be of any tool:
 * a form in which nothing is found only means that the files are read again.
 */
import { goNameJson } from '../repository/format/go-json.ts';
import { decodeTree, type TreeNode } from '../repository/format/tree.ts';

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const closeBracket = 0x5d;

/** Where the node of that name starts, at or after `from`; -1 if there is none. `encodedName` is its JSON string with quotes. */
export function findNode(bytes: Buffer, encodedName: string, from: number): number {
  return bytes.indexOf(`{"name":${encodedName},"type":"`, from);
}

/** The end (exclusive) of the JSON object that starts at `start`, or -1 if it is cut off. */
export function objectEnd(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) {
      at = stringEnd(bytes, at);
      if (at < 0) return -1;
    } else if (byte === openBrace) depth++;
    else if (byte === closeBrace && --depth === 0) return at + 1;
  }
  return -1;
}

/** The index of the quote that ends the string which starts at `start`. */
function stringEnd(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === backslash) at++;
    else if (bytes[at] === quote) return at;
  }
  return -1;
}

/**
 * If the node at `at` starts with exactly `head` (up to and including `"content":`) and holds nothing but a content list
 * after it: the end of the node. Else -1.
 */
export function sameHead(bytes: Buffer, at: number, head: Buffer, headLength: number): number {
  if (bytes.length < at + headLength || bytes.compare(head, 0, headLength, at, at + headLength) !== 0) return -1;
  const close = bytes.indexOf(closeBracket, at + headLength);
  return close >= 0 && bytes[close + 1] === closeBrace ? close + 2 : -1;
}

/** Calls `visit` with the position of each 64-digit blob id between `start` and `end`; stops when it answers false. */
export function everyContentId(bytes: Buffer, start: number, end: number, visit: (at: number) => boolean): boolean {
  let at = bytes.indexOf(quote, start);
  while (at >= 0 && at < end) {
    if (bytes[at + 65] !== quote || !visit(at + 1)) return false;
    at = bytes.indexOf(quote, at + 66);
  }
  return true;
}

/** Where the part of the parent tree begins that may hold `name` and what follows it. */
export function startOf(parent: Buffer, name: string, from: number): number {
  const at = findNode(parent, goNameJson(Buffer.from(name, 'latin1')), from);
  return at < 0 ? parent.length : at;
}

/** The tree id of a folder in its parent tree, at or after `from`, and where its node ends. */
export function subtreeOf(parent: Buffer, name: string, from: number): { id: string | undefined; end: number } {
  const start = findNode(parent, goNameJson(Buffer.from(name, 'latin1')), from);
  const found = start < 0 ? undefined : nodeAt(parent, start);
  return { id: found?.node.subtree, end: found?.end ?? from };
}

/** The node that starts at `start`, parsed, and where it ends; undefined if it is cut off. */
export function nodeAt(bytes: Buffer, start: number): { node: TreeNode; end: number } | undefined {
  const end = objectEnd(bytes, start);
  if (end < 0) return undefined;
  const [node] = decodeTree(Buffer.from(`{"nodes":[${bytes.toString('utf8', start, end)}]}`));
  return node && { node, end };
}
