/**
 * How a record is stored: a snapshot of its own with a path below `/.holdfast/`, whose tree holds one file. Restic sees an
 * ordinary small backup; Holdfast's lists and rules pass it over.
 */
import { hash } from 'node:crypto';
import { type Clock, systemClock } from '../../base/clock.ts';
import { version } from '../../base/version.ts';
import { BlobSink } from '../blob-sink.ts';
import type { Snapshot } from '../format/snapshot.ts';
import { formatTime } from '../format/time.ts';
import { encodeTree, type TreeNode } from '../format/tree.ts';
import { madeUpFile, madeUpFolder } from '../made-up-node.ts';
import type { Repository } from '../repository.ts';
import { saveSnapshot } from '../snapshots.ts';

export interface RecordFile {
  /** Of the snapshot; of a record below `/.holdfast/`. */
  readonly path: string;
  /** Above the file in the tree, the outermost first; default none. */
  readonly folders?: readonly string[];
  readonly tags: readonly string[];
  /** Host of the snapshot, as that of the backups that it is about. */
  readonly host: string;
  readonly fileName: string;
  readonly content: Buffer;
}

export interface StoreOptions {
  /** Time of the snapshot; default now. */
  readonly timeMs?: number;
  /** Called before the snapshot is stored: throws when the lock was lost, since then packs may be, too. */
  readonly confirmLock?: () => Promise<void>;
  readonly clock?: Clock;
}

/** A record is small: its two blobs need no larger packs. */
const packSizeBytes = 1 << 20;

/**
 * Packs, their index, the snapshot; its id. The caller holds a lock. Blobs that are there already are stored again, which
 * costs some hundred bytes, and spares the reading of the whole index; prune makes one of them.
 */
export async function storeRecord(
  repository: Repository,
  { path, folders = [], tags, host, fileName, content }: RecordFile,
  { timeMs, confirmLock, clock = systemClock }: StoreOptions = {},
): Promise<string> {
  const timeNs = BigInt(Math.floor(timeMs ?? clock.nowMs())) * 1_000_000n;
  const blob = hash('sha256', content, 'hex');
  const trees = treesOf(madeUpFile(fileName, content.length, blob, timeNs), folders, timeNs);
  const sink = new BlobSink(repository, { packSizeBytes, clock });
  try {
    sink.add('data', blob, content, 0);
    for (const { id, bytes } of trees) sink.add('tree', id, bytes, 0);
    await sink.finish();
  } catch (error) {
    await sink.settle();
    throw error;
  }
  await confirmLock?.();
  const program = { program_version: `holdfast ${version}` };
  const tree = trees.at(-1)?.id ?? '';
  const snapshot: Snapshot = { time: formatTime(timeNs), tree, paths: [path], hostname: host, tags, ...program };
  return saveSnapshot(repository, snapshot);
}

/** From the one that holds the file to the root. */
function treesOf(file: TreeNode, folders: readonly string[], timeNs: bigint): { id: string; bytes: Buffer }[] {
  const treeOf = (node: TreeNode) => {
    const bytes = encodeTree([node]);
    return { id: hash('sha256', bytes, 'hex'), bytes };
  };
  const trees = [treeOf(file)];
  for (const name of folders.toReversed()) {
    trees.push(treeOf(madeUpFolder(name, trees.at(-1)?.id ?? '', timeNs)));
  }
  return trees;
}
