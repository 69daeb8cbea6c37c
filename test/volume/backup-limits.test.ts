/** Sizes that nobody should have to think about, in bounded memory. The program runs as a process of its own to be measured. */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { initRepository } from '../../src/repository/repository.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { startCli } from '../cli/run-cli.ts';
import { noise } from '../fixtures/make-tree.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { isFull } from '../setup/properties.ts';
import { tempDir } from '../setup/temp-dir.ts';

const MiB = 2 ** 20;
const TiB = 2 ** 40;

/** Runs a backup; its summary, and the most memory that the process had. */
async function measuredBackup(source: string, repository: string) {
  const env = { HOLDFAST_REPOSITORY: repository, HOLDFAST_PASSWORD: 'secret' };
  const { process: child, result } = startCli(['backup', '--dir', source, '--json'], { env });
  let isOver = false;
  void result.finally(() => {
    isOver = true;
  });
  let peakBytes = 0;
  while (!isOver) {
    peakBytes = Math.max(peakBytes, highWaterMark(child.pid));
    await setTimeout(20);
  }
  const { exitCode, stdout, stderr } = await result;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return { summary: JSON.parse(stdout), peakBytes };
}

/** 0 for a process that is gone. */
function highWaterMark(pid: number | undefined): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

async function place(chunker: 'gear' | 'rabin') {
  const folder = await tempDir();
  const source = join(folder, 'source');
  mkdirSync(source);
  const repository = join(folder, 'repository');
  await initRepository(openFolderStore(repository), 'secret', { chunker, kdf: cheapKdf });
  return { source, repository };
}

describe('a sparse file', () => {
  it.each([
    ['gear', 8 * TiB],
    ['rabin', isFull ? 8 * TiB : TiB / 2],
  ] as const)(
    'of terabytes takes less than 512 MiB, twice (%s)',
    async (chunker, sizeBytes) => {
      const { source, repository } = await place(chunker);
      const file = openSync(join(source, 'disk.img'), 'w');
      ftruncateSync(file, sizeBytes);
      writeSync(file, noise('disk', 3 * MiB), 0, 3 * MiB, sizeBytes / 2 + 1);
      closeSync(file);
      const first = await measuredBackup(source, repository);
      expect(first.summary).toMatchObject({ filesNew: 1, bytesProcessed: sizeBytes });
      const second = await measuredBackup(source, repository);
      expect(second.summary).toMatchObject({ treeId: first.summary.treeId, bytesStored: 0 });
      for (const { peakBytes } of [first, second]) {
        expect(peakBytes).toBeGreaterThan(50 * MiB);
        expect(peakBytes).toBeLessThan(512 * MiB);
      }
    },
    600_000,
  );
});

describe('a folder', () => {
  it(`with ${isFull ? '1,000,000' : '20,000'} entries takes memory for their names and nodes only, twice`, async () => {
    const count = isFull ? 1_000_000 : 20_000;
    const { source, repository } = await place('gear');
    for (let at = 0; at < count; at++) closeSync(openSync(join(source, `file-${String(at).padStart(9, '0')}`), 'w'));
    const first = await measuredBackup(source, repository);
    expect(first.summary).toMatchObject({ filesNew: count, errors: 0 });
    const second = await measuredBackup(source, repository);
    expect(second.summary).toMatchObject({ filesNew: 0, bytesStored: 0 });
    const limitBytes = 256 * MiB + count * 600;
    for (const { peakBytes } of [first, second]) expect(peakBytes).toBeLessThan(limitBytes);
    // A million names take longer than what cleans up after the tests may take.
    execFileSync('rm', ['-rf', source]);
  }, 900_000);
});
