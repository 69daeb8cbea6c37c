/** The CSI driver (a controller and one instance per node), its side-cars, and the classes, on a store with reflink. */
import { mkdir, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ReadApi } from './api-client.ts';
import { runCommand } from './commands.ts';
import type { BinaryPaths } from './control-plane.ts';
import { type ClusterLayout, driverName, type NodeLayout, zoneKey } from './layout.ts';
import { type Member, startMember, waitUntil } from './members.ts';

const storeSizeBytes = 40 * 2 ** 30;

/** Returns when every node can stage volumes of the driver. */
export async function startStorage(layout: ClusterLayout, bin: BinaryPaths, api: ReadApi): Promise<Member[]> {
  const classes = join(import.meta.dirname, 'manifests/storage.yaml');
  await runCommand(bin.kubectl, [`--kubeconfig=${layout.adminKubeconfig}`, 'apply', '-f', classes]);
  const drivers = await startDrivers(layout, bin);
  const isListening = async () => (await stat(layout.csiSocket)).isSocket();
  await waitUntil('the CSI controller', isListening, { members: drivers });
  const members = [...drivers, ...(await startSidecars(layout, bin))];
  for (const node of layout.nodes) {
    await waitUntil(`the CSI driver on ${node.name}`, () => hasDriver(api, node.name), { members });
  }
  return members;
}

/** A sparse file with XFS: snapshots share blocks with their volume, and cost nothing but their difference. */
export async function mountStore({ csiData }: ClusterLayout): Promise<void> {
  const image = join(dirname(csiData), 'store.img');
  await mkdir(csiData, { recursive: true });
  await writeFile(image, '');
  await truncate(image, storeSizeBytes);
  await runCommand('mkfs.xfs', ['-q', '-m', 'reflink=1', image]);
  await runCommand('mount', ['-o', 'loop', image, csiData]);
  await mkdir(join(csiData, 'faults'));
}

export async function startDrivers(layout: ClusterLayout, bin: Pick<BinaryPaths, 'zonal-csi-driver'>) {
  const shared = [bin['zonal-csi-driver'], '-name', driverName, '-data', layout.csiData] as const;
  const controller = [...shared, '-controller', '-endpoint', layout.csiSocket] as const;
  const members = [await startMember(layout, 'csi-controller', controller)];
  for (const node of layout.nodes) {
    const plugins = join(node.folder, 'kubelet');
    members.push(
      await startMember(layout, `csi-node-${node.zone}`, [
        ...shared,
        ...['-node', '-node-id', node.name, '-topology', `${zoneKey}=${node.zone}`],
        ...['-endpoint', join(plugins, 'plugins', driverName, 'csi.sock')],
        ...['-registration', join(plugins, 'plugins_registry', `${driverName}-reg.sock`)],
      ]),
    );
  }
  return members;
}

async function startSidecars(layout: ClusterLayout, bin: BinaryPaths): Promise<Member[]> {
  const api = `--kubeconfig=${layout.adminKubeconfig}`;
  const driver = `--csi-address=${layout.csiSocket}`;
  // Among what is tried again is the removal of a volume that is still attached.
  const retries = ['--retry-interval-start=200ms', '--retry-interval-max=2s'];
  // A claim made twice at once leaves its mark on the snapshot, which is only taken off by this sweep: by default every
  // five minutes.
  const sweep = '--snapshot-orphan-sweep-interval=2s';
  const groups = '--feature-gates=CSIVolumeGroupSnapshot=true';
  // Owner level -1: the capacity objects belong to no pod, because the provisioner is none.
  const capacity = ['--enable-capacity', '--capacity-ownerref-level=-1', '--capacity-poll-interval=10s'];
  // Strict: for a pod that waits for its volume the driver is asked for the zone of that pod's node and no other.
  const topology = ['--feature-gates=Topology=true', '--strict-topology=true', '--immediate-topology=true'];
  const commands: Record<string, [string, ...string[]]> = {
    'csi-provisioner': [
      bin['csi-provisioner'],
      ...[api, driver, ...retries, ...topology, ...capacity],
      ...[sweep, '--extra-create-metadata', '--default-fstype=ext4', '--v=3'],
    ],
    'csi-attacher': [bin['csi-attacher'], api, driver, ...retries, '--reconcile-sync=10s', '--v=3'],
    'csi-resizer': [bin['csi-resizer'], api, driver, '--handle-volume-inuse-error=false', '--v=3'],
    'csi-snapshotter': [bin['csi-snapshotter'], api, driver, ...retries, groups, '--extra-create-metadata', '--v=3'],
    'snapshot-controller': [bin['snapshot-controller'], api, ...retries, groups, '--v=3'],
  };
  const members: Member[] = [];
  for (const [role, command] of Object.entries(commands)) {
    members.push(await startMember(layout, role, command, { NAMESPACE: 'kube-system' }));
  }
  return members;
}

interface CsiNodeObject {
  spec?: { drivers?: { name: string }[] };
}

async function hasDriver(api: ReadApi, node: NodeLayout['name']): Promise<boolean> {
  const csiNode = (await api(`/apis/storage.k8s.io/v1/csinodes/${node}`)) as CsiNodeObject;
  return csiNode.spec?.drivers?.some(({ name }) => name === driverName) ?? false;
}
