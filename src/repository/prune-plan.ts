/**
 * What a prune does with each pack, decided from facts alone. The rules are restic's (its prune command), so that both
 * programs come to the same repository.
 */
import { HoldfastError } from '../base/errors.ts';

/** A pack that the index lists. Sizes are those of sealed blobs; the header counts as used. */
export interface PackFacts {
  readonly id: string;
  readonly kind: 'data' | 'tree' | 'mixed';
  /** The size that it must have by the index. */
  readonly indexedBytes: number;
  /** The size that it has; undefined where it is missing. */
  readonly storedBytes: number | undefined;
  /** Of a blob in several packs, one copy is used and all others are not. */
  readonly usedBlobs: number;
  readonly unusedBlobs: number;
  readonly usedBytes: number;
  readonly unusedBytes: number;
  /** It holds trees that are not compressed, though the repository's format could. */
  readonly hasPlainTrees: boolean;
}

/** A pack that no index lists. */
export interface UnreferencedPack {
  readonly id: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface PruneFacts {
  readonly packs: readonly PackFacts[];
  readonly unreferenced: readonly UnreferencedPack[];
  /** When the lock of this run was taken, by the store's clock. */
  readonly lockedSinceMs: number;
}

/** How much of the repository may stay unused, after the prune. */
export type UnusedLimit = { readonly percent: number } | { readonly bytes: number } | 'unlimited';

export interface PruneOptions {
  /** Default 5 percent. */
  readonly maxUnused?: UnusedLimit;
  /** Most bytes of packs that are written anew. Default no limit. */
  readonly maxRepackBytes?: number;
  /** Take packs for small up to 80 percent of a full pack. Default: of the size that most packs have. */
  readonly repackSmall?: boolean;
  /** What a full pack has. Default 16 MiB. */
  readonly packSizeBytes?: number;
}

/**
 * keep: left alone. repack: what is used goes into new packs. remove: out of the index, then deleted.
 * sweep: in no index, deleted at once. drop: gone already, only taken out of the index.
 */
export type PackAction = 'keep' | 'repack' | 'remove' | 'sweep' | 'drop';

export interface PackDecision {
  readonly id: string;
  readonly action: PackAction;
  readonly reason: string;
  readonly sizeBytes: number;
}

export interface PruneTotals {
  /** Packs by what happens to them. */
  readonly packs: Readonly<Record<PackAction, number>>;
  readonly bytes: Readonly<Record<PackAction, number>>;
  readonly usedBytes: number;
  readonly unusedBytes: number;
  /** What the repository shrinks by. */
  readonly freedBytes: number;
  readonly unusedAfterBytes: number;
}

export interface PrunePlan {
  readonly decisions: readonly PackDecision[];
  readonly totals: PruneTotals;
}

const defaultPackSizeBytes = 16 << 20;
const smallestTargetBytes = 4 << 20;
/** Fewer small packs than this are not worth the work, and would be repacked again by every prune. */
const fewestSmallPacks = 10;

/** Decides on every pack. Throws PRUNE_REFUSED where a pack that is needed is missing or has a wrong size. */
export function planPrune(facts: PruneFacts, options: PruneOptions = {}): PrunePlan {
  const decisions: PackDecision[] = [];
  const decide = (pack: PackFacts, action: PackAction, reason: string): void => {
    decisions.push({ id: pack.id, action, reason, sizeBytes: pack.storedBytes ?? 0 });
  };
  const targetBytes = targetOf(facts.packs, options);
  const candidates: PackFacts[] = [];
  const small: PackFacts[] = [];
  for (const pack of facts.packs) {
    refuseUnsound(pack);
    if (pack.usedBlobs === 0) {
      if (pack.storedBytes === undefined) decide(pack, 'drop', 'it is missing, and nothing in it is used');
      else decide(pack, 'remove', 'nothing in it is used');
    } else if (pack.unusedBlobs > 0 || pack.kind === 'mixed' || pack.hasPlainTrees) candidates.push(pack);
    else if (pack.indexedBytes >= targetBytes) decide(pack, 'keep', 'all of it is used');
    else small.push(pack);
  }
  if (small.length >= fewestSmallPacks) candidates.push(...small);
  else for (const pack of small) decide(pack, 'keep', 'all of it is used, and few packs are small');

  const removedUnused = facts.packs.reduce((sum, pack) => (pack.usedBlobs === 0 ? sum + pack.unusedBytes : sum), 0);
  chooseRepacks(candidates, sumOf(facts.packs, 'unusedBytes') - removedUnused, { targetBytes, facts, options, decide });
  for (const { id, sizeBytes, modifiedMs } of facts.unreferenced) {
    const isNew = modifiedMs >= facts.lockedSinceMs;
    const reason = isNew ? 'no index lists it yet: it is newer than the lock of this run' : 'no index lists it';
    decisions.push({ id, action: isNew ? 'keep' : 'sweep', reason, sizeBytes });
  }
  return { decisions, totals: totalsOf(facts, decisions) };
}

interface RepackChoice {
  readonly targetBytes: number;
  readonly facts: PruneFacts;
  readonly options: PruneOptions;
  readonly decide: (pack: PackFacts, action: PackAction, reason: string) => void;
}

/** `unusedBytes`: what is left unused when only unused packs are removed. */
function chooseRepacks(candidates: PackFacts[], unusedBytes: number, choice: RepackChoice): void {
  const { targetBytes, facts, options, decide } = choice;
  const limitBytes = unusedLimitBytes(options.maxUnused ?? { percent: 5 }, sumOf(facts.packs, 'usedBytes'));
  const maxRepackBytes = options.maxRepackBytes ?? Number.POSITIVE_INFINITY;
  let leftUnused = unusedBytes;
  let repackedBytes = 0;
  for (const pack of candidates.sort((a, b) => byWorth(a, b, targetBytes))) {
    if (repackedBytes + pack.indexedBytes >= maxRepackBytes) {
      decide(pack, 'keep', 'the limit of what may be repacked is reached');
    } else if (
      pack.kind === 'data' &&
      !pack.hasPlainTrees &&
      leftUnused < limitBytes &&
      pack.indexedBytes >= targetBytes
    ) {
      decide(pack, 'keep', 'as much as is left unused is allowed');
    } else {
      decide(pack, 'repack', repackReason(pack));
      repackedBytes += pack.indexedBytes;
      leftUnused -= pack.unusedBytes;
    }
  }
}

function repackReason({ kind, unusedBytes, indexedBytes, unusedBlobs, hasPlainTrees }: PackFacts): string {
  if (kind === 'mixed') return 'it mixes trees and data';
  if (unusedBlobs > 0) return `${Math.max(1, Math.round((100 * unusedBytes) / indexedBytes))}% of it is unused`;
  return hasPlainTrees ? 'its trees are not compressed' : 'it is small';
}

/** Trees and mixed packs first, then small packs, then those with the largest unused share. */
function byWorth(a: PackFacts, b: PackFacts, targetBytes: number): number {
  return (
    Number(a.kind === 'data') - Number(b.kind === 'data') ||
    Number(a.indexedBytes >= targetBytes) - Number(b.indexedBytes >= targetBytes) ||
    b.unusedBytes * a.usedBytes - a.unusedBytes * b.usedBytes
  );
}

function refuseUnsound({ id, storedBytes, indexedBytes, usedBlobs }: PackFacts): void {
  if (usedBlobs === 0 || storedBytes === indexedBytes) return;
  const wrong = storedBytes === undefined ? 'is missing' : `has ${storedBytes} bytes, and must have ${indexedBytes}`;
  throw new HoldfastError('PRUNE_REFUSED', { reason: `the pack ${id} ${wrong}, and backups need it` });
}

/** Packs below this size are small. */
function targetOf(packs: readonly PackFacts[], options: PruneOptions): number {
  if (options.repackSmall) return 0.8 * (options.packSizeBytes ?? defaultPackSizeBytes);
  const sizes = packs.map(({ storedBytes }) => storedBytes ?? 0).sort((a, b) => a - b);
  const common = sizes[Math.floor(sizes.length * 0.03)] ?? 0;
  return 0.8 * Math.max(smallestTargetBytes, common);
}

function unusedLimitBytes(limit: UnusedLimit, usedBytes: number): number {
  if (limit === 'unlimited') return Number.POSITIVE_INFINITY;
  if ('bytes' in limit) return limit.bytes;
  // A share of the repository as it is afterwards, not of what is used.
  return limit.percent >= 100 ? Number.POSITIVE_INFINITY : (limit.percent / (100 - limit.percent)) * usedBytes;
}

function totalsOf(facts: PruneFacts, decisions: readonly PackDecision[]): PruneTotals {
  const none = { keep: 0, repack: 0, remove: 0, sweep: 0, drop: 0 };
  const [packs, bytes] = [{ ...none }, { ...none }];
  const actions = new Map<string, PackAction>();
  for (const { id, action, sizeBytes } of decisions) {
    packs[action] += 1;
    bytes[action] += sizeBytes;
    if (action === 'repack') actions.set(id, action);
  }
  const repacked = facts.packs.filter(({ id }) => actions.has(id));
  const usedBytes = sumOf(facts.packs, 'usedBytes');
  const unusedBytes = sumOf(facts.packs, 'unusedBytes');
  const repackFreed = sumOf(repacked, 'unusedBytes');
  const removed = sumOf(
    facts.packs.filter((pack) => pack.usedBlobs === 0),
    'unusedBytes',
  );
  return {
    packs,
    bytes,
    usedBytes,
    unusedBytes,
    freedBytes: bytes.remove + bytes.sweep + repackFreed,
    unusedAfterBytes: unusedBytes - removed - repackFreed,
  };
}

function sumOf(packs: readonly PackFacts[], field: 'usedBytes' | 'unusedBytes'): number {
  return packs.reduce((sum, pack) => sum + pack[field], 0);
}
