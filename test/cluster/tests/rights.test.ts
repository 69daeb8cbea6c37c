/** A restore into the real cluster by an account that has the documented rights and no others. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { connect } from '../../../src/cluster/connect.ts';
import { CLAIM, NODE, POD } from '../../../src/cluster/resources.ts';
import { restoreClaim } from '../../../src/restore/restore-claim.ts';
import { neededFor, refusalOfRights, restoreClusterRole, restoreRole } from '../../../src/restore/rights.ts';
import { openKubectl } from '../kubectl.ts';
import {
  leftovers,
  makeBackup,
  makeNamespace,
  openScene,
  optionsFor,
  planned,
  readByPod,
  removeNamespace,
  type Scene,
} from './restore-scene.ts';

let scene: Scene;
let namespace: string;
/** The scene as the account sees the cluster. */
let limited: Scene;

beforeAll(async () => {
  scene = await openScene();
  namespace = await makeNamespace(scene);
  const kubectl = openKubectl(scene.state, namespace);
  const rbac = 'rbac.authorization.k8s.io';
  const name = 'restorer';
  const wide = `${namespace}-${name}`;
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const object = (kind: string, metadata: object, rest: object) => ({
    apiVersion: `${rbac}/v1`,
    kind,
    metadata,
    ...rest,
  });
  await kubectl.apply(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    object('Role', { name }, { rules: restoreRole }),
    object('RoleBinding', { name }, { roleRef: { apiGroup: rbac, kind: 'Role', name }, subjects }),
    object('ClusterRole', { name: wide }, { rules: restoreClusterRole }),
    object(
      'ClusterRoleBinding',
      { name: wide },
      { roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: wide }, subjects },
    ),
  );
  const config = parse(await readFile(scene.state.kubeconfig, 'utf8'));
  const token = (await kubectl.run('create', 'token', name)).trim();
  for (const user of config.users) user.user = { token };
  const kubeconfig = join(scene.folder, 'kubeconfig');
  await writeFile(kubeconfig, stringify(config));
  limited = { ...scene, cluster: await connect({ kubeconfig }) };
});

afterAll(async () => {
  const wide = `${namespace}-restorer`;
  await openKubectl(scene.state, namespace).run('delete', 'clusterrole,clusterrolebinding', wide);
  await removeNamespace(scene, namespace);
  limited.cluster.close();
  await scene.close();
});

test('the account may not look beyond its namespace', async () => {
  await expect(limited.cluster.list(POD)).rejects.toMatchObject({ code: 'CLUSTER_DENIED' });
  await expect(limited.cluster.list(CLAIM, { namespace: 'default' })).rejects.toMatchObject({ code: 'CLUSTER_DENIED' });
  expect(await limited.cluster.list(NODE)).toHaveLength(3);
});

test('rights that are missing are named by the plan, all at once', async () => {
  const plan = await planned(scene, await makeBackup(scene), { namespace, name: 'denied', createNamespace: true });
  expect(await refusalOfRights(limited.cluster, neededFor(plan, true))).toBeUndefined();
  const elsewhere = { ...plan, createsNamespace: true, target: { namespace: 'default', name: 'denied' } };
  const refusal = await refusalOfRights(limited.cluster, neededFor(elsewhere, false));
  expect(refusal?.code).toBe('RIGHTS_MISSING');
  expect(refusal?.message).toContain('create namespaces');
  expect(refusal?.message).toContain('get, list, watch, create, patch, delete persistentvolumeclaims in default');
  expect(refusal?.message).not.toContain('persistentvolumes;');
});

test.each([
  ['that waits for its consumer', 'zonal-wait'],
  ['that binds at once', 'zonal-now'],
])('the documented rights are enough to restore into another zone, with a class %s', async (_, storageClass) => {
  const backup = await makeBackup(scene);
  const wishes = { namespace, name: `data-${storageClass}`, zone: 'c', storageClass };
  await restoreClaim(limited.cluster, optionsFor(limited, await planned(limited, backup, wishes)));
  expect(await leftovers(scene, namespace)).toEqual([]);
  expect(await readByPod(scene, namespace, wishes.name)).toEqual({ tree: backup.tree, zone: 'c' });
});
