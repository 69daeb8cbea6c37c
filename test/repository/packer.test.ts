import { expect, test } from 'vitest';
import { createBlobCodec } from '../../src/repository/blob-codec.ts';
import { drawMasterKey } from '../../src/repository/crypto.ts';
import { type FinishedPack, Packer, type PackSlot, slotBytes } from '../../src/repository/packer.ts';
import { createPackVerifier } from '../../src/repository/verify-pack.ts';
import { noise } from '../fixtures/make-tree.ts';

const key = drawMasterKey();
const codec = createBlobCodec(key);

function packerWith(slotCount: number, emit: (pack: FinishedPack, memory: SharedArrayBuffer) => void): Packer {
  const packSizeBytes = 100_000;
  const slots: PackSlot[] = Array.from({ length: slotCount }, () => ({
    bytes: new SharedArrayBuffer(slotBytes(packSizeBytes, 50_000)),
    state: new SharedArrayBuffer(4),
  }));
  return new Packer({
    codec,
    type: 'data',
    packSizeBytes,
    compressionLevel: 3,
    slots,
    emit: (pack, oversized) => emit(pack, oversized ?? slots[pack.slot]!.bytes),
  });
}

function idOf(bytes: Uint8Array): string {
  const id = Buffer.alloc(32);
  codec.hash(bytes, id, 0);
  return id.toString('hex');
}

/** What is wrong with a pack, by its own header. */
function problemsOf(pack: FinishedPack, memory: SharedArrayBuffer): string[] {
  let offset = 0;
  const blobs = pack.entries.map((entry) => {
    const blob = { ...entry, offset };
    offset += entry.length;
    return blob;
  });
  return createPackVerifier(key)(pack.id, Buffer.from(memory, 0, pack.lengthBytes), blobs);
}

test('blobs larger than any buffer get packs of their own, and take no buffer with them', () => {
  const packs: string[][] = [];
  const packer = packerWith(2, (pack, memory) => {
    expect(problemsOf(pack, memory)).toEqual([]);
    packs.push(pack.entries.map(({ id }) => id));
  });
  const large = ['a', 'b', 'c', 'd'].map((seed) => noise(seed, 900_000));
  // With a buffer lost for each, the second one would wait for ever.
  for (const blob of large) packer.add(idOf(blob), blob);
  const small = noise('small', 1000);
  packer.add(idOf(small), small);
  packer.flush();
  expect(packs).toEqual([...large, small].map((blob) => [idOf(blob)]));
});

test('what is compressed already is sealed as it is', () => {
  const text = Buffer.from('all the same '.repeat(1000));
  const frame = Buffer.alloc(text.length);
  const frameBytes = codec.compress(text, frame, 0, 19);
  const packer = packerWith(1, (pack, memory) => {
    expect(problemsOf(pack, memory)).toEqual([]);
    expect(pack.entries).toEqual([
      { type: 'data', id: idOf(text), length: frameBytes + 32, uncompressedLength: text.length },
    ]);
  });
  expect.assertions(2);
  packer.addCompressed(idOf(text), frame.subarray(0, frameBytes), text.length);
  packer.flush();
});
