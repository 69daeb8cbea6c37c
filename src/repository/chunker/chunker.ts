/**
 * Finds where a file is cut into chunks. The rules run in WASM (assembly/*.ts) over a memory that the caller reads
 * files straight into: no byte is copied between reading, cutting and hashing. Definitions: docs/chunker.md.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RepositoryConfig } from '../format/config.ts';
import { remainder } from '../format/polynomial.ts';

export type ChunkerKind = 'gear-v1' | 'rabin';

export interface ChunkerConfig {
  /** The secret polynomial of the repository's config. */
  readonly polynomial: bigint;
  readonly kind: ChunkerKind;
}

/** Our own repositories carry the mark of the gear chunker; every other one is cut as restic does. */
export function chunkerOf(config: RepositoryConfig): ChunkerConfig {
  return { kind: config.holdfast_chunker ?? 'rabin', polynomial: BigInt(`0x${config.chunker_polynomial}`) };
}

/** One file at a time; belongs to one thread. */
export interface Chunker {
  /** Where the caller puts the data. Of fixed size, and never detached. */
  readonly buffer: Buffer;
  /** Begins a new file, or a new segment of one. */
  reset(): void;
  /**
   * The length of the chunk that begins at `start`, of the data in buffer[start, end); 0 when more data is needed.
   * Goes on where the last call ended: after a 0 call again with more bytes of the same chunk, which may have been
   * moved to another place as a whole. `final`: no more data follows in this file or segment, so the rest is a chunk
   * (0 then means that there was none).
   */
  next(start: number, end: number, final: boolean): number;
  /** The length of a chunk that begins with more zeros than that. */
  readonly zeroChunkBytes: number;
  /**
   * For a caller who knows, right after a cut, that `zeroBytes` zeros follow: how many of them are whole chunks of
   * zeroChunkBytes, which then count as cut.
   */
  skipZeros(zeroBytes: number): number;
}

/** No chunk is longer, whatever the kind. */
export const maxChunkBytes = 8 * 1024 * 1024;

/** The fingerprint of zeros is zero, so restic's rule cuts them as soon as it may. */
const rabinZeroChunkBytes = 512 * 1024;

/** Gear v1 cuts a file at every multiple of this, so that segments can be cut by different workers. */
export const segmentBytes = 64 * 1024 * 1024;

const pageBytes = 65536;
/** Addresses that assembly/*.ts share with us. The data begins at the second page. */
const tableAddress = 1024;
const dataAddress = pageBytes;
const defaultBufferBytes = 2 * maxChunkBytes + 1024 * 1024;

interface CutterExports {
  reset(): void;
  next(start: number, end: number, last: number): number;
}

const modules = new Map<ChunkerKind, WebAssembly.Module>();

/** Synchronous, for worker threads. `bufferBytes` must hold the longest chunk and is rounded up to 64 KiB. */
export function createChunker(config: ChunkerConfig, bufferBytes: number = defaultBufferBytes): Chunker {
  if (bufferBytes < maxChunkBytes) throw new TypeError(`a chunker needs ${maxChunkBytes} bytes, not ${bufferBytes}`);
  const pages = Math.ceil(bufferBytes / pageBytes) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(loadModule(config.kind), { env: { memory } });
  const cutter = instance.exports as unknown as CutterExports;
  const tables = new BigUint64Array(memory.buffer, tableAddress);
  const buffer = Buffer.from(memory.buffer, dataAddress);
  if (config.kind === 'gear-v1') {
    tables.set(gearTable(config.polynomial));
    return segmentedChunker(buffer, cutter);
  }
  tables.set(rabinTables(config.polynomial));
  return {
    buffer,
    reset: cutter.reset,
    next: (start, end, final) => cutter.next(dataAddress + start, dataAddress + end, final ? 1 : 0),
    zeroChunkBytes: rabinZeroChunkBytes,
    skipZeros: (zeroBytes) => zeroBytes - (zeroBytes % rabinZeroChunkBytes),
  };
}

/** Cuts at every multiple of a segment too, counted from the last reset. */
function segmentedChunker(buffer: Buffer, cutter: CutterExports): Chunker {
  let leftInSegment = segmentBytes;
  return {
    buffer,
    reset() {
      leftInSegment = segmentBytes;
      cutter.reset();
    },
    next(start, end, final) {
      const segmentEnds = end - start >= leftInSegment;
      const to = segmentEnds ? start + leftInSegment : end;
      const length = cutter.next(dataAddress + start, dataAddress + to, final || segmentEnds ? 1 : 0);
      leftInSegment -= length;
      if (leftInSegment === 0) leftInSegment = segmentBytes;
      return length;
    },
    zeroChunkBytes: maxChunkBytes,
    skipZeros(zeroBytes) {
      // Where the end of the segment would shorten a chunk, only those before it are whole.
      const within = leftInSegment % maxChunkBytes === 0 ? zeroBytes : Math.min(zeroBytes, leftInSegment);
      const skipped = within - (within % maxChunkBytes);
      leftInSegment = segmentBytes - ((segmentBytes - leftInSegment + skipped) % segmentBytes);
      return skipped;
    },
  };
}

function loadModule(kind: ChunkerKind): WebAssembly.Module {
  const name = kind === 'rabin' ? './rabin.wasm' : './gear.wasm';
  const module = modules.get(kind) ?? new WebAssembly.Module(readFileSync(new URL(name, import.meta.url)));
  modules.set(kind, module);
  return module;
}

/**
 * table[i] = the first 8 bytes, little-endian, of SHA-256('holdfast gear v1' ‖ polynomial as 8 bytes LE ‖ i as a byte);
 * bit 63 of table[0] is cleared, so that the hash of zeros has it set and is never a cut.
 */
export function gearTable(polynomial: bigint): BigUint64Array {
  const input = Buffer.concat([Buffer.from('holdfast gear v1'), Buffer.alloc(9)]);
  input.writeBigUInt64LE(polynomial, 16);
  const table = BigUint64Array.from({ length: 256 }, (_, i) => {
    input[24] = i;
    return hash('sha256', input, 'buffer').readBigUInt64LE(0);
  });
  table[0] = BigInt.asUintN(63, table[0] as bigint);
  return table;
}

/** Restic format, chunker: what a byte adds when it passes the top (256), and when it leaves the window (256). */
export function rabinTables(polynomial: bigint): BigUint64Array {
  const tables = new BigUint64Array(512);
  for (let i = 0; i < 256; i++) {
    const shifted = BigInt(i) << 53n;
    tables[i] = remainder(shifted, polynomial) | shifted;
    tables[256 + i] = remainder(BigInt(i) << (8n * 64n), polynomial);
  }
  return tables;
}
