/**
 * Restores into a claim that exists, by its plan: pods away → snapshot of what is there → mover → pods back. All state is
 * on the objects in the cluster: the claim says how far it is, the workloads what they had. The same call after a crash
 * goes on. Pods come back only when the data is complete; the snapshot stays.
 */
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { RestoreJob } from '../base/mover-protocol.ts';
import { MANAGED_BY, newRunId } from '../cluster/labels.ts';
import { DEVICE_PATH, type MoverPod, VOLUME_PATH } from '../cluster/mover-pod.ts';
import { awaitMover, createMoverJob, startMover } from '../cluster/mover-run.ts';
import type { KubeObject } from '../cluster/object.ts';
import { CLAIM, JOB, POD, type Ref } from '../cluster/resources.ts';
import { createSnapshot, waitForReady } from '../cluster/volume-snapshot.ts';
import { hasEnded } from '../cluster/workload.ts';
import { canGoOn, checkWritten, dropMover } from './fill.ts';
import { isOurs, usesClaim } from './gather-in-place.ts';
import { type Begun, begunOf, inPlaceMark, originMark, restoreObjectName, safetyLabel } from './marks.ts';
import type { InPlacePlan } from './plan-in-place.ts';
import type { RestoreOptions } from './restore-claim.ts';
import { type RestoreRun, read, restoreTimeouts, workLabelsOf } from './run.ts';
import { putBack, scaleAway, workloadRef } from './scale-away.ts';

export interface InPlaceOptions extends Omit<RestoreOptions, 'plan'> {
  readonly plan: InPlacePlan;
}

export interface InPlaceResult {
  /** namespace/name */
  readonly claim: string;
  readonly files: number;
  readonly bytes: number;
  readonly deleted: number;
  /** Name of the VolumeSnapshot of what was there before, in the claim's namespace; it is the user's from now on. */
  readonly safetySnapshot: string | null;
  /** `StatefulSet db: 3 replicas` */
  readonly putBack: readonly string[];
}

interface InPlaceRun extends Omit<RestoreRun, 'plan'> {
  readonly plan: InPlacePlan;
}

/** @throws HoldfastError of any code of the cluster, SNAPSHOT_FAILED, MOVER_FAILED, RESTORE_INCOMPLETE, HAND_OVER_FAILED. */
export async function restoreInPlace(cluster: RestoreRun['cluster'], options: InPlaceOptions): Promise<InPlaceResult> {
  const { plan, repository, settings, clusterUid, signal } = options;
  const run: InPlaceRun = {
    ...{ cluster, plan, repository, settings, clusterUid, signal },
    timeouts: { ...restoreTimeouts, ...options.timeouts },
    report: (step, message) => options.onEvent?.({ step, message }),
  };
  const begun = await begin(run);
  try {
    const written = begun.written ?? (await replaceContent(run, begun));
    const putBackTo = await bringPodsBack(run);
    await end(run);
    run.report('done', `${written.files} files in ${nameOf(plan)}`);
    return { claim: nameOf(plan), ...written, safetySnapshot: begun.snapshot, putBack: putBackTo };
  } catch (error) {
    if (!signal?.aborted) await tellHowItStands(run);
    throw error;
  }
}

/** Gives up a restore in place: pods come back to whatever the volume holds. */
export async function abandonInPlace(
  run: Pick<InPlaceRun, 'cluster' | 'signal' | 'timeouts' | 'report' | 'plan'>,
): Promise<Begun | undefined> {
  const claim = await read(run, claimRef(run.plan));
  const begun = claim && begunOf(claim);
  await dropMover(run, moverRef(run.plan), run.plan.restoreId);
  await bringPodsBack(run);
  if (begun?.restoreId === run.plan.restoreId) await patchClaim(run, { [inPlaceMark]: null });
  return begun;
}

