/**
 * The workloads of a claim at zero for the time of a restore (R8.3). What they had stands on the objects themselves, in
 * the same write that changes them, so that the same restore started again puts it back. Unlike for a hook, nobody else
 * puts it back: their pods must not start on half a volume.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { statusOf } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { isRecord, type KubeObject, textAt, valueAt } from '../cluster/object.ts';
import { DEPLOYMENT, type Ref, STATEFUL_SET } from '../cluster/resources.ts';
import { replicasOf } from '../cluster/workload.ts';
import { heldMark } from './marks.ts';

const heldSchema = z.object({
  restoreId: z.string(),
  claim: z.string(),
  replicas: z.number(),
  /** `whenScaled` of the StatefulSet's retention policy, where it would have deleted the claims. */
  whenScaled: z.string().optional(),
});
export type Held = z.infer<typeof heldSchema>;

export interface Workload {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** What a restore has written on a workload; undefined where none holds it. */
export function heldOf(workload: KubeObject): Held | undefined {
  const mark = workload.metadata.annotations?.[heldMark];
  return mark === undefined ? undefined : heldSchema.safeParse(JSON.parse(mark)).data;
}

export function workloadRef({ kind, name }: Workload, namespace: string): Ref {
  return { resource: kind === STATEFUL_SET.kind ? STATEFUL_SET : DEPLOYMENT, namespace, name };
}

/** Journal and zero; the pods end later. Throws where another restore holds it. */
export async function scaleAway(cluster: Cluster, ref: Ref, wish: { restoreId: string; claim: string }): Promise<void> {
  await keepClaims(cluster, ref, wish);
  await change(cluster, ref, (found) => {
    const held = heldOf(found);
    if (held !== undefined && held.restoreId !== wish.restoreId) throw new Error(`another restore holds ${ref.name}`);
    if (held !== undefined && replicasOf(found) === 0) return undefined;
    const journal: Held = held ?? { ...wish, replicas: replicasOf(found) };
    return { mark: JSON.stringify(journal), spec: { replicas: 0 } };
  });
}

/** A set that deletes the claims of pods that it scales away would delete the very claim: that is turned off first. */
async function keepClaims(cluster: Cluster, ref: Ref, wish: { restoreId: string; claim: string }): Promise<void> {
  const policy = ['spec', 'persistentVolumeClaimRetentionPolicy'] as const;
  const changed = await change(cluster, ref, (found) => {
    if (heldOf(found) !== undefined || textAt(found, ...policy, 'whenScaled') !== 'Delete') return undefined;
    const journal: Held = { ...wish, replicas: replicasOf(found), whenScaled: 'Delete' };
    const kept = { ...asRecord(valueAt(found, ...policy)), whenScaled: 'Retain' };
    return { mark: JSON.stringify(journal), spec: { persistentVolumeClaimRetentionPolicy: kept } };
  });
  if (changed === undefined) return;
  const { generation } = changed.metadata;
  await cluster.waitFor(
    ref,
    (found) => (Number(valueAt(found, 'status', 'observedGeneration')) >= Number(generation) ? true : undefined),
    { timeoutMs: 60_000, what: `the StatefulSet ${ref.name} to take its new retention policy` },
  );
}

/**
 * The number of replicas that it has again; undefined where this restore does not hold it. Somebody's own number stays.
 */
export async function putBack(cluster: Cluster, ref: Ref, restoreId: string): Promise<number | undefined> {
  let replicas: number | undefined;
  await change(cluster, ref, (found) => {
    const held = heldOf(found);
    if (held?.restoreId !== restoreId) return undefined;
    replicas = replicasOf(found) === 0 ? held.replicas : replicasOf(found);
    const policy = asRecord(valueAt(found, 'spec', 'persistentVolumeClaimRetentionPolicy'));
    const retention = held.whenScaled === undefined ? {} : { ...policy, whenScaled: held.whenScaled };
    return {
      mark: null,
      spec: { replicas, ...(held.whenScaled === undefined ? {} : { persistentVolumeClaimRetentionPolicy: retention }) },
    };
  });
  return replicas;
}

interface Change {
  readonly mark: string | null;
  readonly spec: object;
}

/** Reads, decides, and writes only if nobody wrote in between; again where somebody did. */
async function change(
  cluster: Cluster,
  ref: Ref,
  decide: (found: KubeObject) => Change | undefined,
): Promise<KubeObject | undefined> {
  for (let left = 10; ; left--) {
    const found = await cluster.get(ref.resource, ref.namespace, ref.name);
    const wanted = found && decide(found);
    if (found === undefined || wanted === undefined) return undefined;
    const { resourceVersion } = found.metadata;
    const metadata = { resourceVersion, annotations: { [heldMark]: wanted.mark } };
    try {
      return await cluster.patch(ref, { merge: { metadata, spec: wanted.spec } });
    } catch (error) {
      if (statusOf(error) !== 409 || left === 0) throw error;
      await sleep(200);
    }
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {};
}
