/** kubectl for tests: objects in, objects out. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from './commands.ts';
import type { ClusterState } from './state.ts';

/** What tests read of any object; the rest is there, and is narrowed by whoever reads it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

export interface Kubectl {
  /** Standard output. Throws CommandFailed with what kubectl said. */
  run(...args: string[]): Promise<string>;
  /** Creates or changes objects (server-side apply). */
  apply(...objects: object[]): Promise<void>;
  /** `get('pvc', 'data')`; `namespace` is that of openKubectl. */
  get(kind: string, name: string): Promise<KubernetesObject>;
  /** `list('pvc', '--selector=app=db')` */
  list(kind: string, ...args: string[]): Promise<KubernetesObject[]>;
  /** Waits until the condition is true of the object, which need not exist yet; resolves with it. */
  waitFor(
    kind: string,
    name: string,
    condition: (object: KubernetesObject) => boolean,
    timeoutMs?: number,
  ): Promise<KubernetesObject>;
  /** Runs a shell command in a container of a pod; standard output. */
  exec(pod: string, script: string): Promise<string>;
  logs(pod: string, ...args: string[]): Promise<string>;
}

export function openKubectl(cluster: ClusterState, namespace: string): Kubectl {
  const base = [`--kubeconfig=${cluster.kubeconfig}`, `--namespace=${namespace}`];
  const run = (...args: string[]) => runCommand(cluster.kubectl, [...base, ...args], { timeoutMs: 120_000 });
  const get = async (kind: string, name: string) => JSON.parse(await run('get', kind, name, '-o', 'json'));
  return {
    run,
    get,
    async apply(...objects) {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      const args = [...base, 'apply', '--server-side', '--force-conflicts', '-f', '-'];
      await runCommand(cluster.kubectl, args, { input: list, timeoutMs: 60_000 });
    },
    async list(kind, ...args) {
      return JSON.parse(await run('get', kind, ...args, '-o', 'json')).items;
    },
    async waitFor(kind, name, condition, timeoutMs = 60_000) {
      const startMs = Date.now();
      for (;;) {
        const object: KubernetesObject | undefined = await get(kind, name).catch(() => undefined);
        if (object && condition(object)) return object;
        if (Date.now() - startMs > timeoutMs) {
          const status = JSON.stringify(object?.status ?? 'it does not exist', null, 2);
          throw new Error(`waited ${timeoutMs / 1000} s in vain for ${kind} ${name}; its status: ${status}`);
        }
        await sleep(200);
      }
    },
    exec: (pod, script) => run('exec', pod, '--', 'sh', '-c', script),
    logs: (pod, ...args) => run('logs', pod, ...args),
  };
}

/** A namespace of the test's own; `remove` waits until all that was in it is gone. */
export async function createNamespace(
  cluster: ClusterState,
  prefix: string,
): Promise<{ namespace: string; kubectl: Kubectl; remove: () => Promise<void> }> {
  const namespace = `${prefix}-${crypto.randomUUID().slice(0, 8)}`;
  const kubectl = openKubectl(cluster, namespace);
  await kubectl.run('create', 'namespace', namespace);
  const remove = async () => {
    // Pods and their makers first: a namespace's end gives pods their full grace period. Then what has finalizers: where
    // the end of a namespace finds any left, it looks again only seconds later.
    await kubectl.run('delete', 'all', '--all', '--grace-period=1', '--wait=false');
    await kubectl.run('delete', 'pvc', '--all', '--timeout=110s');
    await kubectl.run('delete', 'namespace', namespace, '--timeout=110s');
  };
  return { namespace, kubectl, remove };
}

/** The phase that pods, claims and volumes have in their status. */
export function hasPhase(phase: string): (object: KubernetesObject) => boolean {
  return (object) => object.status?.phase === phase;
}

/** For pods: the condition Ready. */
export function isReady(object: KubernetesObject): boolean {
  const conditions = (object.status?.conditions ?? []) as { type: string; status: string }[];
  return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
}