/** The name of the snapshot is written down before anything else, so that a second run makes no second one. */
async function begin(run: InPlaceRun): Promise<Begun> {
  const { plan } = run;
  const claim = await read(run, claimRef(plan));
  if (claim?.metadata.uid !== plan.target.uid) throw failed(plan, 'it was deleted since the plan');
  const found = begunOf(claim);
  if (found !== undefined && found.restoreId !== plan.restoreId)
    throw failed(plan, 'another restore has begun meanwhile');
  if (found?.filling === true) return found;
  // One that was made before is still what is there only if no pod has been at work since.
  const wereAway = plan.consumers.every(({ heldBy, replicas }) => heldBy === plan.restoreId && replicas === 0);
  const made = wereAway ? found?.snapshot : undefined;
  const snapshot = plan.snapshotClass === null ? null : (made ?? newSnapshotName(plan));
  const begun: Begun = { restoreId: plan.restoreId, snapshot, filling: false, written: null };
  await writeBegun(run, begun);
  return begun;
}

function newSnapshotName({ restoreId }: InPlacePlan): string {
  return `holdfast-before-${newRunId(Date.now(), () => restoreId.slice(0, 4))}`;
}

/** Ends with a note of what was written, before any pod comes back: what they write then is not to be replaced again. */
async function replaceContent(run: InPlaceRun, begun: Begun): Promise<NonNullable<Begun['written']>> {
  const { cluster, plan, signal } = run;
  await takePodsAway(run);
  await makeSafe(run, begun);
  const written = await fill(run);
  const pods = await cluster.list(POD, { namespace: plan.target.namespace, signal });
  const intruder = pods.find((pod) => isAtWork(pod, plan));
  if (intruder) throw failed(plan, `pod ${intruder.metadata.name} was started while the content was replaced: stop it`);
  await writeBegun(run, { ...begun, filling: true, written });
  return written;
}

async function takePodsAway(run: InPlaceRun): Promise<void> {
  const { cluster, plan, timeouts, signal, report } = run;
  const { namespace, name } = plan.target;
  for (const consumer of plan.consumers) {
    await scaleAway(cluster, workloadRef(consumer, namespace), { restoreId: plan.restoreId, claim: name });
    report('park', `${consumer.kind} ${consumer.name} is scaled away`);
  }
  let left: string[] = [];
  const none = (pods: readonly KubeObject[]): true | undefined => {
    left = pods.filter((pod) => isAtWork(pod, plan)).map(({ metadata }) => metadata.name);
    return left.length === 0 ? true : undefined;
  };
  await cluster.waitForList(POD, { namespace }, none, {
    timeoutMs: timeouts.settleMs,
    what: `the pods that use ${nameOf(plan)} to end`,
    last: () => `still there: ${left.join(', ')}; somebody may start them again`,
    signal,
  });
}

function isAtWork(pod: KubeObject, { target }: InPlacePlan): boolean {
  return usesClaim(pod, target.name) && !hasEnded(pod) && !isOurs(pod);
}

/** The snapshot is made once, of what no pod writes to any more, and never again once the mover may have begun. */
async function makeSafe(run: InPlaceRun, begun: Begun): Promise<void> {
  if (begun.filling) return;
  const { cluster, plan, timeouts, signal, report } = run;
  const { namespace, name } = plan.target;
  if (begun.snapshot !== null && plan.snapshotClass !== null) {
    const labels = { [MANAGED_BY]: 'holdfast', [safetyLabel]: plan.restoreId };
    const wish = { namespace, claimName: name, className: plan.snapshotClass, labels, owners: [] };
    const snapshot = await createSnapshot(cluster, { ...wish, name: begun.snapshot }, signal);
    await waitForReady(cluster, snapshot, { claim: nameOf(plan), timeoutMs: timeouts.startMs, signal });
    report('provision', `what is there is kept in VolumeSnapshot ${namespace}/${begun.snapshot}`);
  }
  await writeBegun(run, { ...begun, filling: true });
}

async function fill(run: InPlaceRun): Promise<NonNullable<Begun['written']>> {
  const { cluster, plan, timeouts, signal, report } = run;
  const ref = moverRef(plan);
  const found = await read(run, ref);
  if (found && !(await canGoOn(run, found))) await dropMover(run, ref, plan.restoreId);
  const pod = moverPod(run);
  const job = await createMoverJob(cluster, pod, signal);
  await startMover(cluster, job, pod, moverWork(run), signal);
  report('fill', `mover ${job.metadata.name} is there`);
  const result = await awaitMover(cluster, job, pod, {
    startTimeoutMs: timeouts.startMs,
    runTimeoutMs: timeouts.fillMs,
    signal,
    onState: (state) => report('fill', `mover: ${state}`),
  });
  const written = checkWritten(result, { expectedFiles: plan.backup.files, target: nameOf(plan), report });
  await dropMover(run, ref, plan.restoreId);
  return { ...written, deleted: result.counts.deleted ?? 0 };
}

