/**
 * Restores a claim by its plan: provision → fill → hand over → clean up. All state is on the objects in the cluster
 * (marks.ts), every step looks first whether it is done, so the same call after a crash goes on where that left off.
 * The target claim is bound only once its data is complete, and no volume that was there before is ever touched.
 */
import { messageOf } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { volumeSchema } from '../manifest/kube-shapes.ts';
import { topologyOf } from '../manifest/topology.ts';
import { awaitFilled, dropMover, ensureMover, type Filled, filledOf, markFilled } from './fill.ts';
import { awaitProvisioned, removeSnapshotSource } from './from-snapshot.ts';
import { awaitBound, liftRetain, removeTemporaryClaim, swapClaims, unmarkTarget } from './hand-over.ts';
import type { RestorePlan } from './plan.ts';
import { ensureParkedTarget, ensureTemporaryClaim, removeClassCopy, secureVolume } from './provision.ts';
import {
  isOfRestore,
  moverRef,
  type RestoreEvent,
  type RestoreRun,
  type RestoreTimeouts,
  read,
  restoreTimeouts,
  targetRef,
  volumeRef,
} from './run.ts';

export interface RestoreOptions {
  readonly plan: RestorePlan;
  readonly repository: RepositoryAccess;
  readonly settings: MoverSettings;
  /** UID of the namespace kube-system, part of the mover's lock. */
  readonly clusterUid: string;
  readonly timeouts?: Partial<RestoreTimeouts>;
  readonly onEvent?: (event: RestoreEvent) => void;
  /** Aborting leaves everything as it is, the mover at work too: the same call goes on later. */
  readonly signal?: AbortSignal;
}

export interface RestoreResult {
  /** namespace/name */
  readonly claim: string;
  readonly volume: string;
  /** Zones or hosts that the volume is tied to; empty when it is not. */
  readonly places: readonly string[];
  readonly storageClass: string;
  readonly sizeBytes: number;
  readonly reclaimPolicy: 'Delete' | 'Retain';
  readonly files: number;
  readonly bytes: number;
}

/** @throws HoldfastError of any code of the cluster, MOVER_FAILED, RESTORE_INCOMPLETE, VOLUME_MISPLACED, HAND_OVER_FAILED. */
export async function restoreClaim(cluster: Cluster, options: RestoreOptions): Promise<RestoreResult> {
  const run: RestoreRun = {
    cluster,
    ...{ plan: options.plan, repository: options.repository, settings: options.settings },
    clusterUid: options.clusterUid,
    timeouts: { ...restoreTimeouts, ...options.timeouts },
    signal: options.signal,
    report: (step, message) => options.onEvent?.({ step, message }),
  };
  const { target, filled } = (await findFilled(run)) ?? (await provisionAndFill(run));
  await dropMover(run, moverRef(run.plan), run.plan.restoreId);
  await swapClaims(run, filled.volume, target);
  await awaitBound(run, filled.volume, target);
  await removeTemporaryClaim(run, filled.volume);
  if (run.plan.source.kind === 'snapshot') {
    await removeSnapshotSource(run, run.plan.target.namespace, run.plan.restoreId);
  }
  await removeClassCopy(run);
  await liftRetain(run, filled.volume, target);
  run.report('clean-up', 'nothing temporary is left');
  const result = await describe(run, filled);
  await unmarkTarget(run);
  run.report('done', `${result.files} files in ${result.claim}`);
  return result;
}

interface FilledTarget {
  readonly target: KubeObject;
  readonly filled: Filled;
}

/** The target of an earlier run whose volume holds all data already. */
async function findFilled(run: RestoreRun): Promise<FilledTarget | undefined> {
  const target = await read(run, targetRef(run.plan));
  if (!isOfRestore(target, run.plan.restoreId)) return undefined;
  const filled = filledOf(target);
  if (filled?.volume !== textAt(target, 'spec', 'volumeName')) return undefined;
  return filled && { target, filled };
}

async function provisionAndFill(run: RestoreRun): Promise<FilledTarget> {
  const { claim: temporary, isNew } = await ensureTemporaryClaim(run);
  if (run.plan.source.kind === 'snapshot') return takeFromSnapshot(run, temporary);
  try {
    const job = await ensureMover(run, !isNew);
    const [target, written] = await together(
      run,
      async (both) => ensureParkedTarget(both, await secureVolume(both, temporary)),
      (both) => awaitFilled(both, job),
    );
    const filled = { volume: textAt(target, 'spec', 'volumeName') ?? '', ...written };
    return { target: await markFilled(run, filled), filled };
  } catch (error) {
    // A mover that failed is of no more use, and its Secret must not stay.
    if (!run.signal?.aborted) await tryDropMover(run);
    throw error;
  }
}

/** The volume comes with its data: once it is there, it is full. */
async function takeFromSnapshot(run: RestoreRun, temporary: KubeObject): Promise<FilledTarget> {
  const { files, bytes } = run.plan.backup;
  await awaitProvisioned(run, temporary);
  const volume = await secureVolume(run, temporary);
  await ensureParkedTarget(run, volume);
  const filled = { volume: volume.metadata.name, files: files ?? 0, bytes: bytes ?? 0 };
  return { target: await markFilled(run, filled), filled };
}

/** The failure that led here is what the user has to hear; that the mover stays is said beside it. */
async function tryDropMover(run: RestoreRun): Promise<void> {
  try {
    await dropMover(run, moverRef(run.plan), run.plan.restoreId);
  } catch (error) {
    run.report('clean-up', `the mover could not be removed, the next try will: ${messageOf(error)}`);
  }
}

/** Runs both; when one fails the other is cancelled, and the first failure is what is thrown. */
async function together<A, B>(
  run: RestoreRun,
  first: (run: RestoreRun) => Promise<A>,
  second: (run: RestoreRun) => Promise<B>,
): Promise<[A, B]> {
  const stop = new AbortController();
  const signal = run.signal ? AbortSignal.any([run.signal, stop.signal]) : stop.signal;
  const orStop = (error: unknown): never => {
    stop.abort(error);
    throw error;
  };
  const both = { ...run, signal };
  const results = await Promise.allSettled([first(both).catch(orStop), second(both).catch(orStop)]);
  const [a, b] = results;
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  throw stop.signal.reason;
}

async function describe(run: RestoreRun, { volume: name, files, bytes }: Filled): Promise<RestoreResult> {
  const { plan } = run;
  const volume = await read(run, volumeRef(name));
  const { zones, hosts } = topologyOf(volume ? volumeSchema.parse(volume) : null, null);
  return {
    claim: `${plan.target.namespace}/${plan.target.name}`,
    volume: name,
    places: zones.length > 0 ? zones : hosts,
    storageClass: plan.storageClass.name,
    sizeBytes: plan.size.bytes,
    reclaimPolicy: plan.reclaimPolicy.value,
    ...{ files, bytes },
  };
}
