/**
 * What copying backups into another repository has to do: which are there already, which cannot be copied, and which
 * blobs of the source the target lacks, as a bit for every entry of the source's index.
 */
import type { BlobType } from './blob-index.ts';
import { BlobReader } from './blob-reader.ts';
import type { IndexedPack } from './format/index-file.ts';
import type { Snapshot, StoredSnapshot } from './format/snapshot.ts';
import { listIndex, scanIndex } from './index-scan.ts';
import { type LoadedIndex, loadIndex } from './load-index.ts';
import type { Repository } from './repository.ts';
import { listSnapshots, timeOf } from './snapshots.ts';
import { TreeJudge } from './tree-judge.ts';
import { markUsed } from './used-blobs.ts';
import { WantedMarks } from './wanted-marks.ts';

export interface CopyProgress {
  readonly step: 'trees' | 'packs';
  readonly done: number;
  /** Undefined while it is not known. */
  readonly total?: number;
}

export interface PlanCopyOptions {
  readonly onProgress?: (progress: CopyProgress) => void;
  readonly signal?: AbortSignal;
}

/** A snapshot of the source, and the one in the target that is its copy. */
export interface CopiedSnapshot {
  readonly from: string;
  readonly to: string;
}

export interface FailedCopy {
  readonly id: string;
  readonly message: string;
}

export interface CopyPlan {
  readonly source: Repository;
  readonly target: Repository;
  /** What is to be copied, in the order that was asked for. */
  readonly snapshots: readonly StoredSnapshot[];
  /** What is there already. */
  readonly present: readonly CopiedSnapshot[];
  /** What is missing or damaged in the source already by what its index and trees say. */
  readonly failed: readonly FailedCopy[];
  readonly index: LoadedIndex;
  readonly wanted: WantedMarks;
  readonly indexFiles: readonly string[];
}

/** The caller holds a shared lock on both repositories. Throws what keeps an index from being read. */
export async function planCopy(
  source: Repository,
  target: Repository,
  asked: readonly StoredSnapshot[],
  options: PlanCopyOptions = {},
): Promise<CopyPlan> {
  const { present, absent } = sortOut(asked, await listSnapshots(target));
  const index = await loadIndex(source, 'read');
  const { names: indexFiles } = await listIndex(source);
  const there = await loadIndex(target, 'write');
  const wanted = new WantedMarks(index, there);
  const { snapshots, failed } = await markNeeded(source, index, wanted, absent, options);
  for await (const pack of indexedPacks(source, indexFiles, options.signal)) wanted.want(pack);
  return { source, target, snapshots, present, failed, index, wanted, indexFiles };
}

/** Why each of these cannot be copied, after its blobs were: empty where all have arrived. */
export function judgeCopies(
  { source, index, wanted, snapshots }: CopyPlan,
  signal?: AbortSignal,
): Promise<FailedCopy[]> {
  return judge(source, index, snapshots, (type, id) => wanted.isCopied(type, id), signal);
}

/** Every pack of the index once; those that rustic has marked for removal last, since they may be gone soon. */
export async function* indexedPacks(
  repository: Repository,
  indexFiles: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<IndexedPack> {
  const met = new Set<string>();
  const marked: IndexedPack[] = [];
  for await (const { packs, packsToDelete } of scanIndex(repository, indexFiles, signal)) {
    marked.push(...packsToDelete);
    for (const pack of packs) {
      if (met.has(pack.id)) continue;
      met.add(pack.id);
      yield pack;
    }
  }
  for (const pack of marked) if (!met.has(pack.id)) yield pack;
}

/** By restic's rule: a copy has the same original and the same of all that a user sees, whatever its parent. */
function sortOut(asked: readonly StoredSnapshot[], inTarget: readonly StoredSnapshot[]) {
  const copies = new Map<string, string>();
  for (const snapshot of inTarget) {
    copies.set(likenessOf(snapshot, snapshot.id), snapshot.id);
    if (snapshot.original !== undefined) copies.set(likenessOf(snapshot, snapshot.original), snapshot.id);
  }
  const present: CopiedSnapshot[] = [];
  const absent: StoredSnapshot[] = [];
  for (const snapshot of asked) {
    const to = copies.get(likenessOf(snapshot, snapshot.original ?? snapshot.id));
    if (to === undefined) absent.push(snapshot);
    else present.push({ from: snapshot.id, to });
  }
  return { present, absent };
}

function likenessOf(snapshot: Snapshot, original: string): string {
  const { tree, paths, hostname = '', username = '', uid = 0, gid = 0, excludes = [], tags = [] } = snapshot;
  const facts = [String(timeOf(snapshot)), tree, [...paths].sort(), hostname, username, uid, gid, excludes];
  return JSON.stringify([original, ...facts, [...tags].sort()]);
}

/** Sets usedBit for all that can be copied; snapshots of which something is known to be lost are left out. */
async function markNeeded(
  source: Repository,
  index: LoadedIndex,
  wanted: WantedMarks,
  snapshots: readonly StoredSnapshot[],
  { onProgress, signal }: PlanCopyOptions,
): Promise<{ snapshots: readonly StoredSnapshot[]; failed: readonly FailedCopy[] }> {
  const walk = (roots: readonly StoredSnapshot[], passOver: boolean) =>
    markUsed(source, index, wanted.marks, new Set(roots.map(({ tree }) => tree)), {
      passOver,
      onTree: (done) => onProgress?.({ step: 'trees', done }),
      ...(signal ? { signal } : {}),
    });
  const { missing, unreadable } = await walk(snapshots, true);
  if (missing.size + unreadable === 0) return { snapshots, failed: [] };
  const failed = await judge(source, index, snapshots, (type, id) => wanted.isKnown(type, id), signal);
  const lost = new Set(failed.map(({ id }) => id));
  const left = snapshots.filter(({ id }) => !lost.has(id));
  wanted.marks.fill(0);
  await walk(left, false);
  return { snapshots: left, failed };
}

async function judge(
  source: Repository,
  index: LoadedIndex,
  snapshots: readonly StoredSnapshot[],
  isThere: (type: BlobType, id: string) => boolean,
  signal?: AbortSignal,
): Promise<FailedCopy[]> {
  const trees = new TreeJudge(new BlobReader(source, index), isThere, signal);
  const failed: FailedCopy[] = [];
  for (const { id, tree } of snapshots) {
    const message = await trees.problemIn(tree);
    if (message !== undefined) failed.push({ id, message });
  }
  return failed;
}
