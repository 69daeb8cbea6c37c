/**
 * The programs the test cluster is made of, and how each is built. Versions are those of the go.mod files beside;
 * the stamped versions below must follow them, because the programs report and compare them.
 */
import { join } from 'node:path';

const kubernetesVersion = '1.37.2';
const containerdVersion = '2.4.2';
const provisionerVersion = '6.3.0';

export type ModuleName = 'kubernetes' | 'provisioner' | 'versitygw' | 'csi-sanity' | 'csi-driver';

export interface GoModule {
  readonly folder: string;
  readonly tags: string;
  readonly linkerFlags: string;
}

export interface Binary {
  readonly module: ModuleName;
  /** Import path of the main package. */
  readonly package: string;
}

/** Leaves out file system drivers that would need C libraries. */
const slimTags = 'no_btrfs no_zfs no_devmapper no_aufs';

const here = import.meta.dirname;

export const goModules: Readonly<Record<ModuleName, GoModule>> = {
  kubernetes: {
    folder: join(here, 'modules/kubernetes'),
    tags: slimTags,
    linkerFlags: [
      '-s -w',
      ...['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap(kubernetesStamp),
      `-X github.com/containerd/containerd/v2/version.Version=v${containerdVersion}`,
      '-X main.version=holdfast-test',
    ].join(' '),
  },
  // A module of its own: the newest provisioner that can be had compiles only against the client libraries of 1.36.
  provisioner: {
    folder: join(here, 'modules/provisioner'),
    tags: slimTags,
    linkerFlags: `-s -w -X main.version=v${provisionerVersion}`,
  },
  versitygw: { folder: join(here, 'modules/versitygw'), tags: '', linkerFlags: '-s -w' },
  'csi-sanity': { folder: join(here, 'modules/csi-sanity'), tags: '', linkerFlags: '-s -w' },
  'csi-driver': { folder: join(here, 'csi-driver'), tags: '', linkerFlags: '-s -w' },
};

const kubernetes = (path: string): Binary => ({ module: 'kubernetes', package: path });

/** In build order: the first of a module pays for what the others share. */
export const binaries = {
  versitygw: { module: 'versitygw', package: 'github.com/versity/versitygw/cmd/versitygw' },
  etcd: kubernetes('go.etcd.io/etcd/server/v3'),
  'kube-apiserver': kubernetes('k8s.io/kubernetes/cmd/kube-apiserver'),
  'kube-controller-manager': kubernetes('k8s.io/kubernetes/cmd/kube-controller-manager'),
  kubelet: kubernetes('k8s.io/kubernetes/cmd/kubelet'),
  kubectl: kubernetes('k8s.io/kubernetes/cmd/kubectl'),
  'kube-scheduler': kubernetes('k8s.io/kubernetes/cmd/kube-scheduler'),
  'kube-proxy': kubernetes('k8s.io/kubernetes/cmd/kube-proxy'),
  containerd: kubernetes('github.com/containerd/containerd/v2/cmd/containerd'),
  'containerd-shim-runc-v2': kubernetes('github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2'),
  ctr: kubernetes('github.com/containerd/containerd/v2/cmd/ctr'),
  'snapshot-controller': kubernetes('github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller'),
  'csi-snapshotter': kubernetes('github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter'),
  'csi-attacher': kubernetes('github.com/kubernetes-csi/external-attacher/v4/cmd/csi-attacher'),
  'csi-resizer': kubernetes('github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer'),
  'csi-provisioner': {
    module: 'provisioner',
    package: 'github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner',
  },
  'zonal-csi-driver': { module: 'csi-driver', package: '.' },
  'csi-sanity': { module: 'csi-sanity', package: 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity' },
} as const satisfies Record<string, Binary>;

export type BinaryName = keyof typeof binaries;

export function isBinaryName(name: string): name is BinaryName {
  return Object.hasOwn(binaries, name);
}

/** Without a git checkout the build cannot find its own version; clients and servers compare these. */
function kubernetesStamp(path: string): string[] {
  const [major, minor] = kubernetesVersion.split('.');
  const values = {
    gitVersion: `v${kubernetesVersion}`,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: '0'.repeat(40),
    buildDate: '2026-01-01T00:00:00Z',
  };
  return Object.entries(values).map(([key, value]) => `-X ${path}.${key}=${value}`);
}
