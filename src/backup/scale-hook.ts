/**
 * Workloads at zero for the time of a cut. How many replicas they had stands on the object itself, with the run and its
 * mark of life, so that any later run puts them back where this one cannot (R11.3).
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { isHoldfastError, messageOf } from '../base/errors.ts';
import { isDenied, statusOf } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { ALIVE, REPLICAS_BEFORE, RUN } from '../cluster/labels.ts';
import { type KubeObject, textAt, valueAt } from '../cluster/object.ts';
import { POD, refOf } from '../cluster/resources.ts';
import { hasEnded, isPodOf, listWorkloads, replicasOf, titleOf } from '../cluster/workload.ts';
import type { Scope } from './gather-facts.ts';
import type { BegunHook, HookEnd } from './hook-steps.ts';
import { ALIVE_EVERY_MS, isAlive } from './leftovers.ts';
import type { ClaimBackupRun } from './run.ts';

const READY_MS = 2 * 60_000;

export interface ScaleWish {
  readonly run: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** Scales to zero and waits until no pod is left. Never throws; what it returns has to be released whatever came of it. */
export async function beginScale(cluster: Cluster, workload: KubeObject, wish: ScaleWish): Promise<BegunHook> {
  let beat: NodeJS.Timeout | undefined;
  const before = await endOf(async () => {
    await writeJournal(cluster, workload, wish);
    beat = keepMark(cluster, workload, wish);
    await waitForNoPods(cluster, workload, wish);
    return 'it is at zero';
  });
  return {
    before,
    release: async () => {
      clearInterval(beat);
      let held = false;
      const after = await endOf(async () => {
        const { resource, namespace, name } = refOf(workload);
        held = replicasOf(await cluster.get(resource, namespace, name)) === 0;
        const replicas = await putBack(cluster, workload, wish.run);
        if (before.ok && !held) throw new Error('somebody scaled it up while it was held at zero');
        return `it has its ${replicas ?? 0} replicas again`;
      });
      return { after, held, stderr: '' };
    },
  };
}

async function endOf(work: () => Promise<string>): Promise<HookEnd> {
  try {
    return { ok: true, words: await work() };
  } catch (error) {
    return { ok: false, words: messageOf(error).replace(/\.$/, '') };
  }
}

/** Journal and scale are one write: there is no zero without a journal. Throws where another run has it. */
async function writeJournal(cluster: Cluster, workload: KubeObject, { run, clock }: ScaleWish): Promise<void> {
  await change(cluster, workload, (found) => {
    const holder = holderOf(found);
    if (holder === run) return undefined;
    if (holder !== undefined) throw new Error(`run ${holder} holds it at zero`);
    const annotations = { [REPLICAS_BEFORE]: String(replicasOf(found)), [RUN]: run, [ALIVE]: now(clock) };
    return { annotations, replicas: 0 };
  });
}

async function waitForNoPods(cluster: Cluster, workload: KubeObject, wish: ScaleWish): Promise<void> {
  const { namespace } = workload.metadata;
  let left: readonly string[] = [];
  const none = (pods: readonly KubeObject[]): true | undefined => {
    left = pods.filter((pod) => isPodOf(pod, workload) && !hasEnded(pod)).map((pod) => pod.metadata.name);
    return left.length === 0 || undefined;
  };
  await cluster.waitForList(POD, { namespace }, none, {
    timeoutMs: wish.timeoutMs,
    what: `the pods of ${titleOf(workload)} to end`,
    last: () => `still there: ${left.join(', ')}`,
    signal: wish.signal,
  });
}

/** Renews the mark of this run, and only where the journal is its own. One beat that is missed does not matter. */
function keepMark(cluster: Cluster, workload: KubeObject, { run, clock }: ScaleWish): NodeJS.Timeout {
  const pathTo = (key: string) => `/metadata/annotations/${key.replaceAll('/', '~1')}`;
  const beat = setInterval(() => {
    const own = { op: 'test', path: pathTo(RUN), value: run } as const;
    const mark = { op: 'replace', path: pathTo(ALIVE), value: now(clock) } as const;
    cluster.patch(refOf(workload), { json: [own, mark] }).catch(() => undefined);
  }, ALIVE_EVERY_MS);
  return beat.unref();
}

