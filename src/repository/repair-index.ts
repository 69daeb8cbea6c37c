/**
 * Makes the index say what the packs say: packs that it lacks or has wrong are read again, packs that are gone leave it.
 * New index files are there before old ones go, so a repair that is killed leaves an index that says at least as much.
 */
import { hash } from 'node:crypto';
import { type Clock, systemClock } from '../base/clock.ts';
import { mapLimited } from '../base/concurrency.ts';
import { isHoldfastError, messageOf } from '../base/errors.ts';
import { refuseAppendOnly } from './append-only.ts';
import { isAboutOneFile } from './check-findings.ts';
import { decodeIndexFile, type IndexedPack } from './format/index-file.ts';
import { packFileBytes } from './format/pack.ts';
import { listIndex } from './index-scan.ts';
import { IndexWriter } from './index-writer.ts';
import { readPackHeader } from './pack-header.ts';
import { loadFile, type Repository } from './repository.ts';
import { dropFromIndex, removeIndexFiles } from './rewrite-index.ts';

export interface RepairPlan {
  /** Packs whose headers are to be read: the index lacks them, or is wrong about them. */
  readonly read: ReadonlyMap<string, number>;
  /** Packs that the index lists and that are gone. */
  readonly missing: readonly string[];
  /** Packs of which the index says something else than their size. */
  readonly wrong: readonly string[];
  /** Index files that cannot be read; their packs are read instead. */
  readonly damagedFiles: readonly string[];
  /** Packs that rustic has marked for removal: they come back into the index. */
  readonly marked: ReadonlySet<string>;
  readonly indexFiles: readonly string[];
}

export interface RepairResult {
  /** Packs that are in the index now as their headers say. */
  readonly packsRead: number;
  /**
   * Packs whose header cannot be read: they stay where they are, and what the index says of them stays too, since that
   * is all that is known of the blobs in them (repair-packs.ts saves those).
   */
  readonly unreadable: readonly { readonly id: string; readonly message: string }[];
  readonly indexFilesReplaced: number;
}

export interface RepairOptions {
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

const loadsAtOnce = 5;
const readsAtOnce = 5;

/** Compares the index with the packs that are there. With `readAllPacks`, nothing that the index says is believed. */
export async function planIndexRepair(
  repository: Repository,
  options: { readonly readAllPacks?: boolean; readonly signal?: AbortSignal } = {},
): Promise<RepairPlan> {
  const { names } = await listIndex(repository);
  const stored = new Map<string, number>();
  for await (const { name, sizeBytes } of repository.store.list('data')) stored.set(name, sizeBytes);
  const listed = new Listed(stored);
  const damagedFiles: string[] = [];
  await mapLimited(names, loadsAtOnce, async (name) => {
    options.signal?.throwIfAborted();
    try {
      const { packs, packsToDelete } = decodeIndexFile(await loadFile(repository, 'index', name), name);
      for (const pack of packs) listed.add(pack);
      for (const { id } of packsToDelete) if (stored.has(id)) listed.marked.add(id);
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_DAMAGED')) throw error;
      damagedFiles.push(name);
    }
  });
  const read = [...stored].filter(([id]) => options.readAllPacks || !listed.right.has(id) || listed.wrong.has(id));
  return {
    read: new Map(read),
    missing: [...listed.missing],
    wrong: [...listed.wrong],
    damagedFiles,
    marked: listed.marked,
    indexFiles: names.filter((name) => !damagedFiles.includes(name)),
  };
}

/** Whether there is anything to repair. */
export function isRepairNeeded({ read, missing, wrong, damagedFiles, marked }: RepairPlan): boolean {
  return read.size + missing.length + wrong.length + damagedFiles.length + marked.size > 0;
}

/** Carries out a plan, made under the exclusive lock that the caller still holds. */
export async function executeIndexRepair(
  repository: Repository,
  plan: RepairPlan,
  options: RepairOptions = {},
): Promise<RepairResult> {
  const { signal, onProgress } = options;
  refuseAppendOnly(repository, 'no index file may be replaced');
  const clock = options.clock ?? systemClock;
  const writer = new IndexWriter(repository, clock);
  const unreadable: { id: string; message: string }[] = [];
  const read = new Set<string>();
  await mapLimited(plan.read, readsAtOnce, async ([id, sizeBytes]) => {
    signal?.throwIfAborted();
    try {
      const blobs = await readPackHeader(repository, id, sizeBytes);
      await writer.add({ id, blobs });
      read.add(id);
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      unreadable.push({ id, message: messageOf(error) });
    }
    onProgress?.(read.size + unreadable.length, plan.read.size);
  });
  await writer.flush();
  signal?.throwIfAborted();
  const untrue = new Set(plan.missing);
  const replaced = await dropFromIndex(repository, plan.indexFiles, (id) => untrue.has(id) || read.has(id), {
    clock,
    isUnmarked: (id) => read.has(id),
    ...(signal ? { signal } : {}),
  });
  await removeIndexFiles(repository, plan.damagedFiles, signal);
  return { packsRead: read.size, unreadable, indexFilesReplaced: replaced + plan.damagedFiles.length };
}

/** What the index says of packs, held against what is there. */
class Listed {
  /** With the digest of its blobs. */
  readonly right = new Map<string, string>();
  readonly wrong = new Set<string>();
  readonly missing = new Set<string>();
  readonly marked = new Set<string>();
  readonly #stored: ReadonlyMap<string, number>;

  constructor(stored: ReadonlyMap<string, number>) {
    this.#stored = stored;
  }

  add({ id, blobs }: IndexedPack): void {
    const sizeBytes = this.#stored.get(id);
    if (sizeBytes === undefined) this.missing.add(id);
    else if (sizeBytes !== packFileBytes(blobs)) this.wrong.add(id);
    else {
      const digest = hash('sha256', blobs.map((blob) => `${blob.type} ${blob.id} ${blob.offset}`).join('\n'), 'base64');
      const known = this.right.get(id);
      if (known !== undefined && known !== digest) this.wrong.add(id);
      this.right.set(id, digest);
    }
  }
}
