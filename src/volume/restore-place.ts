/** The folders of a tree that is being restored. Each knows its parent and its name; its path is put together when it is needed. */
import type { TreeNode } from '../repository/format/tree.ts';

export interface Place {
  /** undefined: the folder that is restored itself, which is the target. */
  readonly parent: Place | undefined;
  readonly name: Buffer;
  /** undefined for the root of a snapshot, which has no attributes. */
  readonly node: TreeNode | undefined;
  readonly isSelected: boolean;
  readonly depth: number;
}

/** Below the target, latin1; '' for the target. Paths of folders that lie deep are long, so nobody keeps many of them. */
export function pathOf(place: Place): string {
  const names: string[] = [];
  for (let at = place; at.parent; at = at.parent) names.push(at.name.toString('latin1'));
  return names.reverse().join('/');
}
