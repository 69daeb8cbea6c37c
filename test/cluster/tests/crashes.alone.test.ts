/**
 * Parts of the cluster are killed in the middle of a backup. What must still be true: it ends complete or fails with a
 * reason, the next run works, nothing of Holdfast stays, and nothing that is not its own is touched. A sample, all of
 * them with HOLDFAST_TEST_FULL=1.
 */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backupClaim } from '../../../src/backup/backup-claim.ts';
import type { ClaimBackupResult, ClaimBackupRun } from '../../../src/backup/run.ts';
import { isHoldfastError } from '../../../src/base/errors.ts';
import { signal } from '../members.ts';
import { layoutOfState } from '../state.ts';
import { type Supervisor, supervise } from '../supervisor.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene, runFor } from './backup-scene.ts';

let scene: BackupScene;
let supervisor: Supervisor;

beforeAll(async () => {
  scene = await openBackupScene();
  supervisor = await supervise(
    layoutOfState(scene.state),
    /^(apiserver|s3|snapshot-controller|csi-|controller-)/,
    AWAY_MS,
  );
  await makeClaim(scene, 'data', { script: 'head -c 40000000 /dev/urandom > /data/file; sync', size: '300Mi' });
  // Somebody else's, which has to be there at the end as it was.
  await scene.kubectl.apply({
    apiVersion: 'snapshot.storage.k8s.io/v1',
    kind: 'VolumeSnapshot',
    metadata: { name: 'of-the-user' },
    spec: { volumeSnapshotClassName: 'zonal-snap', source: { persistentVolumeClaimName: 'data' } },
  });
});

afterAll(async () => {
  await supervisor.stop();
  await scene.close();
});

/** How long the killed part stays away. */
const AWAY_MS = 6_000;

interface Crash {
  /** A member of the cluster, or the mover. */
  readonly who: string;
  /** Phase and beginning of the event at which it is killed. */
  readonly at: string;
  readonly more?: Partial<ClaimBackupRun>;
}

const sample: readonly Crash[] = [{ who: 'apiserver', at: 'mover: runs on' }];
const rest: readonly Crash[] = [
  { who: 'mover', at: 'mover: runs on' },
  { who: 'mover', at: 'mover: runs on', more: { method: 'FileCopy' } },
  { who: 'apiserver', at: 'snapshot: cut at' },
  { who: 'snapshot-controller', at: 'plan: ' },
  { who: 'snapshot-controller', at: 'mover: runs on' },
  { who: 'csi-snapshotter', at: 'plan: ' },
  { who: 'csi-provisioner', at: 'copy: ' },
  { who: 'csi-controller', at: 'plan: ' },
  { who: 'csi-controller', at: 'mover: runs on' },
  { who: 'csi-node-b', at: 'copy: ' },
  { who: 's3', at: 'mover: runs on' },
  { who: 'controller-manager', at: 'copy: ' },
];

test.each(process.env.HOLDFAST_TEST_FULL === '1' ? [...sample, ...rest] : sample)(
  '$who is killed at "$at": the backup is complete or says why it is not, and the next one is complete',
  async ({ who, at, more = {} }) => {
    let crash: Promise<void> | undefined;
    const run: ClaimBackupRun = runFor(scene, 'data', {
      ...more,
      onEvent: ({ phase, message }) => {
        if (`${phase}: ${message}`.startsWith(at)) crash ??= crashOf(who, run.run);
      },
    });
    const end: ClaimBackupResult | Error = await backupClaim(scene.cluster, run).catch((error) => error);
    expect(crash, 'nothing was killed').toBeDefined();
    await crash;
    if (end instanceof Error) {
      expect(isHoldfastError(end), end.stack).toBe(true);
      // What it could not remove while nobody answered, the next one does.
      expect(await backupClaim(scene.cluster, runFor(scene, 'data', more))).toMatchObject({ state: 'complete' });
    } else {
      expect(end).toMatchObject({ state: 'complete', errorCount: 0 });
      expect(await scene.restic('ls', end.backupId)).toContain('volume/file');
    }
    expect(await leftovers(withoutForeign())).toEqual([]);
    await scene.kubectl.waitFor('volumesnapshot', 'of-the-user', ({ status }) => status?.readyToUse === true);
  },
);

test('what was stored meanwhile is whole', async () => {
  expect(await scene.restic('check', '--read-data')).toContain('no errors were found');
});

async function crashOf(who: string, run: string): Promise<void> {
  if (who === 'mover') signal(await moverPid(run), 'SIGKILL');
  else await supervisor.kill(who);
}

/** Containers are processes of this machine; a pod's environment names its pod, and that its Job. */
async function moverPid(run: string): Promise<number> {
  const job = (await scene.kubectl.list('jobs', `--selector=holdfast.dev/run=${run}`))[0]?.metadata.name;
  for (const name of await readdir('/proc')) {
    const environment = /^\d+$/.test(name) ? await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '') : '';
    if (environment.includes(`HOLDFAST_POD_NAME=${job}-`)) return Number(name);
  }
  throw new Error(`no process is the mover of ${job}`);
}

/** The content of the user's snapshot is meant to stay. */
function withoutForeign(): BackupScene {
  const { cluster } = scene;
  const list: typeof cluster.list = async (...args) => {
    const found = await cluster.list(...args);
    return found.filter((one) => !JSON.stringify(one).includes('"name":"of-the-user"'));
  };
  return { ...scene, cluster: { ...cluster, list } };
}
