/** `holdfast restore` as a user runs it: planned, killed, run again, given up. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLAIM } from '../../../src/cluster/resources.ts';
import { restoreIdOf } from '../../../src/restore/marks.ts';
import { type Ended, runRestore } from './restore-cli.ts';
import {
  type Backup,
  leftovers,
  makeBackup,
  makeNamespace,
  openScene,
  readByPod,
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
});

afterAll(async () => {
  await removeNamespace(scene, namespace);
  await scene.close();
});

/** Runs `holdfast restore` of the backup into `claim`; killed hard as soon as it says the words. */
function restore(claim: string, args: readonly string[], killAt?: string): Promise<Ended> {
  scene.restores.set(restoreIdOf(backup.snapshot.id, namespace, claim), namespace);
  const all = [backup.snapshot.id, '--to', `${namespace}/${claim}`, ...args];
  return runRestore(scene, all, (said) => (killAt !== undefined && said.includes(killAt) ? 'kill' : undefined));
}

test('a plan makes nothing', async () => {
  const { exitCode, stdout } = await restore('planned', ['--zone', 'c', '--plan']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/zone +c \(chosen/);
  expect(await scene.cluster.list(CLAIM, { namespace })).toEqual([]);
});

test('a command that was killed while the data was written goes on when it is run again', async () => {
  const options = ['--zone', 'c', '--storage-class', 'zonal-now', '--send-credentials'];
  const killed = await restore('again', options, 'mover: runs on');
  expect(killed.exitCode).toBeNull();
  const planned = await restore('again', [...options, '--plan']);
  expect(planned.stdout).toContain('goes on with an unfinished restore');
  const { exitCode, stdout } = await restore('again', [...options, '--json']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ claim: `${namespace}/again`, places: ['c'], storageClass: 'zonal-now' });
  expect(await leftovers(scene, namespace)).toEqual([]);
  expect(await readByPod(scene, namespace, 'again')).toEqual({ tree: backup.tree, zone: 'c' });
});

test('a command that was killed can be given up, and the same target restored otherwise', async () => {
  await restore('other', ['--send-credentials'], 'waits for the volume');
  const refused = await restore('other', ['--zone', 'a', '--send-credentials']);
  expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
  expect(refused.stderr).toContain('--abandon');
  const given = await restore('other', ['--abandon']);
  expect(given.exitCode).toBe(0);
  expect(await leftovers(scene, namespace)).toEqual([]);
  expect(await scene.cluster.get(CLAIM, namespace, 'other')).toBeUndefined();
  const done = await restore('other', ['--zone', 'a', '--send-credentials']);
  expect(done.exitCode).toBe(0);
  expect(await readByPod(scene, namespace, 'other')).toEqual({ tree: backup.tree, zone: 'a' });
  expect((await restore('other', ['--abandon'])).stdout).toContain('no unfinished restore');
});
