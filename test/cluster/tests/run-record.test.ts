/**
 * What must stay true: after any run it can be told, from the repository alone, what became of every claim; and a volume
 * that lost its content costs none of the backups before. Everything as a user runs it, from the command line.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { recordSchema } from '../../../src/repository/ledger/documents.ts';
import { listBackups } from '../../../src/repository/snapshots.ts';
import { type CliResult, runCli } from '../../cli/run-cli.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene } from './backup-scene.ts';

let scene: BackupScene;
let folder: string;
let policyFile: string;

beforeAll(async () => {
  scene = await openBackupScene();
  folder = await mkdtemp(join(tmpdir(), 'holdfast-runs-'));
  policyFile = join(folder, 'policy.yaml');
  const { namespace, url } = scene;
  const header = { apiVersion: 'holdfast.dev/v1alpha1' };
  const documents = [
    { ...header, kind: 'Repository', metadata: { name: 'main', namespace }, spec: { url, secretName: 'holdfast' } },
    {
      ...header,
      kind: 'BackupPolicy',
      metadata: { name: 'nightly', namespace },
      spec: {
        select: { claims: { matchLabels: { tier: 'data' } } },
        repository: { name: 'main' },
        retention: { keepLast: 1 },
      },
    },
  ];
  await writeFile(policyFile, documents.map((one) => stringify(one)).join('---\n'));
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'holdfast' }, stringData: scene.credentials };
  const labels = { tier: 'data' };
  await scene.kubectl.apply(secret, unbound('off', labels), unbound('other', {}));
  await scene.kubectl.run('annotate', 'pvc', 'off', 'holdfast.dev/backup=false');
  await Promise.all([
    makeClaim(scene, 'orders', { script: 'head -c 5000000 /dev/urandom > /data/rows; sync', labels }),
    makeClaim(scene, 'bad', { script: 'echo 2 > /data/file; sync', labels, zone: 'c' }),
  ]);
  await scene.kubectl.run('annotate', 'pvc', 'bad', 'holdfast.dev/snapshot-class=gone');
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

function unbound(name: string, labels: Readonly<Record<string, string>>): object {
  const resources = { requests: { storage: '100Mi' } };
  const spec = { accessModes: ['ReadWriteOnce'], storageClassName: 'zonal-wait', resources };
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, labels }, spec };
}

function cli(...args: string[]): Promise<CliResult> {
  const { state, credentials, url } = scene;
  const env = { ...credentials, KUBECONFIG: state.kubeconfig, HOLDFAST_REPOSITORY: url };
  return runCli(args, { env: { ...env, HOLDFAST_MOVER_IMAGE: state.holdfastImage } });
}

const claimOf = (name: string): string => `${scene.namespace}/${name}`;

/** The document of the newest run, as restic reads it. */
async function newestRecord() {
  const found = JSON.parse(await scene.restic('snapshots', '--json', '--path', '/.holdfast/runs'));
  const { id, tags } = found.at(-1);
  const document = recordSchema.parse(JSON.parse(await scene.restic('dump', id, '/record.json')));
  if (document.kind !== 'RunRecord') throw new Error(`a ${document.kind} among the runs`);
  return { document, tags };
}

test('a run with claims that are done, failed, left out and not covered is recorded with all of them', async () => {
  const run = await cli('backup', '--policy', policyFile);
  expect(run.exitCode, run.stderr).toBe(1);
  expect(run.stdout).toContain('1 done, 1 skipped, 1 failed');
  const { document, tags } = await newestRecord();
  const [backup] = await listBackups(scene.repository);
  expect(document.claims.map(({ claim, status }) => [claim, status])).toEqual([
    [claimOf('bad'), 'failed'],
    [claimOf('off'), 'skipped'],
    [claimOf('orders'), 'done'],
    [claimOf('other'), 'uncovered'],
  ]);
  expect(document.claims[0]).toMatchObject({ code: 'SNAPSHOT_UNSUPPORTED', message: expect.stringContaining('gone') });
  expect(document.claims[2]).toMatchObject({
    backupId: backup?.id,
    method: 'SnapshotMove',
    files: 1,
    bytes: 5_000_000,
  });
  expect(document).toMatchObject({ ended: 'finished', policy: { namespace: scene.namespace, name: 'nightly' } });
  expect(tags).toContain(`run=${document.run}`);
  const listed = await cli('list', '--runs');
  expect(listed.stdout).toMatch(new RegExp(`${document.run} .* 1 done, 1 failed, 1 skipped, 1 not covered`));
  await scene.restic('check', '--read-data');
});

