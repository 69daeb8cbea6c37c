/** Backups while the storage driver fails: for whatever asks it meanwhile, so that no other test may run beside. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';

let scene: BackupScene;
/** While this file is there, the driver takes no snapshots. */
let fault: string;

beforeAll(async () => {
  scene = await openBackupScene();
  fault = join(scene.state.faultsFolder, 'CreateSnapshot');
  await makeClaim(scene, 'faulty', { script: 'echo 1 > /data/file' });
});

afterAll(async () => {
  await scene.close();
});

test('a failure asked for in the faults folder shows in the status, and the snapshot is made once it is lifted', async () => {
  const { kubectl } = scene;
  await writeFile(fault, 'INTERNAL the disk is on fire');
  try {
    await kubectl.apply({
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshot',
      metadata: { name: 'unlucky' },
      spec: { volumeSnapshotClassName: 'zonal-snap', source: { persistentVolumeClaimName: 'faulty' } },
    });
    await kubectl.waitFor('volumesnapshot', 'unlucky', ({ status }) => status?.error !== undefined);
  } finally {
    await rm(fault);
  }
  const unlucky = await kubectl.get('volumesnapshot', 'unlucky');
  expect(JSON.stringify(unlucky.status?.error)).toContain('injected: the disk is on fire');
  await kubectl.waitFor('volumesnapshot', 'unlucky', ({ status }) => status?.readyToUse === true);
  await kubectl.run('delete', 'volumesnapshot', 'unlucky');
});

test('a driver that cannot cut fails the backup with its own words, and nothing stays', async () => {
  await writeFile(fault, 'INTERNAL the array is on fire');
  try {
    const run = runFor(scene, 'faulty', { timeouts: { cutMs: 8_000, cleanUpMs: 60_000 } });
    // The removal can only end once the driver answers again.
    const failing = backupClaim(scene.cluster, {
      ...run,
      onEvent: ({ phase }) => {
        if (phase === 'clean-up') void rm(fault);
      },
    });
    await expect(failing).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: expect.stringContaining('the array is on fire'),
    });
  } finally {
    await rm(fault, { force: true });
  }
  expect(await leftovers(scene)).toEqual([]);
});
