/**
 * What happens to every blob on its way: hash, compress, seal; and back: open, decompress.
 * Works on views of buffers that live as long as the worker, since fresh large buffers cost more than the work.
 */
import { randomFillSync, timingSafeEqual } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import type { CodecPrimitives } from './codec-primitives.ts';
import type { MasterKey } from './crypto.ts';
import { nativePrimitives } from './native-codec.ts';
import { plainPrimitives } from './plain-codec.ts';

/** Belongs to one thread. Sealed form (restic format, crypto envelope): IV 16 ‖ AES-256-CTR ‖ Poly1305-AES 16. */
export interface BlobCodec {
  readonly kind: 'native' | 'plain';
  /** SHA-256 of data into target[targetOffset, targetOffset + 32). */
  hash(data: Uint8Array, target: Uint8Array, targetOffset: number): void;
  /**
   * One zstd frame of data into target from targetOffset; its length. 0 when the frame would not save a sixteenth, or
   * when target has no room for it: then store the data as it is. Levels above 19 count as 19, which keeps the window
   * at 8 MiB. Throws COMPRESSION_FAULTY when verifying fails.
   */
  compress(data: Uint8Array, target: Uint8Array, targetOffset: number, level: number): number;
  /** Fills target, whose length is the blob's known size. Throws FILE_DAMAGED; `name` is for its message. */
  decompress(frame: Uint8Array, target: Uint8Array, name?: string): void;
  /** The plaintext target[offset + 16, offset + 16 + length) becomes its sealed form target[offset, offset + length + 32). */
  sealInPlace(target: Uint8Array, offset: number, length: number): void;
  /** As sealInPlace, for a plaintext that lies elsewhere: saves the copy of a blob that is stored as it is. */
  sealFrom(data: Uint8Array, target: Uint8Array, offset: number): void;
  /**
   * Verifies, then decrypts into target, which may be sealed.subarray(16); the plaintext's length. Throws FILE_DAMAGED,
   * with target as it was.
   */
  open(sealed: Uint8Array, target: Uint8Array, name?: string): number;
}

export interface BlobCodecOptions {
  /** Decompress what was compressed and compare before it counts. Default true. */
  readonly verify?: boolean;
  /** Default: native where its libraries are there and pass a test against plain, else plain. */
  readonly kind?: 'native' | 'plain';
}

const hashBytes = 32;
const ivBytes = 16;
const macBytes = 16;
const highestLevel = 19;

export function createBlobCodec(key: MasterKey, options: BlobCodecOptions = {}): BlobCodec {
  const kind = options.kind ?? codecKind();
  return codecOver(kind === 'native' ? nativePrimitives(key) : plainPrimitives(key), options.verify ?? true);
}

/** The kind to use here; found out once a thread. */
export function codecKind(): 'native' | 'plain' {
  return nativeWorks() ? 'native' : 'plain';
}

/** The rules that both kinds share. */
export function codecOver(primitives: CodecPrimitives, verify: boolean): BlobCodec {
  const ivPool = Buffer.alloc(1024 * ivBytes);
  let ivsUsedBytes = ivPool.length;
  const computedMac = Buffer.alloc(macBytes);
  let scratch = Buffer.alloc(0);

  function decompressesTo(data: Uint8Array, frame: Uint8Array): boolean {
    if (scratch.length < data.length) scratch = Buffer.allocUnsafeSlow(Math.max(data.length, 2 * scratch.length));
    const back = scratch.subarray(0, data.length);
    return primitives.decompress(frame, back) === data.length && Buffer.compare(back, data) === 0;
  }

  function seal(data: Uint8Array, target: Uint8Array, offset: number): void {
    if (ivsUsedBytes === ivPool.length) {
      randomFillSync(ivPool);
      ivsUsedBytes = 0;
    }
    const iv = room(target, offset, ivBytes);
    const text = room(target, offset + ivBytes, data.length);
    const mac = room(target, offset + ivBytes + data.length, macBytes);
    iv.set(ivPool.subarray(ivsUsedBytes, ivsUsedBytes + ivBytes));
    ivsUsedBytes += ivBytes;
    primitives.crypt(iv, data, text);
    primitives.authenticate(iv, text, mac);
  }

  return {
    kind: primitives.kind,
    hash(data, target, targetOffset) {
      primitives.hash(data, room(target, targetOffset, hashBytes));
    },
    compress(data, target, targetOffset, level) {
      const worthwhile = data.length - Math.max(data.length >> 4, 1);
      const to = target.subarray(targetOffset, targetOffset + Math.max(worthwhile, 0));
      if (to.length === 0) return 0;
      const size = primitives.compress(data, to, Math.min(level, highestLevel));
      if (size > 0 && verify && !decompressesTo(data, to.subarray(0, size))) {
        throw new HoldfastError('COMPRESSION_FAULTY', { bytes: data.length });
      }
      return size;
    },
    decompress(frame, target, name = '(unnamed)') {
      if (primitives.decompress(frame, target) !== target.length) {
        throw new HoldfastError('FILE_DAMAGED', { kind: 'Blob', name, reason: 'it does not decompress to its size' });
      }
    },
    sealInPlace(target, offset, length) {
      seal(room(target, offset + ivBytes, length), target, offset);
    },
    sealFrom: seal,
    open(sealed, target, name = '(unnamed)') {
      const end = sealed.length - macBytes;
      if (end < ivBytes) {
        throw new HoldfastError('FILE_DAMAGED', { kind: 'Blob', name, reason: `it has only ${sealed.length} bytes` });
      }
      const iv = sealed.subarray(0, ivBytes);
      const text = sealed.subarray(ivBytes, end);
      primitives.authenticate(iv, text, computedMac);
      if (!timingSafeEqual(computedMac, sealed.subarray(end))) {
        throw new HoldfastError('FILE_DAMAGED', { kind: 'Blob', name, reason: 'its authentication code is wrong' });
      }
      primitives.crypt(iv, text, room(target, 0, text.length));
      return text.length;
    },
  };
}