test('only what failed is tried again', async () => {
  await scene.kubectl.run('annotate', 'pvc', 'bad', 'holdfast.dev/snapshot-class-');
  const wrong = await cli('backup', '--retry', 'latest', '--repository-secret', 'holdfast');
  expect(wrong.stderr).toContain('give the file of that policy with --policy');
  const first = (await newestRecord()).document.run;
  const retried = await cli('backup', '--retry', 'latest', '--policy', policyFile);
  expect(retried.exitCode, retried.stderr).toBe(0);
  const { document } = await newestRecord();
  expect(document).toMatchObject({ retryOf: first, claims: [{ claim: claimOf('bad'), status: 'done' }] });
  expect(document.claims).toHaveLength(1);
  const none = await cli('backup', '--retry', 'latest', '--policy', policyFile);
  expect(none).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('there is nothing to try again') });
});

test('claims are chosen by labels, and those that no condition lets in are named', async () => {
  const chosen = ['-n', scene.namespace, '-l', 'tier in (data,logs)', '--max-size', '1Gi'];
  const { stdout, exitCode } = await cli('backup', ...chosen, '--repository-secret', 'holdfast', '--plan', '--json');
  expect(exitCode).toBe(0);
  const { claims } = JSON.parse(stdout);
  expect(claims.map(({ claim, status }: { claim: string; status: string }) => [claim, status])).toEqual([
    [claimOf('bad'), 'ready'],
    [claimOf('off'), 'skipped'],
    [claimOf('orders'), 'ready'],
    [claimOf('other'), 'uncovered'],
  ]);
});

test('a volume that was suddenly emptied is backed up, flagged, and its last good backup is held until it is released', async () => {
  const good = (await listBackups(scene.repository, { claims: ['orders'] })).map(({ id }) => id);
  await scene.kubectl.run('exec', 'orders', '--', 'sh', '-c', 'rm /data/rows; sync');
  const run = await cli('backup', '--policy', policyFile);
  expect(run.exitCode, run.stderr).toBe(0);
  expect(run.stderr).toContain(
    `warning: ${claimOf('orders')} shrank from 4.8 MiB to 0 B: 1 earlier backup of it is held`,
  );
  const { document } = await newestRecord();
  const flagged = document.claims.find(({ claim }) => claim === claimOf('orders'));
  expect(flagged).toMatchObject({ status: 'done', shrunken: { fromBytes: 5_000_000, toBytes: 0, held: 1 } });
  const left = (await listBackups(scene.repository, { claims: ['orders'] })).map(({ id }) => id);
  expect(left).toEqual([...good, expect.any(String)]);
  const plan = await cli('forget', '--policy', policyFile, '--plan');
  expect(plan.stdout).toContain(`${good[0]?.slice(0, 8)}`);
  expect(plan.stdout).toContain('held: the volume shrank from 4.8 MiB to 0 B');

  expect((await cli('release', claimOf('orders'))).stderr).toBe('1 backup released.\n');
  const forgotten = await cli('forget', '--policy', policyFile);
  expect(forgotten.exitCode, forgotten.stderr).toBe(0);
  expect((await listBackups(scene.repository, { claims: ['orders'] })).map(({ id }) => id)).toEqual(left.slice(1));
  await scene.restic('check', '--read-data');
  expect(await leftovers(scene)).toEqual([]);
});
