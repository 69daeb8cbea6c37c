/** Holes are not read, and nobody can tell from what is stored. */
import { closeSync, ftruncateSync, mkdirSync, openSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createBlobCodec } from '../../src/repository/blob-codec.ts';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import { type ChunkerKind, createChunker } from '../../src/repository/chunker/chunker.ts';
import { ContentRuns } from '../../src/repository/format/content-runs.ts';
import { Packer } from '../../src/repository/packer.ts';
import { initRepository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { ChunkWriter } from '../../src/volume/chunk-writer.ts';
import { noise } from '../fixtures/make-tree.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { describeWith } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const MiB = 1 << 20;
const password = 'secret';

/** Makes a file of that size with data in these places only. */
function makeSparse(
  path: string,
  sizeBytes: number,
  data: readonly (readonly [offset: number, bytes: number])[],
): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, sizeBytes);
  for (const [offset, bytes] of data) writeSync(file, noise(`${offset} ${bytes}`, bytes), 0, bytes, offset);
  closeSync(file);
}

const polynomial = 0x3da3358b4dc173n;

/** What a writer makes of a file; it packs nothing, since all that counts here are ids. */
function written(path: string, kind: ChunkerKind, isSparse: boolean) {
  const key = { encrypt: Buffer.alloc(32, 1), macK: Buffer.alloc(16, 2), macR: Buffer.alloc(16, 3) };
  const codec = createBlobCodec(key);
  const slot = { bytes: new SharedArrayBuffer(40 * MiB), state: new SharedArrayBuffer(4) };
  const emit = () => Atomics.store(new Int32Array(slot.state), 0, 0);
  const packer = new Packer({ codec, type: 'data', packSizeBytes: 16 * MiB, compressionLevel: 1, slots: [slot], emit });
  const writer = new ChunkWriter(codec, createChunker({ kind, polynomial }), BlobIndex.create(1000), packer, () => {});
  const file = openSync(path, 'r');
  const fileBytes = statSync(path).size;
  const { runs, ...counts } = writer.writeSegment(file, { offset: 0, lengthBytes: fileBytes, fileBytes, isSparse });
  closeSync(file);
  const content = new ContentRuns();
  content.append(runs);
  return { ...counts, ids: [...content] };
}

describe('a file with holes', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await tempDir();
  });

  const shapes: readonly [string, number, readonly (readonly [number, number])[]][] = [
    ['only a hole', 150 * MiB + 17, []],
    ['one byte at the start', 140 * MiB, [[0, 1]]],
    ['one byte at the end', 100 * MiB, [[100 * MiB - 1, 1]]],
    ['data across the end of a segment', 200 * MiB, [[63 * MiB, 3 * MiB]]],
    [
      'holes of many sizes',
      120 * MiB,
      [4, 5, 9, 15, 24, 41, 66, 90].map((at) => [at * MiB + at * 4096, 500_000 + at] as const),
    ],
    [
      'a hole shorter than a chunk of zeros',
      20 * MiB,
      [
        [0, MiB],
        [1.5 * MiB, MiB],
        [9 * MiB, MiB],
      ],
    ],
  ];
  for (const kind of ['gear-v1', 'rabin'] as const) {
    it.each(shapes)(`is cut as if its zeros had been read: %s (${kind})`, (name, sizeBytes, data) => {
      const path = join(folder, `${kind} ${name}`);
      makeSparse(path, sizeBytes, data);
      const skipping = written(path, kind, true);
      expect(skipping).toEqual(written(path, kind, false));
      expect(skipping.readBytes).toBe(sizeBytes);
    });
  }

  it('that ended before where it should is read as far as it goes', () => {
    const path = join(folder, 'shrunk');
    makeSparse(path, 100 * MiB, []);
    truncateSync(path, 30 * MiB + 5);
    expect(written(path, 'gear-v1', true).readBytes).toBe(30 * MiB + 5);
  });
});

describeWith('restic', 'a sparse file of many gigabytes', () => {
  it.each(['gear', 'rabin'] as const)(
    'is backed up in no time, and found by restic to be sound (%s)',
    async (chunker) => {
      const place = await tempDir();
      const source = join(place, 'source');
      mkdirSync(source);
      const sizeBytes = 96 * 1024 * MiB + 12_345;
      makeSparse(join(source, 'disk.img'), sizeBytes, [
        [0, 100_000],
        [70 * 1024 * MiB + 1, 3 * MiB],
      ]);
      const path = join(place, 'repository');
      const repository = await initRepository(openFolderStore(path), password, { chunker, kdf: cheapKdf });
      const options = { source, host: 'h', paths: [source], tags: [], workers: 2 };
      // Late enough that the file does not count as just written.
      const clock = { ...systemClock, nowMs: () => Date.now() + 10_000 };
      const summary = await backupFolder(repository, { ...options, clock });
      expect(summary).toMatchObject({ bytesProcessed: sizeBytes, filesNew: 1, errors: [] });
      expect(summary.bytesAdded).toBeLessThan(40 * MiB);
      const again = await backupFolder(repository, options);
      expect(again).toMatchObject({ filesUnmodified: 1, treeId: summary.treeId });
      const env = { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password };
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
      const listed = await restic(['ls', '--json', 'latest'], { env });
      expect(JSON.parse(listed.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
        name: 'disk.img',
        size: sizeBytes,
      });
    },
  );
});
