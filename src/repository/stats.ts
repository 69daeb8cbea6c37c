/**
 * How much backups hold and how much of the repository they take, by claim or by host and paths. A blob counts once,
 * however many files and backups need it.
 */
import { HoldfastError } from '../base/errors.ts';
import type { BlobType } from './blob-index.ts';
import type { BlobReader } from './blob-reader.ts';
import { claimOf, type NamedSnapshot, tagOf } from './claim-layout.ts';
import type { TreeNode } from './format/tree.ts';
import type { LoadedIndex } from './load-index.ts';
import { loadSoundTree } from './walk-tree.ts';

export interface BlobTotals {
  blobs: number;
  /** In the repository, sealed. */
  storedBytes: number;
  /** Before compression. */
  plainBytes: number;
}

export interface BackupStats {
  readonly id: string;
  readonly time: string;
  /** Entries of all kinds, and what a restore writes: hard links count once. */
  readonly entries: number;
  readonly restoreBytes: number;
  /** What this backup needs and no earlier one of its group did. */
  readonly added: BlobTotals;
}

export interface GroupStats {
  /** Where it is a claim of a cluster. */
  readonly namespace?: string;
  readonly claim?: string;
  readonly clusterUid?: string;
  readonly host: string;
  readonly paths: readonly string[];
  /** Oldest first. */
  readonly backups: readonly BackupStats[];
  /** Some of it may be needed by other groups, too. */
  readonly total: BlobTotals;
}

export interface RepositoryStats {
  readonly groups: readonly GroupStats[];
  readonly backups: number;
  readonly entries: number;
  /** Of all backups together, as if each was restored into a place of its own. */
  readonly restoreBytes: number;
  /** What all of them together need. */
  readonly total: BlobTotals;
}

export interface StatsOptions {
  readonly onProgress?: (progress: { readonly backups: number; readonly trees: number }) => void;
  readonly signal?: AbortSignal;
}

/** `snapshots`: oldest first, as listed. Throws FILE_NOT_FOUND, FILE_DAMAGED. */
export async function computeStats(
  reader: BlobReader,
  index: LoadedIndex,
  snapshots: readonly NamedSnapshot[],
  options: StatsOptions = {},
): Promise<RepositoryStats> {
  const counter = new StatsCounter(reader, index, options);
  const groups: GroupStats[] = [];
  for (const members of groupSnapshots(snapshots)) {
    counter.startGroup();
    const backups: BackupStats[] = [];
    for (const member of members) backups.push(await counter.count(member));
    groups.push({ ...describeGroup(members), backups, total: sumTotals(backups.map(({ added }) => added)) });
  }
  const all = groups.flatMap(({ backups }) => backups);
  return {
    groups,
    backups: all.length,
    entries: sum(all.map(({ entries }) => entries)),
    restoreBytes: sum(all.map(({ restoreBytes }) => restoreBytes)),
    total: counter.total,
  };
}

interface TreeSize {
  readonly entries: number;
  readonly bytes: number;
  /** Its size depends on what else of the snapshot has been seen. */
  readonly hasLinks: boolean;
}

class StatsCounter {
  readonly total = noTotals();
  readonly #reader: BlobReader;
  readonly #index: LoadedIndex;
  readonly #options: StatsOptions;
  /** For each entry of the index the last group that needed it; groups begin with 1. */
  readonly #groupOf: Uint32Array;
  /** By entry of the index. */
  readonly #sizes = new Map<number, TreeSize>();
  #group = 0;
  #added = noTotals();
  #inodes = new Set<string>();
  #backups = 0;
  #trees = 0;

  constructor(reader: BlobReader, index: LoadedIndex, options: StatsOptions) {
    this.#reader = reader;
    this.#index = index;
    this.#options = options;
    this.#groupOf = new Uint32Array(index.blobs.size);
  }

  startGroup(): void {
    this.#group += 1;
  }

