/** Backups of streams: what restic would have made of the same bytes, and nothing of a stream that broke off. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { initRepository, type Repository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openFolderStore } from '../../src/store/folder-store.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { backupStream, type StreamOptions } from '../../src/volume/backup-stream.ts';
import { noise } from '../fixtures/make-tree.ts';
import { cheapKdf } from '../repository/restic-repository.ts';
import { describeWith } from '../setup/needs.ts';
import { restic, resticProgram } from '../setup/restic.ts';
import { tempDir } from '../setup/temp-dir.ts';

const password = 'secret';

async function freshRepository(chunker: 'gear' | 'rabin' = 'gear') {
  const path = join(await tempDir(), 'repository');
  const repository = await initRepository(openFolderStore(path), password, { chunker, kdf: cheapKdf });
  return { repository, env: { RESTIC_REPOSITORY: path, RESTIC_PASSWORD: password } };
}

async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

function backUp(repository: Repository, stream: AsyncIterable<Uint8Array>, more: Partial<StreamOptions> = {}) {
  const labels = { host: 'test-host', tags: ['dump'], filePath: 'db/shop.sql', name: 'the dump', workers: 2 };
  return backupStream(repository, { ...labels, stream, ...more });
}

describeWith('restic', 'a stream backed up by Holdfast', () => {
  for (const chunker of ['gear', 'rabin'] as const) {
    it(`is dumped by restic byte for byte, and stored once however it is split (${chunker} chunks)`, async () => {
      const { repository, env } = await freshRepository(chunker);
      const zeros = Buffer.alloc(18 << 20);
      const content = Buffer.concat([noise('stream', 21 << 20), zeros, noise('end', 100_001)]);
      const first = await backUp(repository, inPieces(content, 65_536));
      expect(first).toMatchObject({ filesNew: 1, bytesProcessed: content.length, errors: [] });
      const dumped = execFileSync(resticProgram, ['--no-cache', 'dump', 'latest', '/db/shop.sql'], {
        env: { ...process.env, ...env },
        maxBuffer: 2 * content.length,
      });
      expect(dumped.equals(content)).toBe(true);
      expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
      const again = await backUp(repository, inPieces(content, 40_000_000));
      // The tree is another one, since it has the time of the backup.
      expect(again.bytesAdded).toBeLessThan(20_000);
      const other = await backUp(repository, inPieces(content.subarray(0, 5_000_000), 777));
      expect(other.bytesAdded).toBeLessThan(9 << 20);
    });
  }

  it('has the shape of what restic makes of its standard input', async () => {
    const { repository, env } = await freshRepository('rabin');
    await backUp(repository, inPieces(Buffer.from('hello\n'), 3), { timeMs: Date.UTC(2026, 0, 2) });
    const args = ['backup', '--stdin', '--stdin-filename', 'db/shop.sql', '--host', 'test-host', '--tag', 'dump'];
    await restic([...args, '--time', '2026-01-02 00:00:00'], { env: { ...env, TZ: 'UTC' }, input: 'hello\n' });
    const [ours, theirs] = await listSnapshots(repository);
    expect(ours).toMatchObject({ paths: theirs?.paths, hostname: theirs?.hostname, tags: theirs?.tags });
    expect(ours).not.toHaveProperty('parent');
    const entries = async (id = '') =>
      (await restic(['ls', '--json', id], { env }))
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line))
        .map(({ name, type, path, uid, gid, size, mode }) => ({ name, type, path, uid, gid, size, mode }));
    expect(await entries(ours?.id)).toEqual(await entries(theirs?.id));
  });
});

describe('backing up a stream', () => {
  it('makes no snapshot of a stream that breaks off, and the next one is whole', async () => {
    const { repository } = await freshRepository();
    const content = noise('broken', 9 << 20);
    const broken = async function* () {
      yield* inPieces(content, 1 << 20);
      throw new Error('the dump broke off');
    };
    await expect(backUp(repository, broken())).rejects.toThrow('the dump broke off');
    expect(await listSnapshots(repository)).toEqual([]);
    const summary = await backUp(repository, inPieces(content, 1 << 20));
    expect(summary.bytesProcessed).toBe(content.length);
    expect(await listSnapshots(repository)).toMatchObject([{ id: summary.backupId, paths: ['/db/shop.sql'] }]);
  });

  it('refuses a stream without a byte, and a path that names no file', async () => {
    const { repository } = await freshRepository();
    const empty = backUp(repository, inPieces(Buffer.alloc(0), 1));
    await expect(empty).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE', context: { path: 'the dump' } });
    for (const filePath of ['', '/', 'folder/', '..', 'a\0b']) {
      await expect(backUp(repository, inPieces(Buffer.from('x'), 1), { filePath })).rejects.toMatchObject({
        code: 'USAGE',
      });
    }
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('ends at once when it is interrupted while nothing comes', async () => {
    const { repository } = await freshRepository();
    const stop = new AbortController();
    let isWaiting = false;
    const silent = async function* () {
      yield Buffer.from('x');
      isWaiting = true;
      await new Promise(() => {});
    };
    const running = backUp(repository, silent(), { signal: stop.signal });
    running.catch(() => undefined);
    while (!isWaiting) await setImmediate();
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(await listSnapshots(repository)).toEqual([]);
  });

  it('fails as a whole where the store does', async () => {
    const memory = openMemoryStore();
    const put: typeof memory.put = (type, ...rest) =>
      type === 'data' ? Promise.reject(new Error('no space left')) : memory.put(type, ...rest);
    const full = await initRepository({ ...memory, put }, password, { kdf: cheapKdf });
    const endless = async function* () {
      for (let n = 0; ; n++) yield noise(`${n}`, 1 << 20);
    };
    await expect(backUp(full, endless())).rejects.toThrow('no space left');
  });
});
