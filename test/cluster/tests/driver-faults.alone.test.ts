/** Backups while the storage driver fails: for whatever asks it meanwhile, so that no other test may run beside. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import { runClaims } from '../../../src/backup/run-claims.ts';
import { hasPhase } from '../kubectl.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';
import { groupSnapshots, planOf } from './group-scene.ts';

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

test('a driver that cannot cut fails the backup with all that it said, and nothing stays', async () => {
  await writeFile(fault, 'INTERNAL the array is on fire');
  try {
    const run = runFor(scene, 'faulty', { timeouts: { cutMs: 12_000, cleanUpMs: 60_000 } });
    // The removal can only end once the driver answers again.
    const failing = backupClaim(scene.cluster, {
      ...run,
      onEvent: ({ phase, message }) => {
        if (phase === 'warning' && message.includes('the array'))
          void writeFile(fault, 'INTERNAL the spare burns, too');
        if (phase === 'clean-up') void rm(fault);
      },
    });
    await expect(failing).rejects.toMatchObject({
      code: 'SNAPSHOT_FAILED',
      message: expect.stringMatching(/the array is on fire.*the spare burns, too/),
    });
  } finally {
    await rm(fault, { force: true });
  }
  expect(await leftovers(scene)).toEqual([]);
});

test('a driver that fails for a while and is slow then only makes the backup later, and is told as a warning', async () => {
  await writeFile(fault, 'INTERNAL the array is busy');
  try {
    const { cutTime, warnings, ...result } = await backupClaim(scene.cluster, {
      ...runFor(scene, 'faulty', { snapshotClass: 'zonal-snap-slow' }),
      onEvent: ({ phase }) => {
        if (phase === 'warning') void rm(fault, { force: true });
      },
    });
    expect(result).toMatchObject({ state: 'complete', snapshotCutTime: cutTime });
    // Each side-car that meets it words it in its own way.
    expect(warnings).not.toEqual([]);
    for (const warning of warnings) expect(warning).toContain('the array is busy');
    // Of the storage's clock, not of the first try.
    expect(Date.parse(cutTime)).toBeGreaterThan(Date.now() - 120_000);
  } finally {
    await rm(fault, { force: true });
  }
  expect(await leftovers(scene)).toEqual([]);
});

test('a copy that does not become readable in time fails the backup, and is removed though it is not ready', async () => {
  const timeouts = { cutMs: 60_000, readyMs: 1000, cleanUpMs: 60_000 };
  const failing = backupClaim(scene.cluster, runFor(scene, 'faulty', { snapshotClass: 'zonal-snap-slow', timeouts }));
  await expect(failing).rejects.toThrow(/it is cut, and the driver still prepares it/);
  expect(await leftovers(scene)).toEqual([]);
});

test('a driver that cannot cut a group fails all of its claims with its own words, and nothing stays', async () => {
  const groupFault = join(scene.state.faultsFolder, 'CreateVolumeGroupSnapshot');
  const labels = { set: 'pair' };
  const spec = {
    ...{ accessModes: ['ReadWriteOnce'], storageClassName: 'zonal-now' },
    resources: { requests: { storage: '50Mi' } },
  };
  const pair = ['pair-a', 'pair-b'].map((name) => ({
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, labels }, spec },
  }));
  await scene.kubectl.apply(...pair);
  for (const { metadata } of pair) await scene.kubectl.waitFor('pvc', metadata.name, hasPhase('Bound'), 60_000);
  await writeFile(groupFault, 'INTERNAL the rack is on fire');
  try {
    const { namespace, claim: _, ...run } = runFor(scene, '', { timeouts: { cutMs: 8_000, cleanUpMs: 60_000 } });
    const plan = await planOf(scene.cluster, namespace, { byLabel: 'set' });
    const claims = plan.claims.filter(({ claim }) => claim.includes('/pair-'));
    const failed = await runClaims(
      scene.cluster,
      { ...plan, claims },
      {
        limits: { claims: 1, retries: 0 },
        common: { ...run, onEvent: ({ phase }) => phase === 'clean-up' && void rm(groupFault, { force: true }) },
      },
    );
    expect(failed).toHaveLength(2);
    for (const outcome of failed) {
      const words = expect.stringContaining('the rack is on fire');
      expect(outcome).toMatchObject({ status: 'failed', error: { code: 'GROUP_NOT_CUT', message: words } });
    }
  } finally {
    await rm(groupFault, { force: true });
  }
  expect(await leftovers(scene)).toEqual([]);
  expect(await groupSnapshots(scene)).toEqual([]);
});
