/** The configuration files of one node: containerd, its pod network, kubelet, kube-proxy. */
import { join } from 'node:path';
import type { BinaryPaths } from './control-plane.ts';
import type { ClusterLayout, NodeLayout } from './layout.ts';

export const pauseImage = 'localhost/pause:1';

/** What is switched off either wants rights that a container host of the test may lack, or is not used. */
export function containerdConfig({ folder, containerdSocket }: NodeLayout, bin: BinaryPaths): string {
  return `version = 3
root = "${folder}/containerd"
state = "${folder}/run"
oom_score = 0
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.internal.v1.tracing",
  "io.containerd.ttrpc.v1.otelttrpc",
]
[grpc]
  address = "${containerdSocket}"
[ttrpc]
  address = "${containerdSocket}.ttrpc"
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "${pauseImage}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  enable_unprivileged_ports = false
  enable_unprivileged_icmp = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "${folder}/cni"
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "${bin['containerd-shim-runc-v2']}"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
        Root = "${folder}/runc"
`;
}

export function podNetworkConfig({ folder, podNetwork, zone }: NodeLayout): string {
  const ipam = {
    type: 'host-local',
    dataDir: join(folder, 'ipam'),
    ranges: [[{ subnet: `${podNetwork}.0/24` }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true, ipam };
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  return JSON.stringify({ cniVersion: '1.0.0', name: `pods-${zone}`, plugins: [bridge, portmap] });
}

/** JSON, which is YAML. */
export function kubeletConfig({ pki }: ClusterLayout, node: NodeLayout): string {
  const { folder, address, cgroup, containerdSocket, name } = node;
  const free = { 'memory.available': '50Mi', 'nodefs.available': '1%', 'nodefs.inodesFree': '1%' };
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    port: 10250,
    readOnlyPort: 0,
    healthzBindAddress: '127.0.0.1',
    // Kubernetes 1.37 refuses cgroup v1 unless told.
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    // Values below 0 need CAP_SYS_RESOURCE.
    oomScoreAdj: 0,
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    resolvConf: join(folder, 'resolv.conf'),
    tlsCertFile: join(pki, `${name}.crt`),
    tlsPrivateKeyFile: join(pki, `${name}.key`),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true, cacheTTL: '5s' },
      x509: { clientCAFile: join(pki, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    evictionHard: { ...free, 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    syncFrequency: '10s',
    volumeStatsAggPeriod: '10s',
    // A volume is detached only once a status of the node no longer shows it in use: every restore waits for that.
    nodeStatusUpdateFrequency: '1s',
    nodeStatusReportFrequency: '10s',
    nodeLeaseDurationSeconds: 20,
    maxPods: 100,
    shutdownGracePeriod: '0s',
    volumePluginDir: join(folder, 'flexvolume'),
    podLogsDir: join(folder, 'podlogs'),
  });
}

export function proxyConfig(layout: ClusterLayout, node: NodeLayout): string {
  return JSON.stringify({
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    bindAddress: node.address,
    healthzBindAddress: '127.0.0.1:10256',
    metricsBindAddress: '127.0.0.1:10249',
    clientConnection: { kubeconfig: join(layout.kubeconfigs, 'proxy.conf') },
    clusterCIDR: layout.podNetworks,
    hostnameOverride: node.name,
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0 },
  });
}
