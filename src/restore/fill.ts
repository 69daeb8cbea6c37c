/**
 * Fills the temporary claim's volume by a mover, and remembers on the target claim that it is full, so that a restore
 * that goes on after that does not write the data twice.
 */
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import type { RestoreJob } from '../base/mover-protocol.ts';
import { DEVICE_PATH, type MoverPod, VOLUME_PATH } from '../cluster/mover-pod.ts';
import { awaitMover, createMoverJob, type MoverResult, removeMover, startMover } from '../cluster/mover-run.ts';
import { conditionOf, type KubeObject } from '../cluster/object.ts';
import { CONFIG_MAP, POD, type Ref, SECRET } from '../cluster/resources.ts';
import { filledMark } from './marks.ts';
import { claimName, isOfRestore, moverRef, type RestoreRun, read, targetRef, waitGone, workLabelsOf } from './run.ts';

const filledSchema = z.object({ volume: z.string(), files: z.number(), bytes: z.number() });
/** What a mover wrote into which volume. */
export type Filled = z.infer<typeof filledSchema>;

/** What the target's mark says; undefined as long as the data is not there completely. */
export function filledOf(target: KubeObject): Filled | undefined {
  const mark = target.metadata.annotations?.[filledMark];
  return mark === undefined ? undefined : filledSchema.safeParse(JSON.parse(mark)).data;
}

export async function markFilled({ cluster, plan, signal }: RestoreRun, filled: Filled): Promise<KubeObject> {
  const annotations = { [filledMark]: JSON.stringify(filled) };
  return await cluster.patch(targetRef(plan), { merge: { metadata: { annotations } } }, signal);
}

/** Goes on with the mover of an earlier run if that still works or has succeeded, else starts one. */
export async function ensureMover(run: RestoreRun, startOver: boolean): Promise<KubeObject> {
  const { cluster, plan, signal } = run;
  const found = await read(run, moverRef(plan));
  if (found && !(await canGoOn(run, found))) await dropMover(run, moverRef(plan), plan.restoreId);
  const pod = moverPod(run);
  const job = await createMoverJob(cluster, pod, signal);
  await startMover(cluster, job, pod, moverWork(run, startOver), signal);
  run.report('fill', `mover ${job.metadata.name} is there`);
  return job;
}

/** @returns what was written, once that is all that the backup holds. */
export async function awaitFilled(run: RestoreRun, job: KubeObject): Promise<{ files: number; bytes: number }> {
  const result = await awaitMover(run.cluster, job, moverPod(run), {
    startTimeoutMs: run.timeouts.startMs,
    runTimeoutMs: run.timeouts.fillMs,
    signal: run.signal,
    onState: (state) => run.report('fill', `mover: ${state}`),
  });
  const { plan, report } = run;
  return checkWritten(result, { expectedFiles: plan.backup.files, target: claimName(plan), report });
}

/** Removes a mover with all that belongs to it, and waits until it is gone: the volume is free then. */
export async function dropMover(run: Surroundings, ref: Ref, restoreId: string): Promise<void> {
  const { cluster, timeouts } = run;
  const job = await read(run, ref);
  if (isOfRestore(job, restoreId)) await removeMover(cluster, ref, job.metadata.uid, timeouts.settleMs);
  // They go with the Job, but later: a new mover would take them for its own and lose them.
  for (const resource of [CONFIG_MAP, SECRET]) {
    const left = await read(run, { ...ref, resource });
    if (!isOfRestore(left, restoreId)) continue;
    await cluster.remove({ ...ref, resource }, { uid: left.metadata.uid });
    await waitGone(run, { ...ref, resource }, left.metadata.uid);
  }
}

type Surroundings = Pick<RestoreRun, 'cluster' | 'signal' | 'timeouts'>;

/** A Job whose pod failed, or ended so long ago that its answer is gone, is of no use. */
export async function canGoOn(
  { cluster, signal }: Pick<RestoreRun, 'cluster' | 'signal'>,
  job: KubeObject,
): Promise<boolean> {
  if (job.metadata.deletionTimestamp !== undefined || conditionOf(job, 'Failed')?.status === 'True') return false;
  if (conditionOf(job, 'Complete')?.status !== 'True') return true;
  const labelSelector = `batch.kubernetes.io/controller-uid=${job.metadata.uid}`;
  const pods = await cluster.list(POD, { namespace: job.metadata.namespace, labelSelector, signal });
  return pods.length > 0;
}

export interface Expected {
  /** Null where the backup does not say. */
  readonly expectedFiles: number | null;
  readonly target: string;
  readonly report: RestoreRun['report'];
}

/** Throws RESTORE_INCOMPLETE unless all files of the backup were written without an error. */
export function checkWritten(result: MoverResult, expected: Expected): { files: number; bytes: number } {
  const { counts, errorCount, errors, exitCode } = result;
  const { expectedFiles, target, report } = expected;
  for (const { path, message } of errors) report('fill', `not restored: ${path}: ${message}`);
  const files = counts.files ?? 0;
  if (errorCount > 0 || exitCode !== 0) throw new HoldfastError('RESTORE_INCOMPLETE', { count: errorCount, target });
  const missing = (expectedFiles ?? files) - files;
  if (missing > 0) throw new HoldfastError('RESTORE_INCOMPLETE', { count: missing, target });
  return { files, bytes: counts.bytes ?? 0 };
}

function moverPod({ plan, settings, repository, timeouts }: RestoreRun): MoverPod {
  const { namespace, name } = plan.temporaryClaim.metadata;
  const { label } = plan.place;
  return {
    kind: 'restore',
    namespace,
    name,
    labels: workLabelsOf(plan.restoreId),
    worksFor: claimName(plan),
    claimName: name,
    volumeMode: plan.claim.spec.volumeMode === 'Block' ? 'Block' : 'Filesystem',
    settings,
    repository,
    // Never spec.nodeName: it would bypass the scheduler, which is what makes the volume's zone follow (R5.6 a).
    ...(label ? { nodeSelector: inPlace(label) } : {}),
    activeDeadlineSeconds: Math.ceil((timeouts.startMs + timeouts.fillMs) / 1000),
    alive: new Date().toISOString(),
  };
}

function inPlace({ key, values }: { key: string; values: readonly string[] }): object {
  return { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values }] }] };
}

function moverWork({ plan, repository, clusterUid }: RestoreRun, startOver: boolean): RestoreJob {
  return {
    version: 1,
    kind: 'restore',
    repository: repository.url,
    backupId: plan.backup.id,
    subfolder: plan.subfolder,
    ...(plan.claim.spec.volumeMode === 'Block'
      ? { target: DEVICE_PATH, targetKind: 'device' as const }
      : { target: VOLUME_PATH }),
    startOver,
    clusterUid,
  };
}
