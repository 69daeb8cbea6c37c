/** What the real cluster says of room and rights is found in the plan, before anything is made. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLAIM } from '../../../src/cluster/resources.ts';
import type { RestoreWishes } from '../../../src/restore/facts.ts';
import {
  type Backup,
  makeBackup,
  makeNamespace,
  openScene,
  planIn,
  removeNamespace,
  type Scene,
} from './restore-scene.ts';

let scene: Scene;
let backup: Backup;
let namespace: string;

beforeAll(async () => {
  scene = await openScene();
  backup = await makeBackup(scene);
  namespace = await makeNamespace(scene);
  const metadata = { name: 'storage', namespace };
  const hard = { 'requests.storage': '3Gi', 'zonal-now.storageclass.storage.k8s.io/persistentvolumeclaims': '1' };
  await scene.cluster.create({ apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard } });
  const limits = [{ type: 'PersistentVolumeClaim', max: { storage: '2Gi' } }];
  await scene.cluster.create({ apiVersion: 'v1', kind: 'LimitRange', metadata, spec: { limits } });
});

afterAll(async () => {
  await removeNamespace(scene, namespace);
  await scene.close();
});

test.each<[string, RestoreWishes, string[]]>([
  ['that fits', {}, []],
  ['of a class whose quota is one claim', { storageClass: 'zonal-now' }, ['QUOTA_EXCEEDED']],
  ['that the quota holds only once', { sizeBytes: 1.8 * 2 ** 30 }, ['QUOTA_EXCEEDED']],
  ['above the limit', { sizeBytes: 2.5 * 2 ** 30 }, ['SIZE_NOT_ALLOWED', 'QUOTA_EXCEEDED']],
  ['that no zone has room for', { sizeBytes: 2 ** 60 }, ['SIZE_NOT_ALLOWED', 'STORAGE_FULL', 'QUOTA_EXCEEDED']],
])('a claim %s', async (_, wishes, codes) => {
  const { refusals } = await planIn(scene, backup, { namespace, ...wishes });
  expect(refusals.map(({ code }) => code)).toEqual(codes);
  expect(await scene.cluster.list(CLAIM, { namespace })).toEqual([]);
});
