/** Runs of policies in the real cluster, with the account and the rights that `render cronjob` writes, and no others. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { renderCronJob } from '../../../src/backup/cronjob.ts';
import { type PolicyRun, runPolicy } from '../../../src/backup/run-policy.ts';
import type { Cluster } from '../../../src/cluster/client.ts';
import { connect } from '../../../src/cluster/connect.ts';
import { newRunId } from '../../../src/cluster/labels.ts';
import { conditionOf } from '../../../src/cluster/object.ts';
import { JOB, SECRET } from '../../../src/cluster/resources.ts';
import { findPolicy, parsePolicyFile } from '../../../src/policy/policy-file.ts';
import { listBackups } from '../../../src/repository/snapshots.ts';
import { type BackupScene, leftovers, makeClaim, openBackupScene } from './backup-scene.ts';

let scene: BackupScene;
/** The cluster as the CronJob's account sees it. */
let account: Cluster;
let folder: string;

beforeAll(async () => {
  scene = await openBackupScene();
  folder = await mkdtemp(join(tmpdir(), 'holdfast-policy-'));
  await scene.kubectl.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'holdfast' },
    stringData: scene.credentials,
  });
  const file = join(folder, 'cronjob.yaml');
  await writeFile(file, renderCronJob({ ...policyFile(), image: scene.state.holdfastImage, ownNamespace: 'holdfast' }));
  await scene.kubectl.run('apply', '-f', file);
  account = await connect({ kubeconfig: await kubeconfigOf('holdfast-nightly') });
});

afterAll(async () => {
  account.close();
  await scene.kubectl.run('delete', '-f', join(folder, 'cronjob.yaml'), '--ignore-not-found');
  await rm(folder, { recursive: true, force: true });
  await scene.close();
});

function policyFile() {
  const { namespace, url } = scene;
  const header = { apiVersion: 'holdfast.dev/v1alpha1' };
  const repository = { ...header, kind: 'Repository', metadata: { name: 'main', namespace } };
  const policy = { ...header, kind: 'BackupPolicy', metadata: { name: 'nightly', namespace } };
  const text = [
    { ...repository, spec: { url, secretName: 'holdfast' } },
    {
      ...policy,
      spec: {
        schedule: { cron: '0 2 * * *', timeZone: 'Europe/Berlin', suspend: true },
        select: { claims: { matchLabels: { tier: 'data' } } },
        repository: { name: 'main' },
        retention: { keepLast: 1 },
      },
    },
  ];
  return findPolicy(parsePolicyFile(text.map((one) => stringify(one)).join('---\n'), 'test'), undefined, 'test');
}

/** The admin's kubeconfig with the token of a service account in place of its certificate. */
async function kubeconfigOf(serviceAccount: string): Promise<string> {
  const config = parse(await readFile(scene.state.kubeconfig, 'utf8'));
  const token = (await scene.kubectl.run('create', 'token', serviceAccount)).trim();
  for (const user of config.users) user.user = { token };
  const path = join(folder, 'kubeconfig');
  await writeFile(path, stringify(config));
  return path;
}

function runOf(more: Partial<PolicyRun> = {}): PolicyRun {
  const { policy, repository } = policyFile();
  return {
    policy,
    access: { url: repository.spec.url, secretName: repository.spec.secretName },
    settings: { image: scene.state.holdfastImage },
    clusterUid: scene.clusterUid,
    run: newRunId(Date.now(), () => randomBytes(2).toString('hex')),
    hostname: 'test',
    timeouts: { cutMs: 60_000, readyMs: 60_000, startMs: 120_000, moveMs: 120_000, cleanUpMs: 60_000 },
    ...more,
  };
}

test('the account of a CronJob has no rights beyond what it needs', async () => {
  await expect(account.list(SECRET, { namespace: scene.namespace })).rejects.toMatchObject({ code: 'CLUSTER_DENIED' });
  await expect(account.list(JOB, { namespace: 'default' })).rejects.toMatchObject({ code: 'CLUSTER_DENIED' });
});

test('a policy that selects nothing fails instead of doing nothing', async () => {
  await expect(runPolicy(account, scene.repository, runOf())).rejects.toMatchObject({ code: 'POLICY_SELECTS_NOTHING' });
});

test('a run backs up every selected claim, reports each, and keeps what its retention says', async () => {
  const labels = { tier: 'data' };
  await makeClaim(scene, 'one', { script: 'echo 1 > /data/file; sync', labels });
  await makeClaim(scene, 'two', { script: 'echo 2 > /data/file; sync', labels, zone: 'c' });
  await makeClaim(scene, 'other', { script: 'echo 3 > /data/file; sync' });
  await scene.kubectl.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'unused', labels },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-wait',
      resources: { requests: { storage: '100Mi' } },
    },
  });
  const first = await runPolicy(account, scene.repository, runOf());
  expect(first.outcomes.map(({ claim, status }) => [claim.split('/')[1], status])).toEqual([
    ['one', 'done'],
    ['two', 'done'],
    ['unused', 'skipped'],
  ]);
  expect(first.removed).toEqual([]);
  expect(await leftovers(scene)).toEqual([]);

  const second = await runPolicy(account, scene.repository, runOf());
  const backups = await listBackups(scene.repository);
  const idsOf = (result: typeof first) =>
    result.outcomes.flatMap((one) => ('result' in one ? [one.result.backupId] : [])).sort();
  expect([...second.removed].sort()).toEqual(idsOf(first));
  expect(backups.map(({ id }) => id).sort()).toEqual(idsOf(second));
});

test('a claim that fails is reported and neither stops the others nor costs it its last backup', async () => {
  await scene.kubectl.run('annotate', 'pvc', 'two', 'holdfast.dev/snapshot-class=gone');
  const before = await listBackups(scene.repository);
  const outcomes: string[] = [];
  const result = await runPolicy(
    account,
    scene.repository,
    runOf({ onOutcome: ({ claim, status }) => outcomes.push(`${claim.split('/')[1]} ${status}`) }),
  );
  expect(outcomes.sort()).toEqual(['one done', 'two failed', 'unused skipped']);
  expect(result.outcomes[1]).toMatchObject({ status: 'failed', error: { code: 'SNAPSHOT_UNSUPPORTED' } });
  const path = `/${scene.namespace}/two`;
  const kept = await listBackups(scene.repository, { paths: [path] });
  expect(kept.map(({ id }) => id)).toEqual(before.filter(({ paths }) => paths[0] === path).map(({ id }) => id));
  await scene.kubectl.run('annotate', 'pvc', 'two', 'holdfast.dev/snapshot-class-');
});

test('the CronJob runs the policy inside the cluster', async () => {
  const before = (await listBackups(scene.repository)).map(({ id }) => id);
  await scene.kubectl.run('create', 'job', 'by-hand', '--from=cronjob/holdfast-nightly');
  const job = await scene.cluster.waitFor(
    { resource: JOB, namespace: scene.namespace, name: 'by-hand' },
    (object) => (conditionOf(object, 'Complete') ?? conditionOf(object, 'Failed')) && object,
    { timeoutMs: 180_000, what: 'the Job of the CronJob' },
  );
  const log = await scene.kubectl.logs('job/by-hand');
  expect(conditionOf(job, 'Complete')?.status, log).toBe('True');
  const after = (await listBackups(scene.repository)).map(({ id }) => id);
  expect(after).toHaveLength(2);
  expect(after.filter((id) => before.includes(id))).toEqual([]);
});
