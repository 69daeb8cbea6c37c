/** One node: a network namespace, containerd, kubelet and kube-proxy in it, and its own cgroup folders. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadApi } from './api-client.ts';
import { runCommand } from './commands.ts';
import type { BinaryPaths } from './control-plane.ts';
import { type ClusterLayout, type NodeLayout, zoneKey } from './layout.ts';
import { inNetworkOf, type Member, startMember, waitUntil } from './members.ts';
import { connectNode } from './network.ts';
import { containerdConfig, kubeletConfig, podNetworkConfig, proxyConfig } from './node-files.ts';

export const cgroupRoot = '/sys/fs/cgroup';
const cgroupControllers = ['memory', 'cpu', 'cpuacct', 'cpuset', 'pids', 'devices', 'freezer', 'blkio', 'systemd'];

/** The node's part that needs no API server: its container runtime with the images, given as OCI archives. */
export async function startRuntime(
  layout: ClusterLayout,
  node: NodeLayout,
  bin: BinaryPaths,
  images: readonly string[],
): Promise<Member> {
  await mkdir(join(node.folder, 'cni'), { recursive: true });
  await connectNode(layout, node);
  const containerd = await startContainerd(layout, node, bin);
  for (const image of images) await importImage(node, bin, image);
  await makeCgroups(node);
  return containerd;
}

/** Returns when the node is Ready. */
export async function joinCluster(
  layout: ClusterLayout,
  node: NodeLayout,
  bin: BinaryPaths,
  api: ReadApi,
): Promise<Member[]> {
  const members = [await startKubelet(layout, node, bin), await startProxy(layout, node, bin)];
  await waitUntil(`${node.name} to be Ready`, () => isReady(api, node.name), { members });
  return members;
}

async function startContainerd(layout: ClusterLayout, node: NodeLayout, bin: BinaryPaths): Promise<Member> {
  const configFile = join(node.folder, 'containerd.toml');
  await writeFile(join(node.folder, 'cni/10-pods.conflist'), podNetworkConfig(node));
  await writeFile(configFile, containerdConfig(node, bin));
  const command = [bin.containerd, '--config', configFile, '--log-level', 'info'];
  const containerd = await startMember(layout, `containerd-${node.zone}`, inNetworkOf(node.namespace, command));
  const answers = async () => Boolean(await runCommand(bin.ctr, ['-a', node.containerdSocket, 'version']));
  await waitUntil(`containerd of ${node.name}`, answers, { members: [containerd] });
  return containerd;
}

/** Adds or replaces an image of the node; kubelets never pull `localhost/…` images that are there. */
export async function importImage(node: NodeLayout, bin: Pick<BinaryPaths, 'ctr'>, archive: string): Promise<void> {
  await runCommand(bin.ctr, ['-a', node.containerdSocket, '-n', 'k8s.io', 'images', 'import', '--local', archive]);
}

/** The kubelet wants its root in every controller; a new cpuset is born without processors and memory. */
async function makeCgroups({ cgroup }: NodeLayout): Promise<void> {
  for (const controller of cgroupControllers) await mkdir(join(cgroupRoot, controller, cgroup), { recursive: true });
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const all = await readFile(join(cgroupRoot, 'cpuset', file));
    await writeFile(join(cgroupRoot, 'cpuset', cgroup, file), all);
  }
}

async function startKubelet(layout: ClusterLayout, node: NodeLayout, bin: BinaryPaths): Promise<Member> {
  const configFile = join(node.folder, 'kubelet.json');
  await writeFile(join(node.folder, 'resolv.conf'), '');
  await writeFile(configFile, kubeletConfig(layout, node));
  const command = [
    bin.kubelet,
    ...['--config', configFile, '--kubeconfig', join(layout.kubeconfigs, `${node.name}.conf`)],
    ...['--root-dir', join(node.folder, 'kubelet'), '--cert-dir', join(node.folder, 'kubelet-pki')],
    ...['--hostname-override', node.name, '--node-ip', node.address],
    ...['--node-labels', `${zoneKey}=${node.zone},topology.kubernetes.io/region=r1`, '--v=2'],
  ];
  return startMember(layout, `kubelet-${node.zone}`, inNetworkOf(node.namespace, command));
}

async function startProxy(layout: ClusterLayout, node: NodeLayout, bin: BinaryPaths): Promise<Member> {
  const configFile = join(node.folder, 'proxy.json');
  await writeFile(configFile, proxyConfig(layout, node));
  const command = [bin['kube-proxy'], '--config', configFile, '--v=1'];
  return startMember(layout, `proxy-${node.zone}`, inNetworkOf(node.namespace, command));
}

interface NodeObject {
  status?: { conditions?: { type: string; status: string }[] };
}

async function isReady(api: ReadApi, name: string): Promise<boolean> {
  const node = (await api(`/api/v1/nodes/${name}`)) as NodeObject;
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}
