/**
 * Finds the cluster: kubeconfig, or the service account inside a pod. The client library gives the parsing of
 * kubeconfigs and all ways to log in (certificates, tokens, exec plugins, OIDC); its API clients are not used.
 */
import { existsSync } from 'node:fs';
import https from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { type Cluster, clusterAt } from './client.ts';
import { NAMESPACE } from './resources.ts';
import type { Endpoint } from './transport.ts';

export interface ConnectOptions {
  /** Default: KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** Reads the configuration; the first call goes to the server only when something is asked of it. */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node');
  const config = new Config();
  try {
    load(config, options);
  } catch (error) {
    if (isHoldfastError(error)) throw error;
    const server = options.kubeconfig ?? 'the default kubeconfig';
    throw new HoldfastError('CLUSTER_UNREACHABLE', { server, reason: messageOf(error) }, { cause: error });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new HoldfastError('CLUSTER_UNREACHABLE', {
      server: options.kubeconfig ?? 'the default kubeconfig',
      reason: `the context "${config.getCurrentContext()}" names no cluster`,
    });
  }
  const agent = new https.Agent({ keepAlive: true, maxSockets: 32 });
  const ownAgent = cluster.server.startsWith('https:') && !cluster.proxyUrl;
  const endpoint: Endpoint = {
    server: cluster.server,
    options: async () => {
      const request: https.RequestOptions = {};
      await config.applyToHTTPSOptions(request);
      // The library's own agent opens a connection for every request.
      return ownAgent ? { ...request, agent } : request;
    },
  };
  return clusterAt(endpoint, () => agent.destroy());
}

/** The UID of the namespace kube-system, which stands for the cluster; undefined where that may not be read. */
export async function readClusterUid(cluster: Cluster): Promise<string | undefined> {
  try {
    return (await cluster.get(NAMESPACE, undefined, 'kube-system'))?.metadata.uid;
  } catch (error) {
    if (isHoldfastError(error, 'CLUSTER_DENIED')) return undefined;
    throw error;
  }
}

/** Where it finds nothing, the library makes up a server that nobody named. */
function loadDefault(config: KubeConfig): void {
  config.loadFromDefault();
  if (config.getCurrentCluster()?.server !== 'http://localhost:8080') return;
  const reason = 'there is no kubeconfig, and this is no pod with a service account';
  throw new HoldfastError('CLUSTER_UNREACHABLE', { server: 'the default kubeconfig', reason });
}

function load(config: KubeConfig, { kubeconfig, context }: ConnectOptions): void {
  if (kubeconfig === undefined) loadDefault(config);
  else if (existsSync(kubeconfig)) config.loadFromFile(kubeconfig);
  else throw new HoldfastError('CLUSTER_UNREACHABLE', { server: kubeconfig, reason: 'there is no such file' });
  if (context === undefined) return;
  if (config.getContextObject(context) === null) {
    const known = config.getContexts().map(({ name }) => name);
    const reason = `there is no context "${context}" (there are: ${known.join(', ') || 'none'})`;
    throw new HoldfastError('CLUSTER_UNREACHABLE', { server: kubeconfig ?? 'the default kubeconfig', reason });
  }
  config.setCurrentContext(context);
}
