/**
 * Sizes that no one waits for to be read or written: sparse files of terabytes, folders with a million entries, in bounded
 * memory. HOLDFAST_TEST_FULL=1 takes them as large as they may be.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createZstdCompress } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeNodeHead } from '../../src/repository/format/tree.ts';
import type { RestoreSummary } from '../../src/volume/restore-options.ts';
import { craftedNode } from '../fixtures/crafted-node.ts';
import { CraftedRepository } from '../fixtures/crafted-repository.ts';
import { noise } from '../fixtures/make-tree.ts';
import { tempDir } from '../setup/temp-dir.ts';

const isFull = process.env.HOLDFAST_TEST_FULL === '1';
const mib = 1 << 20;
const limitBytes = 512 * mib;
const run = promisify(execFile);

async function restoredInChild(url: string, target: string, how = ''): Promise<RestoreSummary & { peakBytes: number }> {
  const script = join(import.meta.dirname, '../fixtures/restore-in-child.ts');
  const { stdout } = await run(process.execPath, [script, url, 'secret', target, how], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

/** A tree that is never in memory as a whole. */
async function craftTree(crafted: CraftedRepository, pieces: Iterable<string>): Promise<string> {
  const hash = createHash('sha256');
  const stream = createZstdCompress();
  const frames: Buffer[] = [];
  stream.on('data', (frame: Buffer) => frames.push(frame));
  let plainLength = 0;
  for (const piece of pieces) {
    hash.update(piece);
    plainLength += piece.length;
    if (!stream.write(piece)) await new Promise((next) => stream.once('drain', next));
  }
  stream.end();
  await new Promise((next) => stream.once('end', next));
  return crafted.addFrame('tree', { id: hash.digest('hex'), frame: Buffer.concat(frames), plainLength });
}

describe.each([
  // The shortest blob of zeros that restic's chunker makes, and the longest of gear's.
  { chunker: 'rabin', zeroBytes: 512 << 10 },
  { chunker: 'gear', zeroBytes: 8 << 20 },
])('a sparse file cut by $chunker', ({ zeroBytes }) => {
  const sizeBytes = isFull ? 8 * 2 ** 40 : 64 * 2 ** 30;

  test(`of ${sizeBytes / 2 ** 30} GiB is restored, verified and found right again in ${limitBytes / mib} MiB`, async () => {
    const folder = await tempDir();
    const [url, target] = [join(folder, 'repository'), join(folder, 'target')];
    const crafted = await CraftedRepository.create(url, 'secret');
    const zeros = crafted.add('data', Buffer.alloc(zeroBytes));
    const data = noise('island', zeroBytes);
    const island = crafted.add('data', data);
    const count = sizeBytes / zeroBytes;
    const at = Math.floor(count / 3);
    function* tree(): Generator<string> {
      yield `{"nodes":[${encodeNodeHead(craftedNode('sparse', { sizeBytes }))}["${zeros}"`;
      const thousand = `,"${zeros}"`.repeat(1000);
      let done = 1;
      for (; done + 1000 <= at; done += 1000) yield thousand;
      for (; done < at; done++) yield `,"${zeros}"`;
      yield `,"${island}"`;
      for (done += 1; done + 1000 <= count; done += 1000) yield thousand;
      for (; done < count; done++) yield `,"${zeros}"`;
      yield ']}]}\n';
    }
    await crafted.finish(await craftTree(crafted, tree()));
    for (const how of ['verify', 'again']) {
      const { peakBytes, ...summary } = await restoredInChild(url, target, how);
      expect(summary).toMatchObject({
        errors: [],
        files: 1,
        bytes: sizeBytes,
        filesUnchanged: how === 'again' ? 1 : 0,
      });
      expect(peakBytes).toBeLessThan(limitBytes);
    }
    const { size, blocks } = lstatSync(join(target, 'sparse'));
    expect(size).toBe(sizeBytes);
    expect(blocks * 512).toBeLessThan(2 * zeroBytes);
    const fd = openSync(join(target, 'sparse'), 'r');
    onTestFinished(() => closeSync(fd));
    const found = Buffer.alloc(zeroBytes);
    readSync(fd, found, 0, zeroBytes, at * zeroBytes);
    expect(found.equals(data)).toBe(true);
  }, 600_000);
});

const entries = isFull ? 1_000_000 : 50_000;

test(`a folder with ${entries} entries is restored in ${limitBytes / mib} MiB`, async () => {
  const folder = await tempDir();
  const [url, target] = [join(folder, 'repository'), join(folder, 'target')];
  const crafted = await CraftedRepository.create(url, 'secret');
  const contents = Array.from({ length: 100 }, (_, at) => crafted.add('data', noise(`content ${at}`, 100)));
  function* tree(): Generator<string> {
    yield '{"nodes":[';
    for (let at = 0; at < entries; at++) {
      const head = encodeNodeHead(craftedNode(`file-${String(at).padStart(9, '0')}`, { sizeBytes: 100 }));
      yield `${at === 0 ? '' : ','}${head}["${contents[at % 100]}"]}`;
    }
    yield ']}\n';
  }
  await crafted.finish(await craftTree(crafted, tree()));
  const { peakBytes, ...summary } = await restoredInChild(url, target);
  expect(summary).toMatchObject({ errors: [], files: entries });
  expect(peakBytes).toBeLessThan(limitBytes);
  expect(readdirSync(target)).toHaveLength(entries);
}, 900_000);
