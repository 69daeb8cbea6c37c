/**
 * Puts snapshots that can be restored as a whole in place of those that cannot, as restic's `repair snapshots` does:
 * what is lost is left out. Nothing is lost by it that was not: the damaged snapshots stay, unless asked otherwise.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { BlobSink } from './blob-sink.ts';
import { isDamage } from './check-findings.ts';
import type { Snapshot, StoredSnapshot } from './format/snapshot.ts';
import { type LoadedIndex, loadIndex } from './load-index.ts';
import { readPackHeader } from './pack-header.ts';
import { requirePrunable } from './prune.ts';
import { planIndexRepair } from './repair-index.ts';
import type { Loss } from './repair-tree.ts';
import { SnapshotSaver } from './replace-snapshot.ts';
import type { Repository } from './repository.ts';
import { emptyTree, type MenderOptions, TreeMender } from './tree-mender.ts';
import { joinTreePath } from './walk-tree.ts';

export interface LostEntry {
  /** From the root of the snapshot. */
  readonly path: Buffer;
  readonly kind: Exclude<Loss['kind'], 'within'>;
  /** Of the parts of a file. */
  readonly lostBytes?: number;
}

export interface SnapshotRepair {
  readonly snapshot: StoredSnapshot;
  /** What takes its place; undefined where the root cannot be read, so that nothing of it is left. */
  readonly next?: Snapshot;
  /** `next`, where it is there already. */
  readonly repairedId?: string;
  /** The first ones, in the order of their paths. */
  readonly lost: readonly LostEntry[];
  /** Whether there are more than those. */
  readonly hasMore: boolean;
}

export interface SnapshotRepairPlan {
  /** How many of the snapshots lack nothing. */
  readonly wholeCount: number;
  readonly repairs: readonly SnapshotRepair[];
  readonly index: LoadedIndex;
  readonly mender: TreeMender;
}

export interface RepairedSnapshot {
  readonly from: string;
  /** undefined where nothing of the snapshot is left. */
  readonly to: string | undefined;
  /** Whether the old one was removed. */
  readonly removed: boolean;
}

export interface SnapshotRepairExecution {
  /** Removes the damaged snapshots, those of which nothing is left too. */
  readonly forget?: boolean;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
}

/** Of what is lost, so much is listed for each snapshot. */
export const mostListed = 10_000;
/** A snapshot with this tag lacks what was lost. */
export const repairedTag = 'repaired';
const packSizeBytes = 16 << 20;

/**
 * Reads every tree of these snapshots. `all` are all snapshots that can be read. Throws INDEX_UNTRUE where the index
 * and the packs are not of one mind: what the index merely forgot must not be given up.
 */
export async function planSnapshotRepair(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  all: readonly StoredSnapshot[],
  options: MenderOptions = {},
): Promise<SnapshotRepairPlan> {
  const unlisted = await requireTrueIndex(repository, options.signal);
  const index = await loadIndex(repository, 'read');
  const mender = new TreeMender(repository, index, options);
  const saver = new SnapshotSaver(repository, all);
  const repairs: SnapshotRepair[] = [];
  for (const snapshot of snapshots) {
    await mender.judge(snapshot.tree);
    const tree = mender.inPlaceOf(snapshot.tree);
    if (tree === snapshot.tree) continue;
    const { lost, hasMore } = tree === undefined ? { lost: [], hasMore: false } : listLost(mender, snapshot.tree);
    const next = tree === undefined ? {} : nextOf(snapshot, tree, saver);
    repairs.push({ snapshot, lost, hasMore, ...next });
  }
  await requireNowhere(repository, mender.missing, unlisted);
  return { wholeCount: snapshots.length - repairs.length, repairs, index, mender };
}

/**
 * Carries out a plan, made under the exclusive lock that the caller still holds: new trees, their index, the new
 * snapshots, and only then, with `forget`, the end of the old ones.
 */
