/** What every step of a restore works with. */
import type { Cluster } from '../cluster/client.ts';
import { type Labels, MANAGED_BY, ROLE } from '../cluster/labels.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { KubeObject } from '../cluster/object.ts';
import { CLAIM, JOB, type Ref, VOLUME } from '../cluster/resources.ts';
import { restoreLabel } from './marks.ts';
import type { RestorePlan } from './plan.ts';

export interface RestoreTimeouts {
  /** Until the volume exists and the mover runs. */
  readonly startMs: number;
  /** From there until the data is written. */
  readonly fillMs: number;
  /** For each step of the cluster after that: detaching, binding, deleting. */
  readonly settleMs: number;
}

export const restoreTimeouts: RestoreTimeouts = {
  startMs: 10 * 60_000,
  fillMs: 24 * 3_600_000,
  settleMs: 5 * 60_000,
};

export type RestoreStep = 'provision' | 'park' | 'fill' | 'hand-over' | 'clean-up' | 'done';

export interface RestoreEvent {
  readonly step: RestoreStep;
  /** Lower case, without a full stop. */
  readonly message: string;
}

export interface RestoreRun {
  readonly cluster: Cluster;
  readonly plan: RestorePlan;
  readonly repository: RepositoryAccess;
  readonly settings: MoverSettings;
  readonly clusterUid: string;
  readonly timeouts: RestoreTimeouts;
  readonly signal: AbortSignal | undefined;
  readonly report: (step: RestoreStep, message: string) => void;
}

export function targetRef({ target }: RestorePlan): Ref {
  return { resource: CLAIM, namespace: target.namespace, name: target.name };
}

/** The temporary claim; the mover's Job has the same name. */
export function temporaryRef(plan: RestorePlan): Ref {
  return { resource: CLAIM, namespace: plan.target.namespace, name: plan.temporaryClaim.metadata.name };
}

export function moverRef(plan: RestorePlan): Ref {
  return { ...temporaryRef(plan), resource: JOB };
}

export function volumeRef(name: string): Ref {
  return { resource: VOLUME, name };
}

export function claimName({ target }: RestorePlan): string {
  return `${target.namespace}/${target.name}`;
}

/** Marks of what a restore makes for itself. The target claim gets only the restore's id: it stays. */
export function workLabelsOf(restoreId: string): Labels {
  return { [MANAGED_BY]: 'holdfast', [ROLE]: 'restore', [restoreLabel]: restoreId };
}

export function isOfRestore(object: KubeObject | undefined, restoreId: string): object is KubeObject {
  return object?.metadata.labels?.[restoreLabel] === restoreId;
}

/** Reads an object by its reference. */
export function read(
  { cluster, signal }: Pick<RestoreRun, 'cluster' | 'signal'>,
  ref: Ref,
): Promise<KubeObject | undefined> {
  return cluster.get(ref.resource, ref.namespace, ref.name, signal);
}

/** Waits until there is no object of that name, or a younger one. */
export async function waitGone(
  run: Pick<RestoreRun, 'cluster' | 'signal' | 'timeouts'>,
  ref: Ref,
  uid: string,
): Promise<void> {
  await run.cluster.waitFor(ref, (object) => (object?.metadata.uid === uid ? undefined : true), {
    timeoutMs: run.timeouts.settleMs,
    what: `${ref.resource.plural} ${ref.name} to be gone`,
    last: () => 'it is still being deleted',
    signal: run.signal,
  });
}
