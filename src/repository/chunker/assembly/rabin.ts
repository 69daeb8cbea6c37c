/**
 * restic's chunker (restic format, chunker): a Rabin fingerprint of the last 64 bytes, cut where its low 20 bits are
 * zero. The host imports its memory, writes the two tables and the data from the second page on, and calls `next`
 * with addresses.
 */

/** Address of 256 u64: (b · x^53 mod P) | b << 53. */
const MOD: usize = 1024;
/** Address of 256 u64: b · x^(8·64) mod P, what a byte is worth when it leaves the window. */
const OUT: usize = 1024 + 2048;

const MIN: usize = 512 * 1024;
const MAX: usize = 8 * 1024 * 1024;
const WINDOW: usize = 64;
const MASK: u64 = (1 << 20) - 1;
/** Degree of the polynomial less a byte. */
const SHIFT: u64 = 53 - 8;
/** A fingerprint waits for its own last step, so four stretches of this length are done side by side. */
const LANE: usize = 4096;

/** Bytes of the chunk that are in `digest`; 0 until the chunk has MIN bytes. */
let scanned: usize = 0;
let digest: u64 = 0;

export function reset(): void {
  scanned = 0;
}

/** Length of the chunk that starts at `start`, or 0 when the cut lies beyond `end` and more data follows. */
export function next(start: usize, end: usize, last: bool): usize {
  const length = min(end - start, MAX);
  if (length >= MIN) {
    const found = scan(start, length);
    if (found) return cut(found - start);
  }
  return last || length == MAX ? cut(length) : 0;
}

@inline
function cut(length: usize): usize {
  reset();
  return length;
}

/** Goes on from `scanned` to `length`; the address to cut at, or 0. */
function scan(start: usize, length: usize): usize {
  if (scanned == 0) {
    scanned = MIN - 1;
    digest = warm(start + scanned);
  }
  while (scanned < length) {
    const wide = scanned + 4 * LANE <= length;
    const to = wide ? scanned + 4 * LANE : length;
    const found = wide ? scanLanes(start + scanned) : scanBlock(start + scanned, start + to);
    if (found) return found;
    scanned = to;
  }
  return 0;
}

@inline
function append(d: u64, p: usize): u64 {
  return ((d << 8) | load<u8>(p)) ^ load<u64>(MOD + ((<usize>(d >> SHIFT)) << 3));
}

@inline
function roll(d: u64, p: usize): u64 {
  return append(d, p) ^ load<u64>(OUT + ((<usize>load<u8>(p - WINDOW)) << 3));
}

/** The fingerprint of the 64 bytes before p. */
function warm(p: usize): u64 {
  let d: u64 = 0;
  for (let from = p - WINDOW; from < p; ++from) d = append(d, from);
  return d;
}

/** Rolls over [p, to); the address after the first byte with a cut, or 0. */
function scanBlock(p: usize, to: usize): usize {
  let d = digest;
  while (p < to) {
    d = roll(d, p++);
    if (!(d & MASK)) return p;
  }
  digest = d;
  return 0;
}

/** As scanBlock for the 4 · LANE bytes from p. */
function scanLanes(p: usize): usize {
  const end = p + LANE;
  let d0 = digest;
  let d1 = warm(p + LANE);
  let d2 = warm(p + 2 * LANE);
  let d3 = warm(p + 3 * LANE);
  let found: usize = usize.MAX_VALUE;
  while (p < end) {
    d0 = roll(d0, p);
    d1 = roll(d1, p + LANE);
    d2 = roll(d2, p + 2 * LANE);
    d3 = roll(d3, p + 3 * LANE);
    ++p;
    if (!(d0 & MASK)) return p;
    if (!(d1 & MASK)) found = min(found, p + LANE);
    if (!(d2 & MASK)) found = min(found, p + 2 * LANE);
    if (!(d3 & MASK)) found = min(found, p + 3 * LANE);
  }
  if (found != usize.MAX_VALUE) return found;
  digest = d3;
  return 0;
}
