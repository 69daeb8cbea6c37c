/** Files that shrink, grow, vanish or are replaced while a backup reads them: what was read is stored, and it is said. */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createBlobCodec } from '../../src/repository/blob-codec.ts';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import { createChunker } from '../../src/repository/chunker/chunker.ts';
import { decodeTree } from '../../src/repository/format/tree.ts';
import { Packer } from '../../src/repository/packer.ts';
import { initRepository } from '../../src/repository/repository.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { EntriesBatch } from '../../src/volume/backup-entries.ts';
import type { EntriesJob } from '../../src/volume/backup-jobs.ts';
import { ChunkWriter, type WrittenContent } from '../../src/volume/chunk-writer.ts';
import { noise } from '../fixtures/make-tree.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { tempDir } from '../setup/temp-dir.ts';

let folder: string;
beforeEach(async () => {
  folder = join(await tempDir(), 'folder');
  mkdirSync(folder);
});

/** Does something to the file in the moment between its status and its content. */
class MeddlingWriter extends ChunkWriter {
  meddle: () => void = () => {};

  override write(file: number, offset: number, lengthBytes: number): WrittenContent {
    this.meddle();
    return super.write(file, offset, lengthBytes);
  }
}

function makeWriter(index: BlobIndex): MeddlingWriter {
  const codec = createBlobCodec({ encrypt: Buffer.alloc(32, 1), macK: Buffer.alloc(16, 2), macR: Buffer.alloc(16, 3) });
  const slot = { bytes: new SharedArrayBuffer(40 << 20), state: new SharedArrayBuffer(4) };
  const packer = new Packer({
    codec,
    type: 'data',
    packSizeBytes: 16 << 20,
    compressionLevel: 1,
    slots: [slot],
    emit: () => {},
  });
  return new MeddlingWriter(
    codec,
    createChunker({ kind: 'rabin', polynomial: 0x3da3358b4dc173n }),
    index,
    packer,
    () => {},
  );
}

/** What a batch makes of the entries of the folder when `meddle` happens as the first file is about to be read. */
function batchOf(names: readonly string[], meddle: () => void) {
  const index = BlobIndex.create(100);
  const writer = makeWriter(index);
  writer.meddle = () => {
    writer.meddle = () => {};
    meddle();
  };
  const job: EntriesJob = {
    kind: 'entries',
    folder,
    names: names.join('/'),
    parent: undefined,
    rereadFromNs: 0n,
    change: { ignoreInode: false, ignoreCtime: false },
  };
  const { nodes, counts, problems } = new EntriesBatch(job, writer, index).run();
  const list = Buffer.from(nodes).subarray(0, Math.max(0, nodes.length - 1));
  const tree = decodeTree(Buffer.concat([Buffer.from('{"nodes":['), list, Buffer.from(']}')]));
  return { counts, problems, sizes: Object.fromEntries(tree.map((node) => [node.name.toString(), node.sizeBytes])) };
}

describe('a small file', () => {
  it('that shrinks is stored as long as it is then', () => {
    writeFileSync(join(folder, 'file'), 'x'.repeat(1000));
    const { counts, problems, sizes } = batchOf(['file'], () => truncateSync(join(folder, 'file'), 10));
    expect({ sizes, problems }).toEqual({ sizes: { file: 10 }, problems: [] });
    expect(counts).toMatchObject({ filesNew: 1, changedWhileRead: 1, bytesProcessed: 10 });
  });

  it('that grows is stored as long as it was', () => {
    writeFileSync(join(folder, 'file'), 'x'.repeat(1000));
    const { counts, sizes } = batchOf(['file'], () => appendFileSync(join(folder, 'file'), 'more'));
    expect(sizes).toEqual({ file: 1000 });
    expect(counts).toMatchObject({ filesNew: 1, changedWhileRead: 1, bytesProcessed: 1000 });
  });

  it('that vanishes before its turn is counted, and is no error', () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name);
    const { counts, problems, sizes } = batchOf(['a', 'b', 'c'], () => rmSync(join(folder, 'b')));
    expect({ sizes, problems }).toEqual({ sizes: { a: 1, c: 1 }, problems: [] });
    expect(counts).toMatchObject({ filesNew: 2, vanished: 1, changedWhileRead: 0 });
  });

  it('that is removed while it is read is stored whole', () => {
    writeFileSync(join(folder, 'file'), 'x'.repeat(1000));
    const { counts, sizes } = batchOf(['file'], () => rmSync(join(folder, 'file')));
    expect(sizes).toEqual({ file: 1000 });
    expect(counts).toMatchObject({ filesNew: 1, vanished: 0 });
  });
});

describe('a large file', () => {
  const size = 70 << 20;

  /** A backup of one large file; `meddle` happens after its status was taken and before its content is read. */
  async function backUpWith(meddle: (path: string) => void) {
    const path = join(folder, 'large');
    writeFileSync(path, noise('large', size));
    const repository = await initRepository(openMemoryStore(), 'secret', { kdf: cheapKdf });
    let isDone = false;
    return backupFolder(repository, {
      ...{ source: folder, host: 'h', paths: [folder], tags: [], workers: 2 },
      onProgress: () => {
        if (!isDone) meddle(path);
        isDone = true;
      },
    });
  }

  it('that shrinks is stored as long as it is then', async () => {
    const summary = await backUpWith((path) => truncateSync(path, 66 << 20));
    expect(summary).toMatchObject({ filesNew: 1, filesChangedWhileRead: 1, bytesProcessed: 66 << 20, errors: [] });
  });

  it('that grows is stored as long as it was', async () => {
    const summary = await backUpWith((path) => appendFileSync(path, noise('more', 3 << 20)));
    expect(summary).toMatchObject({ filesNew: 1, bytesProcessed: size, errors: [] });
  });

  it('that vanishes is counted, and is no error', async () => {
    const summary = await backUpWith((path) => rmSync(path));
    expect(summary).toMatchObject({ filesNew: 0, filesVanished: 1, bytesProcessed: 0, errors: [] });
  });

  it('that is replaced by another one is noted', async () => {
    const summary = await backUpWith((path) => {
      closeSync(openSync(`${path}.new`, 'w'));
      renameSync(`${path}.new`, path);
    });
    expect(summary).toMatchObject({ filesChangedWhileRead: 1, bytesProcessed: 0, errors: [] });
  });
});
