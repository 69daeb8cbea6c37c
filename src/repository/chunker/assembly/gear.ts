/**
 * Gear v1: the cut rule of docs/chunker.md over raw memory. The host imports its memory, writes the table to TABLE
 * and the data from the second page on, and calls `next` with addresses.
 */

/** Address of 256 u64, written by the host before the first call. */
const TABLE: usize = 1024;

const MIN: usize = 512 * 1024;
const NORMAL: usize = 1408 * 1024;
const MAX: usize = 8 * 1024 * 1024;
const WINDOW: usize = 64;
/** Zeros at the end of a chunk that end it. */
const ZERO_TAIL: usize = 64 * 1024;
/** A chunk is looked at in blocks; less than ZERO_TAIL - WINDOW, so that no zero tail passes between two looks. */
const BLOCK: usize = 16 * 1024;

/** 22 bits up to NORMAL, 18 of the same bits after it. */
const HARD: u64 = 0xeeeeaaaaa0000000;
const EASY: u64 = 0xaaaaaaaaa0000000;

/** Zeros counted from the chunk's start; meaningful until leadEnded. */
let lead: usize = 0;
let leadEnded: bool = false;
/** Bytes of the chunk that are in `hash`; 0 until the chunk has MIN bytes. */
let scanned: usize = 0;
let hash: u64 = 0;

export function reset(): void {
  lead = 0;
  leadEnded = false;
  scanned = 0;
}

/** Length of the chunk that starts at `start`, or 0 when the cut lies beyond `end` and more data follows. */
export function next(start: usize, end: usize, last: bool): usize {
  const length = min(end - start, MAX);
  if (!leadEnded) {
    lead = zeroRunEnd(start + lead, start + length) - start;
    if (lead == length) return last || length == MAX ? cut(length) : 0;
    if (lead >= MIN) return cut(lead);
    leadEnded = true;
  }
  if (length >= MIN) {
    const found = scan(start, length);
    if (found) return cut(found);
  }
  return last || length == MAX ? cut(length) : 0;
}

@inline
function cut(length: usize): usize {
  reset();
  return length;
}

/** Goes on from `scanned` to `length`; the length to cut at, or 0. */
function scan(start: usize, length: usize): usize {
  if (scanned == 0) {
    scanned = MIN - 1;
    hash = 0;
    for (let p = start + scanned - WINDOW, to = start + scanned; p < to; ++p) hash = step(hash, p);
  }
  const zeroHash: u64 = 0 - load<u64>(TABLE);
  while (scanned < length) {
    const hard = scanned < NORMAL;
    const to = min(scanned + BLOCK, hard ? min(NORMAL, length) : length);
    if (hash == zeroHash) {
      const found = zeroTail(start, to);
      if (found) return found;
    }
    const found = scanBlock(start + scanned, start + to, hard ? HARD : EASY);
    if (found) return found - start;
    scanned = to;
  }
  return 0;
}

/** The first length in (scanned, to] that has ZERO_TAIL zeros at its end, or 0. */
function zeroTail(start: usize, to: usize): usize {
  const here = start + scanned;
  const runStart = zeroRunStart(here, max(start, here - ZERO_TAIL));
  const tail = max(runStart - start + ZERO_TAIL, MIN);
  if (tail > to) return 0;
  return zeroRunEnd(here, start + tail) == start + tail ? tail : 0;
}

@inline
function step(h: u64, p: usize): u64 {
  return (h << 1) + load<u64>(TABLE + ((<usize>load<u8>(p)) << 3));
}

/** Hashes [p, to); the address after the first byte where the hash has no bit of the mask, or 0. */
function scanBlock(p: usize, to: usize, mask: u64): usize {
  let h = hash;
  const even = p + ((to - p) & ~7);
  while (p < even) {
    h = step(h, p);
    if (!(h & mask)) return p + 1;
    h = step(h, p + 1);
    if (!(h & mask)) return p + 2;
    h = step(h, p + 2);
    if (!(h & mask)) return p + 3;
    h = step(h, p + 3);
    if (!(h & mask)) return p + 4;
    h = step(h, p + 4);
    if (!(h & mask)) return p + 5;
    h = step(h, p + 5);
    if (!(h & mask)) return p + 6;
    h = step(h, p + 6);
    if (!(h & mask)) return p + 7;
    h = step(h, p + 7);
    if (!(h & mask)) return p + 8;
    p += 8;
  }
  while (p < to) {
    h = step(h, p++);
    if (!(h & mask)) return p;
  }
  hash = h;
  return 0;
}

/** The first address in [p, to) that holds a byte other than zero, or `to`. */
function zeroRunEnd(p: usize, to: usize): usize {
  while (p + 64 <= to) {
    const a = v128.or(v128.load(p), v128.load(p + 16));
    const b = v128.or(v128.load(p + 32), v128.load(p + 48));
    if (v128.any_true(v128.or(a, b))) break;
    p += 64;
  }
  while (p < to && !load<u8>(p)) ++p;
  return p;
}

/** The lowest address s in [from, p] with only zeros in [s, p). */
function zeroRunStart(p: usize, from: usize): usize {
  while (p >= from + 16 && !v128.any_true(v128.load(p - 16))) p -= 16;
  while (p > from && !load<u8>(p - 1)) --p;
  return p;
}