export async function executeSnapshotRepair(
  repository: Repository,
  plan: SnapshotRepairPlan,
  { forget = false, clock = systemClock, signal }: SnapshotRepairExecution = {},
): Promise<RepairedSnapshot[]> {
  requirePrunable(repository);
  await storeTrees(repository, plan, clock, signal);
  const saver = new SnapshotSaver(repository, []);
  const repaired: RepairedSnapshot[] = [];
  for (const { snapshot, next, repairedId } of plan.repairs) {
    signal?.throwIfAborted();
    repaired.push({ from: snapshot.id, to: next && (repairedId ?? (await saver.save(next))), removed: forget });
  }
  if (forget) for (const { from } of repaired) await repository.store.remove('snapshots', from);
  return repaired;
}

/** The packs that no index lists, with their sizes: left behind by whoever was killed, or forgotten by the index. */
async function requireTrueIndex(repository: Repository, signal?: AbortSignal): Promise<ReadonlyMap<string, number>> {
  const { read, missing, wrong, damagedFiles, marked } = await planIndexRepair(repository, signal ? { signal } : {});
  const packs = missing.length + wrong.length;
  if (packs + damagedFiles.length > 0) throw new HoldfastError('INDEX_UNTRUE', { packs, files: damagedFiles.length });
  return new Map([...read].filter(([id]) => !marked.has(id)));
}

/** What is missing must not lie in a pack that only the index does not know. */
async function requireNowhere(
  repository: Repository,
  missing: ReadonlySet<string>,
  unlisted: ReadonlyMap<string, number>,
): Promise<void> {
  if (missing.size === 0) return;
  for (const [id, sizeBytes] of unlisted) {
    const blobs = await readPackHeader(repository, id, sizeBytes).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      return [];
    });
    if (blobs.some((blob) => missing.has(`${blob.type} ${blob.id}`))) {
      throw new HoldfastError('INDEX_UNTRUE', { packs: unlisted.size, files: 0 });
    }
  }
}

/** `original` tells where a snapshot came from, and a backup of a claim is complete no more. */
function nextOf({ id, ...snapshot }: StoredSnapshot, tree: string, saver: SnapshotSaver) {
  const tags = (snapshot.tags ?? []).map((tag) => (tag === 'state=complete' ? 'state=incomplete' : tag));
  const next: Snapshot = {
    ...snapshot,
    tree,
    tags: tags.includes(repairedTag) ? tags : [...tags, repairedTag],
    original: snapshot.original ?? id,
  };
  const repairedId = saver.find(next);
  return { next, ...(repairedId === undefined ? {} : { repairedId }) };
}

function listLost(mender: TreeMender, root: string): { lost: LostEntry[]; hasMore: boolean } {
  const lost: LostEntry[] = [];
  for (const entry of lostBelow(mender, root, Buffer.alloc(0))) {
    if (lost.length === mostListed) return { lost, hasMore: true };
    lost.push(entry);
  }
  return { lost, hasMore: false };
}

function* lostBelow(mender: TreeMender, tree: string, path: Buffer): Generator<LostEntry, void> {
  for (const { name, kind, lostBytes, subtree } of mender.changed.get(tree)?.losses ?? []) {
    const at = joinTreePath(path, name);
    if (kind === 'within') yield* lostBelow(mender, subtree!, at);
    else yield { path: at, kind, ...(lostBytes === undefined ? {} : { lostBytes }) };
  }
}

async function storeTrees(
  repository: Repository,
  { index, mender, repairs }: SnapshotRepairPlan,
  clock: Clock,
  signal?: AbortSignal,
): Promise<void> {
  if (repairs.every(({ next, repairedId }) => !next || repairedId !== undefined)) return;
  const sink = new BlobSink(repository, { packSizeBytes, clock });
  const stored = new Set<string>();
  const store = async (id: string, load: () => Promise<Buffer>): Promise<void> => {
    if (stored.has(id) || index.blobs.has('tree', Buffer.from(id, 'hex'))) return;
    signal?.throwIfAborted();
    stored.add(id);
    const bytes = await load();
    await sink.roomFor('tree');
    sink.add('tree', id, bytes, 0);
  };
  try {
    for (const [was, { id, losses }] of mender.changed) {
      if (losses.some(({ kind }) => kind === 'folder')) await store(emptyTree.id, async () => emptyTree.bytes);
      await store(id, () => mender.mend(was));
    }
    await sink.finish();
  } catch (error) {
    await sink.settle();
    throw error;
  }
}
