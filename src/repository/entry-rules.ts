/** What an entry of a tree may be, by restic's rules and by what is safe to show or to write anywhere. */
import type { NodeType } from './format/tree.ts';

const types: ReadonlySet<string> = new Set<NodeType>(['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket']);

export function isKnownType(type: string): boolean {
  return types.has(type);
}

/** What is wrong with a name, to follow a subject; undefined for one that stands for an entry of its own folder. */
export function problemWithName(name: Buffer): string | undefined {
  if (name.length === 0) return 'has no name';
  if (name.includes(0x2f) || name.includes(0)) return 'has a slash or a zero byte in its name';
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return 'means another folder';
  return undefined;
}
