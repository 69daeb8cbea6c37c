/** A whole backup and its restore over a network on which nearly every connection breaks. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { initRepository, openRepository } from '../../src/repository/repository.ts';
import { listSnapshots } from '../../src/repository/snapshots.ts';
import { openStore } from '../../src/store/open-store.ts';
import { backupFolder } from '../../src/volume/backup.ts';
import { restoreFolder } from '../../src/volume/restore.ts';
import { compareTrees } from '../fixtures/compare-trees.ts';
import { makeTree, noise } from '../fixtures/make-tree.ts';
import { type Fault, type FaultFront, startFaultFront } from '../setup/fault-front.ts';
import { describeWith, s3Access } from '../setup/needs.ts';
import { restic } from '../setup/restic.ts';
import { newS3Place, type S3Place } from '../setup/s3-place.ts';
import { tempDir } from '../setup/temp-dir.ts';

const body = '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please slow down.</Message></Error>';
const slowDown: Fault = { kind: 'answer', head: '503 Slow Down\r\nContent-Type: application/xml', body };

/** The same weather for the same seed. Connections live for 2^`least` bytes to 16 MiB, where they live at all. */
function weather(seed: number, least: number): () => Fault {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return () => {
    const kind = random();
    if (kind < 0.08) return slowDown;
    if (kind < 0.14) return { kind: 'answer', head: '502 Bad Gateway\r\nContent-Type: text/html', body: '<html>Oh' };
    if (kind < 0.2) return { kind: 'lose-answer' };
    const afterBytes = Math.floor(2 ** (least + (24 - least) * random()));
    return { kind: 'cut', from: kind < 0.6 ? 'client' : 'server', afterBytes };
  };
}

const seeds = process.env.HOLDFAST_TEST_FULL === '1' ? [1, 2, 3, 4, 5, 6] : [1];

/** Pauses as long as a request takes: what is tested is what comes after them. */
const hurried = {
  nowMs: () => Date.now(),
  sleep: () => new Promise<void>((resolve) => setTimeout(resolve, 2)),
};

describeWith('restic', 'over a network on which nearly every connection breaks', () => {
  let front: FaultFront;
  let place: S3Place;
  beforeEach(async () => {
    front = await startFaultFront(s3Access().endpoint);
    place = newS3Place(front.endpoint);
  });
  afterEach(() => front.stop());

  test.each(seeds)('a backup is whole, and comes back whole (weather %d)', async (seed) => {
    const source = join(await tempDir(), 'source');
    makeTree(source);
    writeFileSync(join(source, 'large'), noise('large', 14 << 20));
    front.storm(weather(seed, 10));
    const store = await openStore(place.url, { env: place.env, clock: hurried });
    const password = 'test';
    await initRepository(store, password);
    const repository = await openRepository(store, password);
    const options = { source, host: 'h', paths: [source], tags: [], workers: 2, packSizeBytes: 4 << 20 };
    const summary = await backupFolder(repository, options);
    expect(summary.errors).toEqual([]);
    expect(front.faults).toBeGreaterThan(5);
    // The threads of a restore wait by the real clock.
    front.storm(weather(seed, 18));
    const target = join(await tempDir(), 'target');
    const [snapshot] = await listSnapshots(repository);
    if (!snapshot) throw new Error('there is no backup');
    const restored = await restoreFolder(repository, { snapshot, target, env: place.env, workers: 2 });
    expect(restored.errors).toEqual([]);
    expect(compareTrees(source, target)).toEqual([]);
    front.heal();
    const env = { ...place.env, RESTIC_REPOSITORY: place.url, RESTIC_PASSWORD: password };
    expect(await restic(['check', '--read-data'], { env })).toContain('no errors were found');
    await store.close();
  });
});
