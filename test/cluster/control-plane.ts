/** etcd, API server, controller manager and scheduler of a cluster, as processes of the host. */
import { join } from 'node:path';
import type { ReadApi } from './api-client.ts';
import { openApi } from './api-client.ts';
import type { BinaryName } from './binary-list.ts';
import { runCommand } from './commands.ts';
import type { ClusterLayout } from './layout.ts';
import { type Member, startMember, waitUntil } from './members.ts';

export type BinaryPaths = Readonly<Record<BinaryName, string>>;

export interface ControlPlane {
  readonly api: ReadApi;
  readonly members: readonly Member[];
}

/** Returns when pods can be created: API ready, default service account there, snapshot kinds known. */
export async function startControlPlane(
  layout: ClusterLayout,
  bin: BinaryPaths,
  progress: (line: string) => void,
): Promise<ControlPlane> {
  const members = [await startEtcd(layout, bin), await startApiServer(layout, bin)];
  const api = openApi(layout);
  progress('waiting for the API server');
  await waitUntil('the API server', async () => (await api('/readyz')) === 'ok', { members });
  members.push(await startControllerManager(layout, bin), await startScheduler(layout, bin));
  progress('waiting for the snapshot kinds and the default service account');
  const kubectl = (...args: string[]) =>
    runCommand(bin.kubectl, [`--kubeconfig=${layout.adminKubeconfig}`, ...args], { timeoutMs: 60_000 });
  await kubectl('apply', '--server-side', '-f', join(import.meta.dirname, 'crd'));
  await kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
  // Without it the API server refuses pods.
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  await waitUntil('the default service account', async () => Boolean(await api(account)), { members });
  return { api, members };
}

function startEtcd(layout: ClusterLayout, bin: BinaryPaths): Promise<Member> {
  const peers = `http://${layout.loopback}:2380`;
  return startMember(layout, 'etcd', [
    bin.etcd,
    '--data-dir',
    join(layout.stateFolder, 'etcd'),
    ...['--name', layout.name, '--initial-cluster', `${layout.name}=${peers}`],
    ...['--listen-client-urls', etcdUrl(layout), '--advertise-client-urls', etcdUrl(layout)],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
    ...['--unsafe-no-fsync', '--quota-backend-bytes', String(2 ** 31), '--log-level', 'warn'],
  ]);
}

function etcdUrl({ loopback }: ClusterLayout): string {
  return `http://${loopback}:2379`;
}

function startApiServer(layout: ClusterLayout, bin: BinaryPaths): Promise<Member> {
  const pki = (file: string) => join(layout.pki, file);
  const issuer = 'https://kubernetes.default.svc';
  return startMember(layout, 'apiserver', [
    bin['kube-apiserver'],
    ...['--etcd-servers', etcdUrl(layout), '--secure-port', '6443'],
    ...['--bind-address', layout.hostAddress, '--advertise-address', layout.hostAddress],
    ...['--tls-cert-file', pki('apiserver.crt'), '--tls-private-key-file', pki('apiserver.key')],
    ...['--client-ca-file', pki('ca.crt'), '--token-auth-file', pki('tokens.csv')],
    ...['--service-account-key-file', pki('sa.pub'), '--service-account-signing-key-file', pki('sa.key')],
    ...['--service-account-issuer', issuer, '--api-audiences', issuer],
    ...['--service-cluster-ip-range', layout.serviceNetwork, '--allow-privileged=true'],
    ...['--authorization-mode', 'Node,RBAC', '--enable-admission-plugins', 'NodeRestriction'],
    ...['--kubelet-client-certificate', pki('admin.crt'), '--kubelet-client-key', pki('admin.key')],
    ...['--kubelet-certificate-authority', pki('ca.crt'), '--kubelet-preferred-address-types', 'InternalIP'],
    ...['--requestheader-client-ca-file', pki('ca.crt'), '--requestheader-allowed-names', 'front-proxy-client'],
    ...['--requestheader-username-headers', 'X-Remote-User', '--requestheader-group-headers', 'X-Remote-Group'],
    ...['--requestheader-extra-headers-prefix', 'X-Remote-Extra-', '--enable-aggregator-routing=true'],
    ...['--proxy-client-cert-file', pki('front-proxy.crt'), '--proxy-client-key-file', pki('front-proxy.key')],
    ...['--profiling=false', '--v=1'],
  ]);
}

/** Timings short enough for tests of lost nodes: Unknown after 20 s. */
function startControllerManager(layout: ClusterLayout, bin: BinaryPaths): Promise<Member> {
  const pki = (file: string) => join(layout.pki, file);
  return startMember(layout, 'controller-manager', [
    bin['kube-controller-manager'],
    ...clientFlags(layout, 'controller-manager'),
    ...['--root-ca-file', pki('ca.crt'), '--service-account-private-key-file', pki('sa.key')],
    ...['--cluster-signing-cert-file', pki('ca.crt'), '--cluster-signing-key-file', pki('ca.key')],
    ...['--use-service-account-credentials=true', '--node-monitor-period', '2s', '--node-monitor-grace-period', '20s'],
    ...['--attach-detach-reconcile-sync-period', '5s', '--pvclaimbinder-sync-period', '5s', '--v=1'],
  ]);
}

function startScheduler(layout: ClusterLayout, bin: BinaryPaths): Promise<Member> {
  return startMember(layout, 'scheduler', [bin['kube-scheduler'], ...clientFlags(layout, 'scheduler'), '--v=1']);
}

function clientFlags(layout: ClusterLayout, name: string): string[] {
  const config = join(layout.kubeconfigs, `${name}.conf`);
  const uses = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'];
  return [...uses.map((use) => `--${use}=${config}`), `--bind-address=${layout.loopback}`, '--leader-elect=false'];
}