  async count({ id, time, tree }: NamedSnapshot): Promise<BackupStats> {
    this.#added = noTotals();
    this.#inodes = new Set();
    const { entries, bytes } = await this.#visit(tree, 0);
    this.#backups += 1;
    return { id, time, entries, restoreBytes: bytes, added: this.#added };
  }

  async #visit(tree: string, depth: number): Promise<TreeSize> {
    this.#options.signal?.throwIfAborted();
    const { entry, isNew } = this.#mark('tree', tree);
    const known = this.#sizes.get(entry);
    if (!isNew && known && !known.hasLinks) return known;
    const nodes = await loadSoundTree(this.#reader, tree, depth);
    this.#trees += 1;
    this.#options.onProgress?.({ backups: this.#backups, trees: this.#trees });
    let size: TreeSize = { entries: nodes.length, bytes: 0, hasLinks: false };
    for (const node of nodes) {
      if (isNew) for (const id of node.content ?? []) this.#mark('data', id);
      const more = node.subtree === undefined ? this.#sizeOf(node) : await this.#visit(node.subtree, depth + 1);
      size = {
        entries: size.entries + more.entries,
        bytes: size.bytes + more.bytes,
        hasLinks: size.hasLinks || more.hasLinks,
      };
    }
    this.#sizes.set(entry, size);
    return size;
  }

  /** The names of one file take its space once. */
  #sizeOf({ type, sizeBytes, links, inode, deviceId }: TreeNode): TreeSize {
    const bytes = type === 'file' ? sizeBytes : 0;
    if (links < 2 || inode === 0n || bytes === 0) return { entries: 0, bytes, hasLinks: false };
    const key = `${deviceId} ${inode}`;
    const isFirst = !this.#inodes.has(key);
    this.#inodes.add(key);
    return { entries: 0, bytes: isFirst ? bytes : 0, hasLinks: true };
  }

  #mark(type: BlobType, id: string): { readonly entry: number; readonly isNew: boolean } {
    const entry = this.#index.blobs.find(type, Buffer.from(id, 'hex'));
    if (entry < 0) throw new HoldfastError('FILE_NOT_FOUND', { kind: `${type} blob`, name: id });
    const known = this.#groupOf[entry];
    this.#groupOf[entry] = this.#group;
    if (known !== this.#group) this.#add(this.#added, entry);
    if (known === 0) this.#add(this.total, entry);
    return { entry, isNew: known !== this.#group };
  }

  #add(totals: BlobTotals, entry: number): void {
    totals.blobs += 1;
    totals.storedBytes += this.#index.blobs.location(entry)?.length ?? 0;
    totals.plainBytes += this.#index.plainLength(entry);
  }
}

/** By claim, or by host and paths, in the order of their first backups. */
function groupSnapshots(snapshots: readonly NamedSnapshot[]): Iterable<readonly NamedSnapshot[]> {
  const groups = new Map<string, NamedSnapshot[]>();
  for (const snapshot of snapshots) {
    const { namespace, claim, clusterUid, host, paths } = describeGroup([snapshot]);
    const key = claim === undefined ? [host, [...paths].sort()] : [namespace, claim, clusterUid];
    const text = JSON.stringify(key);
    const group = groups.get(text);
    if (group) group.push(snapshot);
    else groups.set(text, [snapshot]);
  }
  return groups.values();
}

/** As its newest member says. */
function describeGroup(
  members: readonly NamedSnapshot[],
): Pick<GroupStats, 'namespace' | 'claim' | 'host' | 'paths' | 'clusterUid'> {
  const newest = members.at(-1);
  if (!newest) return { host: '', paths: [] };
  const { hostname: host = '', paths } = newest;
  const { namespace, claim, layout } = claimOf(newest) ?? {};
  if (namespace === undefined || claim === undefined) return { host, paths };
  // Backups that another program began know of no cluster, and go on as one group.
  const clusterUid = layout === 'holdfast' ? tagOf(newest, 'cluster-uid') : undefined;
  return { namespace, claim, ...(clusterUid === undefined ? {} : { clusterUid }), host, paths };
}

function sumTotals(all: readonly BlobTotals[]): BlobTotals {
  return {
    blobs: sum(all.map(({ blobs }) => blobs)),
    storedBytes: sum(all.map(({ storedBytes }) => storedBytes)),
    plainBytes: sum(all.map(({ plainBytes }) => plainBytes)),
  };
}

function noTotals(): BlobTotals {
  return { blobs: 0, storedBytes: 0, plainBytes: 0 };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
