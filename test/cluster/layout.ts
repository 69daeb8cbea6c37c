/**
 * Names, addresses and paths of one cluster, all derived from its name and one number, so that two clusters on one
 * machine have nothing in common.
 */
import { join } from 'node:path';

export interface ClusterParameters {
  /** Prefix of links, network namespaces and cgroup folders; at most 6 letters, for the kernel's 15 byte link names. */
  readonly name: string;
  /** Second byte of every address: nodes are in 10.N.0.0/24, pods in 10.N.64.0/18, services in 10.N.240.0/20. */
  readonly network: number;
  /** Short, for the 108 bytes of a unix socket's path. */
  readonly stateFolder: string;
}

export interface NodeLayout {
  /** Zone and last part of the node's name: a, b, c. */
  readonly zone: string;
  readonly name: string;
  readonly address: string;
  /** First three bytes of the addresses of this node's pods. */
  readonly podNetwork: string;
  readonly namespace: string;
  readonly link: string;
  readonly cgroup: string;
  readonly folder: string;
  readonly containerdSocket: string;
}

export interface ClusterLayout extends ClusterParameters {
  readonly bridge: string;
  /** The host's address on the bridge: the API server and the S3 server listen here, for pods and for the host. */
  readonly hostAddress: string;
  /** A loopback address of this cluster's own, for what only the host talks to. */
  readonly loopback: string;
  readonly apiServer: string;
  readonly serviceNetwork: string;
  readonly podNetworks: string;
  readonly s3Endpoint: string;
  readonly nodes: readonly NodeLayout[];
  readonly pki: string;
  readonly kubeconfigs: string;
  readonly adminKubeconfig: string;
  readonly logs: string;
  readonly csiSocket: string;
  /** Images of volumes and snapshots, and the folder `faults`. */
  readonly csiData: string;
  readonly stateFile: string;
}

export const driverName = 'zonal.csi.holdfast.test';
export const zoneKey = 'topology.kubernetes.io/zone';

/** What `npm run cluster:up` starts; a test run without a cluster at hand brings up its own beside it. */
export const standingCluster: ClusterParameters = { name: 'hfc', network: 250, stateFolder: '/tmp/hfc' };
export const testRunCluster: ClusterParameters = { name: 'hft', network: 251, stateFolder: '/tmp/hft' };

export function layoutOf(parameters: ClusterParameters): ClusterLayout {
  const { name, network, stateFolder } = parameters;
  if (!/^[a-z]{1,6}$/.test(name)) throw new Error(`a cluster's name is 1 to 6 small letters, not ${name}`);
  if (stateFolder.length > 24) throw new Error(`${stateFolder} is too long for the sockets in it`);
  const hostAddress = `10.${network}.0.1`;
  return {
    ...parameters,
    bridge: `${name}0`,
    hostAddress,
    loopback: `127.0.${network}.1`,
    apiServer: `https://${hostAddress}:6443`,
    serviceNetwork: `10.${network}.240.0/20`,
    podNetworks: `10.${network}.64.0/18`,
    s3Endpoint: `http://${hostAddress}:7070`,
    nodes: ['a', 'b', 'c'].map((zone, index) => nodeLayout(parameters, zone, index + 1)),
    pki: join(stateFolder, 'pki'),
    kubeconfigs: join(stateFolder, 'kubeconfig'),
    adminKubeconfig: join(stateFolder, 'kubeconfig/admin.conf'),
    logs: join(stateFolder, 'log'),
    csiSocket: join(stateFolder, 'csi/controller.sock'),
    csiData: join(stateFolder, 'csi/data'),
    stateFile: join(stateFolder, 'cluster.json'),
  };
}

function nodeLayout({ name, network, stateFolder }: ClusterParameters, zone: string, index: number): NodeLayout {
  const folder = join(stateFolder, 'nodes', zone);
  return {
    zone,
    name: `node-${zone}`,
    address: `10.${network}.0.${10 + index}`,
    podNetwork: `10.${network}.${64 + index}`,
    namespace: `${name}-${zone}`,
    link: `${name}v-${zone}`,
    cgroup: `${name}-${zone}`,
    folder,
    containerdSocket: join(folder, 'containerd.sock'),
  };
}
