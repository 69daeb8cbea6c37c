/**
 * Ends a cluster and removes all it made on this machine. Needs nothing but the layout, so that it also clears what a
 * killed run has left; every step may find its work done already.
 */
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand, tryCommand } from './commands.ts';
import type { ClusterLayout } from './layout.ts';
import { detachLoops, loopsOf } from './loop-devices.ts';
import { findMembers, signal, stopMembers } from './members.ts';
import { mountsUnder, unmountAll } from './mounts.ts';
import { cgroupRoot } from './node.ts';

/** Throws with a list of what could not be removed. */
export async function cleanUp(layout: ClusterLayout): Promise<void> {
  // First whoever would start or mount something new; then the pods, which outlive a kubelet; then what held them.
  await stopMembers(layout, /^(controller-manager|scheduler|kubelet|proxy|csi|snapshot)/);
  await killPods(layout);
  await stopMembers(layout, /^containerd/, 2000);
  // The API server would take its time, and etcd too: what they hold goes away with them.
  await stopMembers(layout, /./, 500);
  // Before anything is unmounted: afterwards a device no longer tells which file it stands for.
  const loops = await loopsOf(layout.stateFolder);
  await unmountAll(layout.stateFolder, (path) => path !== layout.csiData);
  await detachLoops(loops);
  await unmountAll(layout.stateFolder, () => true);
  for (const folder of await cgroupFolders(layout)) await removeTree(folder);
  await removeNetwork(layout);
  const left = await findLeftovers(layout);
  if (left.length > 0) throw new Error(`the clean-up of ${layout.stateFolder} left:\n${left.join('\n')}`);
  // Not across mounts: should one have escaped, its files stay.
  await runCommand('rm', ['-rf', '--one-file-system', layout.stateFolder]);
  await rm(layout.stateFolder, { recursive: true, force: true });
}

/** One line for each process, mount, loop device, namespace, link, route or cgroup folder of the cluster. */
export async function findLeftovers(layout: ClusterLayout): Promise<string[]> {
  const members = await findMembers(layout);
  const links = (await runCommand('ip', ['-o', 'link'])).split('\n').filter((line) => {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1] ?? '';
    return name === layout.bridge || layout.nodes.some((node) => node.link === name);
  });
  const namespaces = await readdir('/run/netns').catch(() => []);
  return [
    ...members.map(({ pid, role }) => `process ${pid} (${role})`),
    ...(await mountsUnder(layout.stateFolder)).map((path) => `mount ${path}`),
    ...(await loopsOf(layout.stateFolder)).map((device) => `loop device ${device}`),
    ...links.map((line) => `link ${line}`),
    ...namespaces
      .filter((name) => layout.nodes.some((node) => node.namespace === name))
      .map((name) => `network namespace ${name}`),
    ...(await cgroupFolders(layout)).map((path) => `cgroup ${path}`),
  ];
}

async function killPods(layout: ClusterLayout): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const lists = await Promise.all(layout.nodes.map(({ cgroup }) => processesIn(join(cgroupRoot, 'pids', cgroup))));
    const pids = lists.flat();
    if (pids.length === 0) return;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await sleep(100);
  }
}

async function processesIn(cgroup: string): Promise<number[]> {
  const names = await readdir(cgroup, { recursive: true }).catch(() => []);
  const lists = names.filter((name) => name.endsWith('cgroup.procs'));
  const texts = await Promise.all(lists.map((name) => readFile(join(cgroup, name), 'utf8').catch(() => '')));
  return texts.flatMap((text) => text.split('\n').filter(Boolean)).map(Number);
}

async function cgroupFolders(layout: ClusterLayout): Promise<string[]> {
  const wanted = new Set(layout.nodes.map(({ cgroup }) => cgroup));
  const folders: string[] = [];
  for (const controller of await readdir(cgroupRoot)) {
    const names = await readdir(join(cgroupRoot, controller)).catch(() => []);
    for (const name of names) if (wanted.has(name)) folders.push(join(cgroupRoot, controller, name));
  }
  return folders;
}

/** A cgroup folder is removed with rmdir alone, its inner folders first; its files are not files. */
async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  for (let attempt = 1; ; attempt++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      // Busy for a moment after its last process has ended.
      if (attempt === 20) throw error;
      await sleep(50);
    }
  }
}

async function removeNetwork(layout: ClusterLayout): Promise<void> {
  for (const { namespace, link, podNetwork } of layout.nodes) {
    await tryCommand('ip', ['netns', 'del', namespace]);
    await tryCommand('ip', ['link', 'del', link]);
    await tryCommand('ip', ['route', 'del', `${podNetwork}.0/24`, 'dev', layout.bridge]);
  }
  await tryCommand('ip', ['link', 'del', layout.bridge]);
}
