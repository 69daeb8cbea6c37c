/** A run over many claims: what it asks of the API server grows with the claims, and with nothing else. */
import { randomBytes } from 'node:crypto';
import https from 'node:https';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type PolicyRun, runPolicy } from '../../../src/backup/run-policy.ts';
import { newRunId } from '../../../src/cluster/labels.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { CLAIM, SNAPSHOT } from '../../../src/cluster/resources.ts';
import { findPolicy, parsePolicyFile } from '../../../src/policy/policy-file.ts';
import { type BackupScene, leftovers, openBackupScene } from './backup-scene.ts';

const count = process.env.HOLDFAST_TEST_FULL === '1' ? 50 : 6;
const names = Array.from({ length: count }, (_, at) => `many-${String(at).padStart(2, '0')}`);

let scene: BackupScene;

beforeAll(async () => {
  scene = await openBackupScene();
  // Of a class that binds at once, so that no claim needs a pod.
  const claims = names.map((name) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'zonal-now',
      resources: { requests: { storage: '20Mi' } },
    },
  }));
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'holdfast' }, stringData: scene.credentials };
  await scene.kubectl.apply(secret, ...claims);
  const areBound = (found: readonly object[]) =>
    found.every((claim) => textAt(claim, 'status', 'phase') === 'Bound') ? true : undefined;
  const { namespace } = scene;
  await scene.cluster.waitForList(CLAIM, { namespace }, areBound, {
    timeoutMs: 120_000,
    what: 'the claims to be bound',
  });
}, 600_000);

afterAll(async () => {
  await scene.close();
});

function runOf(more: Partial<PolicyRun>): PolicyRun {
  const { namespace, url, state, clusterUid } = scene;
  const header = 'apiVersion: holdfast.dev/v1alpha1\n';
  const metadata = `metadata: {name: many, namespace: ${namespace}}\n`;
  const repository = `${header}kind: Repository\n${metadata}spec: {url: "${url}", secretName: holdfast}\n`;
  const spec = 'repository: {name: many}, select: {claims: {names: ["many-*"]}}, limits: {claims: 4, perNode: 4}';
  const file = `${repository}---\n${header}kind: BackupPolicy\n${metadata}spec: {${spec}}\n`;
  return {
    policy: findPolicy(parsePolicyFile(file, 'test'), undefined, 'test').policy,
    access: { url, secretName: 'holdfast' },
    settings: { image: state.holdfastImage },
    clusterUid,
    run: newRunId(Date.now(), () => randomBytes(2).toString('hex')),
    hostname: 'test',
    ...more,
  };
}

test('all claims of a run are backed up, few at a time, and for each the API server is asked a bounded number of times', async () => {
  const requests = vi.spyOn(https, 'request');
  let most = 0;
  let looks = 0;
  const watch = setInterval(() => {
    looks += 1;
    const objects = scene.cluster.list(SNAPSHOT, { namespace: scene.namespace });
    void objects.then(({ length }) => {
      most = Math.max(most, length);
    });
  }, 2_000);
  const result = await runPolicy(scene.cluster, scene.repository, runOf({})).finally(() => clearInterval(watch));
  const perClaim = (requests.mock.calls.length - looks) / count;
  requests.mockRestore();
  console.log(`${count} claims: ${perClaim.toFixed(1)} requests to the API server for each`);
  expect(result.outcomes.map(({ claim, status }) => [claim.split('/')[1], status])).toEqual(
    names.map((name) => [name, 'done']),
  );
  // Some are asked again while one waits, so that a slow machine makes more of them.
  expect(perClaim).toBeLessThan(100);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(4);
  expect(await leftovers(scene)).toEqual([]);
}, 1_800_000);