function now(clock: Clock): string {
  return new Date(clock.nowMs()).toISOString();
}

export type PutBackRun = Pick<ClaimBackupRun, 'clock' | 'signal' | 'onEvent'>;

/** Puts back what runs left at zero that are dead. Where workloads may not be listed, this account has left none. */
export async function putBackLeftAtZero(cluster: Cluster, scope: Scope, run: PutBackRun): Promise<void> {
  const lists = namespacesOf(scope).map((namespace) => workloadsIn(cluster, namespace, run.signal));
  const left = (await Promise.all(lists)).flat().filter((workload) => holderOf(workload) !== undefined);
  await Promise.all(left.map((workload) => putBackDead(cluster, workload, run)));
}

function namespacesOf(scope: Scope): readonly (string | undefined)[] {
  if ('claims' in scope) return [...new Set(scope.claims.map(({ namespace }) => namespace))];
  return scope.namespaces === 'all' ? [undefined] : scope.namespaces;
}

async function putBackDead(cluster: Cluster, workload: KubeObject, run: PutBackRun): Promise<void> {
  const holder = holderOf(workload) ?? '';
  if (await isAlive(cluster, run.clock ?? systemClock, workload, run.signal)) return;
  const replicas = await putBack(cluster, workload, holder);
  if (replicas === undefined) return;
  const message = `has its ${replicas} replicas again, which run ${holder} left at zero`;
  run.onEvent?.({ claim: titleOf(workload), phase: 'hook', message });
  await waitForReady(cluster, workload, replicas, run.signal);
}

/** So that its pods can be asked to prepare again. What does not get ready is no reason to back up nothing. */
async function waitForReady(
  cluster: Cluster,
  workload: KubeObject,
  replicas: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isReady = (found: KubeObject | undefined) =>
    valueAt(found, 'status', 'readyReplicas') === replicas || undefined;
  const options = { timeoutMs: READY_MS, what: `${titleOf(workload)} to be ready`, signal };
  try {
    await cluster.waitFor(refOf(workload), isReady, options);
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
  }
}

async function workloadsIn(cluster: Cluster, namespace: string | undefined, signal: AbortSignal | undefined) {
  try {
    return await listWorkloads(cluster, namespace, signal);
  } catch (error) {
    if (isDenied(error)) return [];
    throw error;
  }
}

/** The replicas that it has again; undefined where there was nothing to do. Somebody's own number stays. */
async function putBack(cluster: Cluster, workload: KubeObject, run: string): Promise<number | undefined> {
  let replicas: number | undefined;
  await change(cluster, workload, (found) => {
    if (holderOf(found) !== run) return undefined;
    const before = Number(textAt(found, 'metadata', 'annotations', REPLICAS_BEFORE));
    replicas = replicasOf(found) === 0 ? before : replicasOf(found);
    return { annotations: { [REPLICAS_BEFORE]: null, [RUN]: null, [ALIVE]: null }, replicas };
  });
  return replicas;
}

interface Change {
  readonly annotations: Readonly<Record<string, string | null>>;
  readonly replicas: number;
}

/** Reads, decides, and writes on condition that nobody wrote in between; again where somebody did. */
async function change(
  cluster: Cluster,
  workload: KubeObject,
  decide: (found: KubeObject) => Change | undefined,
): Promise<void> {
  const ref = refOf(workload);
  for (let left = 10; ; left--) {
    const found = await cluster.get(ref.resource, ref.namespace, ref.name);
    if (found === undefined || found.metadata.uid !== workload.metadata.uid) return;
    const wanted = decide(found);
    if (wanted === undefined) return;
    const { resourceVersion } = found.metadata;
    const { annotations, replicas } = wanted;
    try {
      await cluster.patch(ref, { merge: { metadata: { resourceVersion, annotations }, spec: { replicas } } });
      return;
    } catch (error) {
      if (statusOf(error) !== 409 || left === 0) throw error;
      await systemClock.sleep(200);
    }
  }
}

function holderOf(workload: KubeObject): string | undefined {
  const { annotations } = workload.metadata;
  return annotations?.[REPLICAS_BEFORE] === undefined ? undefined : annotations[RUN];
}