/** Native code writes past the end of a view that is too short, so every view that it fills is made here. */
function room(target: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset + length > target.length) {
    throw new RangeError(`${length} bytes at ${offset} do not fit into ${target.length}`);
  }
  return target.subarray(offset, offset + length);
}

let nativeWorksHere: boolean | undefined;

/** Whether the native half is there and agrees with the plain one. */
function nativeWorks(): boolean {
  if (nativeWorksHere === undefined) {
    try {
      const key = { encrypt: Buffer.alloc(32, 1), macK: Buffer.alloc(16, 2), macR: Buffer.alloc(16, 3) };
      nativeWorksHere = [1, 64, 1000, 70_000].every((size) => agree(nativePrimitives(key), plainPrimitives(key), size));
    } catch {
      nativeWorksHere = false;
    }
  }
  return nativeWorksHere;
}

/** Same hash, ciphertext and MAC, and each reads the frame of the other. */
export function agree(one: CodecPrimitives, other: CodecPrimitives, size: number): boolean {
  const data = Buffer.from(Array.from({ length: size }, (_, i) => (i * i) >> 5));
  const iv = Buffer.alloc(ivBytes, 0xfe);
  const results = [one, other].map((primitives, i) => {
    const out = Buffer.alloc(32 + size + macBytes);
    primitives.hash(data, out.subarray(0, 32));
    primitives.crypt(iv, data, out.subarray(32, 32 + size));
    primitives.authenticate(iv, out.subarray(32, 32 + size), out.subarray(32 + size));
    const frame = Buffer.alloc(size + 64);
    const frameBytes = primitives.compress(data, frame, 1);
    const back = Buffer.alloc(size);
    const reader = i === 0 ? other : one;
    return reader.decompress(frame.subarray(0, frameBytes), back) === size && back.equals(data) ? out : undefined;
  });
  const [first, second] = results;
  return first !== undefined && second !== undefined && first.equals(second);
}

const sampleCount = 16;
const sampleBytes = 1024;
const counts = new Uint32Array(512);

/** Blobs below are never judged: compressing them costs little more. */
const judgedFromBytes = 64 << 10;

/**
 * True when zstd will not pay: 16 samples of 1 KiB hold all byte values, and all differences of neighbours, about
 * equally often (above 7.85 bits a byte).
 */
export function looksIncompressible(data: Uint8Array): boolean {
  if (data.length < judgedFromBytes) return false;
  const total = sampleCount * sampleBytes;
  counts.fill(0);
  const stride = Math.floor((data.length - sampleBytes) / (sampleCount - 1));
  for (let sample = 0; sample < sampleCount; sample++) {
    let previous = 0;
    for (let i = sample * stride, end = i + sampleBytes; i < end; i++) {
      const byte = data[i] as number;
      counts[byte] = (counts[byte] as number) + 1;
      const step = 256 + ((byte - previous) & 255);
      counts[step] = (counts[step] as number) + 1;
      previous = byte;
    }
  }
  return evenlySpread(0, total) && evenlySpread(256, total);
}

/** A chi-square of up to a fifth of the sample: about 0.15 bits a byte less than random. */
function evenlySpread(from: number, total: number): boolean {
  let squares = 0;
  for (let i = from; i < from + 256; i++) squares += (counts[i] as number) ** 2;
  return (squares * 256) / total - total < total / 5;
}
