/** The blob codec: both halves do the same, what was tampered with is noticed, nothing is written past a view. */
import { execFileSync } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isHoldfastError } from '../../src/base/errors.ts';
import {
  agree,
  type BlobCodec,
  codecOver,
  createBlobCodec,
  looksIncompressible,
} from '../../src/repository/blob-codec.ts';
import type { CodecPrimitives } from '../../src/repository/codec-primitives.ts';
import { drawMasterKey, open, seal } from '../../src/repository/crypto.ts';
import { nativePrimitives } from '../../src/repository/native-codec.ts';
import { plainPrimitives } from '../../src/repository/plain-codec.ts';
import { tempDir } from '../setup/temp-dir.ts';

const key = drawMasterKey();
const native = createBlobCodec(key, { kind: 'native' });
const plain = createBlobCodec(key, { kind: 'plain' });
const codecs: [string, BlobCodec][] = [
  ['native', native],
  ['plain', plain],
];
const pairs: [string, BlobCodec, BlobCodec][] = [
  ['native', native, plain],
  ['plain', plain, native],
];
const text = Buffer.from('a line that repeats itself with small changes 0123456789\n'.repeat(3000));
const sizes = [1, 15, 16, 17, 1000, 65_536, 1_600_000];

function sealed(codec: BlobCodec, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(data.length + 32);
  bytes.set(data, 16);
  codec.sealInPlace(bytes, 0, data.length);
  return bytes;
}

function opened(codec: BlobCodec, bytes: Uint8Array): Buffer {
  const target = Buffer.alloc(bytes.length);
  return target.subarray(0, codec.open(bytes, target));
}

function codeOf(run: () => void): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return isHoldfastError(error) ? error.code : String(error);
  }
}

test('the native half is chosen where its libraries are', () => {
  expect(createBlobCodec(key).kind).toBe('native');
});

test('the plain half is chosen where koffi cannot be loaded', async () => {
  const folder = await tempDir();
  const blocker = join(folder, 'no-koffi.cjs');
  await writeFile(
    blocker,
    `const { Module } = require('node:module');
     const load = Module._load;
     Module._load = (name, ...rest) => { if (name === 'koffi') throw new Error('not here'); return load(name, ...rest); };`,
  );
  const codecUrl = new URL('../../src/repository/blob-codec.ts', import.meta.url).href;
  const program = `import { createBlobCodec } from '${codecUrl}';
    const key = { encrypt: Buffer.alloc(32, 1), macK: Buffer.alloc(16, 2), macR: Buffer.alloc(16, 3) };
    console.log(createBlobCodec(key).kind);`;
  const run = (...options: string[]) =>
    execFileSync(process.execPath, [...options, '--input-type=module', '--eval', program], { encoding: 'utf8' }).trim();
  expect(run('--require', blocker)).toBe('plain');
  expect(run()).toBe('native');
});

test.each(pairs)('what %s seals, the other half and the file functions open', (_, one, other) => {
  for (const size of sizes) {
    const data = randomBytes(size);
    const bytes = sealed(one, data);
    expect(opened(other, bytes).equals(data)).toBe(true);
    expect(open(key, bytes, { kind: 'Blob', name: 'x' }).equals(data)).toBe(true);
    expect(opened(one, seal(key, data)).equals(data)).toBe(true);
  }
});

test.each(codecs)('%s seals a blob from elsewhere as it does in place', (_, codec) => {
  const data = randomBytes(70_000);
  const target = Buffer.alloc(80_000, 0xaa);
  codec.sealFrom(data, target, 100);
  expect(opened(plain, target.subarray(100, 100 + 70_032)).equals(data)).toBe(true);
  expect(target.subarray(0, 100).every((byte) => byte === 0xaa)).toBe(true);
  expect(target.subarray(70_132).every((byte) => byte === 0xaa)).toBe(true);
});

test.each(codecs)('%s opens a blob onto itself', (_, codec) => {
  const data = randomBytes(5000);
  const bytes = sealed(codec, data);
  expect(codec.open(bytes, bytes.subarray(16))).toBe(data.length);
  expect(bytes.subarray(16, 16 + data.length).equals(data)).toBe(true);
});

test.each(pairs)('what %s compresses, the other half decompresses', (_, one, other) => {
  for (const level of [-3, 1, 2, 3, 22]) {
    const frame = Buffer.alloc(text.length);
    const length = one.compress(text, frame, 7, level);
    expect(length).toBeGreaterThan(0);
    const back = Buffer.alloc(text.length);
    other.decompress(frame.subarray(7, 7 + length), back);
    expect(back.equals(text)).toBe(true);
  }
});

