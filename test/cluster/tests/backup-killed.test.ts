/** Backups whose own process is killed: what they leave is found and removed, and the data can be backed up again. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import type { ClaimBackupRun } from '../../../src/backup/run.ts';
import { ALIVE, RUN } from '../../../src/cluster/labels.ts';
import { JOB } from '../../../src/cluster/resources.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';

let scene: BackupScene;
let folder: string;

beforeAll(async () => {
  scene = await openBackupScene();
  folder = await mkdtemp(join(tmpdir(), 'holdfast-killed-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

/** Backs up in a process of its own that dies at the event; the id of that run. */
async function killedAt(claim: string, words: string, more: Partial<ClaimBackupRun>): Promise<string> {
  const { finder, ...run } = runFor(scene, claim, more);
  const file = join(folder, `${run.run}.json`);
  await writeFile(file, JSON.stringify(run));
  const script = join(import.meta.dirname, 'backup-child.ts');
  const child = spawn(process.execPath, [script, file, scene.state.kubeconfig, words], { stdio: 'inherit' });
  const end = await new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  expect(end).toBe('SIGKILL');
  return run.run;
}

/** As if the run had been silent for an hour. */
async function age(run: string): Promise<void> {
  const [job] = await scene.cluster.list(JOB, { namespace: scene.namespace, labelSelector: `${RUN}=${run}` });
  const annotations = { [ALIVE]: new Date(Date.now() - 3_600_000).toISOString() };
  const ref = { resource: JOB, namespace: scene.namespace, name: job?.metadata.name ?? '' };
  await scene.cluster.patch(ref, { merge: { metadata: { annotations } } });
}

test.each([
  ['while the snapshot is made', 'snapshot: cut at'],
  ['before the mover starts', 'copy: makes a temporary claim'],
  ['while the mover works', 'mover: runs on'],
])('a run that is killed %s leaves nothing that the next run does not remove', async (_, words) => {
  const claim = words.split(':')[0] ?? '';
  await makeClaim(scene, claim, {
    script: 'head -c 30000000 /dev/urandom > /data/file; sync',
    storageClass: 'zonal-xfs-retain',
    size: '400Mi',
  });
  // Contents and volumes that are retained unless somebody sees to it.
  const dead = await killedAt(claim, words, { snapshotClass: 'zonal-snap-slow' });
  expect(await leftovers(scene)).not.toEqual([]);
  await age(dead);
  const events: string[] = [];
  const result = await backupClaim(
    scene.cluster,
    runFor(scene, claim, { onEvent: ({ message }) => events.push(message) }),
  );
  expect(events).toContainEqual(expect.stringContaining(`that run ${dead} left behind`));
  expect(result).toMatchObject({ state: 'complete' });
  expect(await leftovers(scene)).toEqual([]);
  await scene.kubectl.run('patch', 'pv', await volumeOf(claim), '-p', RECLAIM);
});

const RECLAIM = '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}';

async function volumeOf(claim: string): Promise<string> {
  return (await scene.kubectl.run('get', 'pvc', claim, '-o', 'jsonpath={.spec.volumeName}')).trim();
}

test('a copy of a volume in use that was killed just now is told from a living one by its silence', async () => {
  await makeClaim(scene, 'silent', { script: 'echo 1 > /data/file; sync' });
  const dead = await killedAt('silent', 'mover: runs on', { method: 'FileCopy' });
  const startMs = Date.now();
  const events: string[] = [];
  const result = await backupClaim(
    scene.cluster,
    runFor(scene, 'silent', { method: 'FileCopy', onEvent: ({ message }) => events.push(message) }),
  );
  expect(Date.now() - startMs).toBeGreaterThan(45_000);
  expect(events).toContainEqual(expect.stringContaining(`that run ${dead} left behind`));
  expect(result).toMatchObject({ state: 'complete' });
  expect(await leftovers(scene)).toEqual([]);
});