async function bringPodsBack(run: Pick<InPlaceRun, 'cluster' | 'plan' | 'report'>): Promise<string[]> {
  const { cluster, plan, report } = run;
  const back: string[] = [];
  for (const consumer of plan.consumers) {
    const replicas = await putBack(cluster, workloadRef(consumer, plan.target.namespace), plan.restoreId);
    if (replicas === undefined) continue;
    back.push(`${consumer.kind} ${consumer.name}: ${replicas} replicas`);
    report('hand-over', `${consumer.kind} ${consumer.name} has its ${replicas} replicas again`);
  }
  return back;
}

async function end(run: InPlaceRun): Promise<void> {
  await patchClaim(run, { [inPlaceMark]: null, [originMark]: run.plan.backup.id });
}

/** Pods stay away from half a volume: whoever reads the error has to know, and what can be done. */
async function tellHowItStands(run: InPlaceRun): Promise<void> {
  try {
    await dropMover(run, moverRef(run.plan), run.plan.restoreId);
    const claim = await read(run, claimRef(run.plan));
    const begun = claim && begunOf(claim);
    const kept =
      begun?.filling === true && begun.snapshot !== null
        ? `; what was there is in VolumeSnapshot ${begun.snapshot}`
        : '';
    const names = run.plan.consumers.map(({ kind, name }) => `${kind} ${name}`).join(', ') || 'nothing';
    run.report('clean-up', `${names} stays at zero until the same command has ended well, or --abandon${kept}`);
  } catch (error) {
    run.report('clean-up', `the mover could not be removed, the next try will: ${messageOf(error)}`);
  }
}

function moverPod({ plan, settings, repository, timeouts }: InPlaceRun): MoverPod {
  const { namespace, name } = plan.target;
  return {
    kind: 'restore',
    namespace,
    name: moverRef(plan).name,
    labels: workLabelsOf(plan.restoreId),
    worksFor: nameOf(plan),
    claimName: name,
    volumeMode: plan.volumeMode,
    ...{ settings, repository },
    activeDeadlineSeconds: Math.ceil((timeouts.startMs + timeouts.fillMs) / 1000),
    alive: new Date().toISOString(),
  };
}

function moverWork({ plan, repository, clusterUid }: InPlaceRun): RestoreJob {
  return {
    version: 1,
    kind: 'restore',
    repository: repository.url,
    backupId: plan.backup.id,
    subfolder: plan.subfolder,
    ...(plan.volumeMode === 'Block'
      ? { target: DEVICE_PATH, targetKind: 'device' as const }
      : { target: VOLUME_PATH, overwrite: true, deleteOthers: plan.deleteOthers }),
    clusterUid,
  };
}

function writeBegun(run: InPlaceRun, begun: Begun): Promise<unknown> {
  return patchClaim(run, { [inPlaceMark]: JSON.stringify(begun) });
}

function patchClaim(
  { cluster, plan, signal }: Pick<InPlaceRun, 'cluster' | 'plan' | 'signal'>,
  annotations: Record<string, string | null>,
) {
  const { uid } = plan.target;
  return cluster.patch(claimRef(plan), { merge: { metadata: { uid, annotations } } }, signal);
}

function claimRef({ target }: InPlacePlan): Ref {
  return { resource: CLAIM, namespace: target.namespace, name: target.name };
}

function moverRef({ target, restoreId }: InPlacePlan): Ref {
  return { resource: JOB, namespace: target.namespace, name: restoreObjectName(restoreId) };
}

function failed(plan: InPlacePlan, reason: string): HoldfastError {
  return new HoldfastError('RESTORE_REFUSED', {
    reason: `${nameOf(plan)}: ${reason}`,
    fix: 'Look at the claim and run again.',
  });
}

function nameOf({ target }: InPlacePlan): string {
  return `${target.namespace}/${target.name}`;
}