test.each(codecs)('%s writes frames with their content size, without checksum, in a window of 8 MiB', (_, codec) => {
  const large = Buffer.alloc(20 * 1024 * 1024, text);
  for (const [data, level] of [
    [text, 1],
    [text.subarray(0, 200), 1],
    [large, 1],
    [large, 22],
  ] as const) {
    const frame = Buffer.alloc(data.length);
    codec.compress(data, frame, 0, level);
    expect(frame.readUInt32LE(0)).toBe(0xfd2fb528);
    const { contentSize, hasChecksum, windowBytes } = frameHeader(frame);
    expect({ contentSize, hasChecksum }).toEqual({ contentSize: data.length, hasChecksum: false });
    expect(windowBytes).toBeLessThanOrEqual(8 * 1024 * 1024);
  }
});

/** RFC 8878, 3.1.1.1. */
function frameHeader(frame: Buffer): { contentSize: number; hasChecksum: boolean; windowBytes: number } {
  const descriptor = frame.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const at = singleSegment ? 5 : 6;
  const contentSize = sizeBytes === 8 ? Number(frame.readBigUInt64LE(at)) : frame.readUIntLE(at, sizeBytes);
  const window = frame.readUInt8(5);
  const base = 2 ** (10 + (window >> 3));
  return {
    contentSize: sizeBytes === 2 ? contentSize + 256 : contentSize,
    hasChecksum: (descriptor & 4) !== 0,
    windowBytes: singleSegment ? contentSize : base + (base / 8) * (window & 7),
  };
}

test.each(codecs)('%s hashes as SHA-256 does', (_, codec) => {
  const target = Buffer.alloc(40);
  codec.hash(Buffer.from('abc'), target, 5);
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(target.subarray(5, 37).toString('hex')).toBe(expected);
  expect([...target.subarray(0, 5), ...target.subarray(37)]).toEqual(Array(8).fill(0));
});

test.each(codecs)('%s says 0 when compressing does not pay or finds no room', (_, codec) => {
  const target = Buffer.alloc(text.length);
  expect(codec.compress(randomBytes(100_000), target, 0, 1)).toBe(0);
  expect(codec.compress(text, target, target.length - 10, 1)).toBe(0);
  expect(codec.compress(text, target, target.length, 1)).toBe(0);
  expect(codec.compress(Buffer.from('a'), target, 0, 1)).toBe(0);
});

test.each(codecs)('%s notices any changed byte, and leaves the target as it was', (_, codec) => {
  const bytes = sealed(codec, Buffer.from('forty bytes of text that nobody may alter'));
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] = (changed[i] as number) ^ 0x10;
    const target = Buffer.alloc(bytes.length, 1);
    expect(codeOf(() => codec.open(changed, target))).toBe('FILE_DAMAGED');
    expect(target.every((byte) => byte === 1)).toBe(true);
  }
});

test.each(codecs)('%s refuses what is cut short, or sealed with another key', (_, codec) => {
  const bytes = sealed(codec, text);
  const target = Buffer.alloc(bytes.length);
  for (const length of [0, 16, 31, 32, bytes.length - 1]) {
    expect(codeOf(() => codec.open(bytes.subarray(0, length), target))).toBe('FILE_DAMAGED');
  }
  const stranger = createBlobCodec(drawMasterKey(), { kind: codec.kind });
  expect(codeOf(() => stranger.open(bytes, target))).toBe('FILE_DAMAGED');
});

test.each(codecs)('%s refuses frames that are damaged or of another size', (_, codec) => {
  const frame = Buffer.alloc(text.length);
  const length = codec.compress(text, frame, 0, 1);
  const sound = frame.subarray(0, length);
  for (const size of [text.length - 1, text.length + 1, 0]) {
    expect(codeOf(() => codec.decompress(sound, Buffer.alloc(size)))).toBe('FILE_DAMAGED');
  }
  const target = Buffer.alloc(text.length);
  expect(codeOf(() => codec.decompress(sound.subarray(0, length - 1), target))).toBe('FILE_DAMAGED');
  expect(codeOf(() => codec.decompress(text.subarray(0, 100), target))).toBe('FILE_DAMAGED');
});

test.each(codecs)('%s refuses to write past its target', (_, codec) => {
  const short = Buffer.alloc(100);
  expect(() => codec.hash(text, short, 69)).toThrow(RangeError);
  expect(() => codec.sealInPlace(short, 0, 69)).toThrow(RangeError);
  expect(() => codec.sealFrom(text, short, 0)).toThrow(RangeError);
  expect(() => codec.open(sealed(plain, text), short)).toThrow(RangeError);
});

test.each(codecs)('%s never uses an IV twice', (_, codec) => {
  const bytes = Buffer.alloc(33);
  const ivs = Array.from({ length: 5000 }, () => {
    codec.sealInPlace(bytes, 0, 1);
    return bytes.toString('hex', 0, 16);
  });
  expect(new Set(ivs).size).toBe(ivs.length);
});

test('a frame that does not come back the same is noticed before it counts', () => {
  const faulty = {
    ...plainPrimitives(key),
    decompress(frame: Uint8Array, out: Uint8Array) {
      const length = plainPrimitives(key).decompress(frame, out);
      out[17] = (out[17] as number) ^ 1;
      return length;
    },
  };
  const target = Buffer.alloc(text.length);
  expect(codeOf(() => codecOver(faulty, true).compress(text, target, 0, 1))).toBe('COMPRESSION_FAULTY');
  expect(codecOver(faulty, false).compress(text, target, 0, 1)).toBeGreaterThan(0);
});

test('the self-test tells a wrong half from a right one', () => {
  const right = plainPrimitives(key);
  expect(agree(nativePrimitives(key), right, 70_000)).toBe(true);
  const spoiled = (bytes: Uint8Array) => bytes.set([(bytes[0] as number) ^ 1]);
  const wrong: CodecPrimitives[] = [
    {
      ...right,
      hash(data, digest) {
        right.hash(data, digest);
        spoiled(digest);
      },
    },
    {
      ...right,
      crypt(iv, from, to) {
        right.crypt(iv, from, to);
        spoiled(to);
      },
    },
    {
      ...right,
      authenticate(iv, ciphertext, mac) {
        right.authenticate(iv, ciphertext, mac);
        spoiled(mac);
      },
    },
    { ...right, compress: () => 0 },
    { ...right, decompress: () => -1 },
  ];
  expect(wrong.map((half) => agree(half, right, 1000))).toEqual(wrong.map(() => false));
});

/** Bernstein, The Poly1305-AES message-authentication code (2005), appendix B: r, k, nonce, message, code. */
const poly1305Vectors: [string, string, string, string, string][] = [
  [
    '851fc40c3467ac0be05cc20404f3f700',
    'ec074c835580741701425b623235add6',
    'fb447350c4e868c52ac3275cf9d4327e',
    'f3f6',
    'f4c633c3044fc145f84f335cb81953de',
  ],
  [
    'a0f3080000f46400d0c7e9076c834403',
    '75deaa25c09f208e1dc4ce6b5cad3fbf',
    '61ee09218d29b0aaed7e154a2c5509cc',
    '',
    'dd3fab2251f11ac759f0887129cc2ee7',
  ],
  [
    '48443d0bb0d21109c89a100b5ce2c208',
    '6acb5f61a7176dd320c5c1eb2edcdc74',
    'ae212a55399729595dea458bc621ff0e',
    '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
    '0ee1c16bb73f0f4fd19881753c01cdbe',
  ],
  [
    '12976a08c4426d0ce8a82407c4f48207',
    'e1a5668a4d5b66a5f68cc5424ed5982d',
    '9ae831e743978d3a23527c7128149e3a',
    'ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9',
    '5154ad0d2cb26e01274fc51148491f1b',
  ],
];

test.each(poly1305Vectors)('both halves compute Poly1305-AES (r %s)', (r, k, nonce, message, code) => {
  const bytes = (hex: string) => Buffer.from(hex, 'hex');
  const material = { encrypt: Buffer.alloc(32), macK: bytes(k), macR: bytes(r) };
  for (const primitives of [nativePrimitives(material), plainPrimitives(material)]) {
    const mac = Buffer.alloc(16);
    primitives.authenticate(bytes(nonce), bytes(message), mac);
    expect(mac.toString('hex')).toBe(code);
  }
});

test('only data that zstd cannot help looks incompressible', () => {
  const random = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(1 << 20));
  expect(looksIncompressible(random)).toBe(true);
  expect(looksIncompressible(random.subarray(0, 70_000))).toBe(true);
  expect(looksIncompressible(random.subarray(0, 60_000))).toBe(false);
  const base64 = Buffer.from(random.toString('base64'));
  const halfText = Buffer.concat([random, Buffer.alloc(1 << 20, text)]);
  const gradient = Buffer.from(Array.from({ length: 1 << 18 }, (_, i) => i & 255));
  const counters = Buffer.from(new Uint32Array(1 << 16).map((_, i) => i * 3).buffer);
  expect([text, base64, halfText, gradient, counters, Buffer.alloc(1 << 20)].map(looksIncompressible)).toEqual(
    Array(6).fill(false),
  );
});
