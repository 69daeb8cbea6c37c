/**
 * Removal of what runs made in the cluster: always in the order mover, temporary claim, snapshot (R1.22), by labels, so
 * that it works for a run that was killed as for one's own. A mover in another namespace than its claim's has claim and
 * snapshot there, and a content that has no namespace; nothing in one namespace can own what is in the other.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { ALIVE, claimSelector, MOVER_NAMESPACE, RUN } from '../cluster/labels.ts';
import { removeMover } from '../cluster/mover-run.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { waitGone } from '../cluster/removal.ts';
import { CLAIM, JOB, refOf, SNAPSHOT, SNAPSHOT_CONTENT } from '../cluster/resources.ts';
import { dropVolumeWithClaim, removeTemporaryClaim } from '../cluster/temporary-claim.ts';
import { dropContentWithSnapshot, removeContent, removeSnapshot } from '../cluster/volume-snapshot.ts';
import { findLeftGroups, removeLeftGroups } from './group-leftovers.ts';

/** A run renews its mark this often; one that did not for five times as long is dead. */
export const ALIVE_EVERY_MS = 10_000;
const DEAD_AFTER_MS = 50_000;
/** Older than this by any clock needs no watching. */
const LONG_DEAD_MS = 30 * 60_000;

/** Where to look for what one claim's runs made. */
export interface WorkPlace {
  readonly namespace: string;
  /** Holdfast's own namespace, where the run at hand has its mover there. */
  readonly moverNamespace: string;
  readonly labelSelector: string;
}

/**
 * Removes all objects of a selection that carry our labels, and returns when the storage has let go of them too. The
 * Job owns the others: once it is gone they go by themselves, so what holds data in the storage is marked before.
 */
export async function removeWork(cluster: Cluster, place: WorkPlace, timeoutMs: number): Promise<void> {
  await removeObjects(cluster, await findWork(cluster, place), timeoutMs);
}

interface Work {
  readonly jobs: readonly KubeObject[];
  readonly claims: readonly KubeObject[];
  readonly snapshots: readonly KubeObject[];
  readonly staticContents: readonly KubeObject[];
}

async function findWork(cluster: Cluster, { namespace, moverNamespace, labelSelector }: WorkPlace): Promise<Work> {
  const listIn = async (from: string) => {
    const lists = [JOB, CLAIM, SNAPSHOT].map((resource) => cluster.list(resource, { namespace: from, labelSelector }));
    const [jobs = [], claims = [], snapshots = []] = await Promise.all(lists);
    return { jobs, claims, snapshots };
  };
  const found = [await listIn(namespace)];
  // Where an earlier run had its mover stands on the snapshot that it cut.
  const named = found[0]?.snapshots.flatMap((one) => one.metadata.annotations?.[MOVER_NAMESPACE] ?? []) ?? [];
  const others = new Set([moverNamespace, ...named]);
  others.delete(namespace);
  found.push(...(await Promise.all([...others].map(listIn))));
  return {
    jobs: found.flatMap(({ jobs }) => jobs),
    claims: found.flatMap(({ claims }) => claims),
    snapshots: found.flatMap(({ snapshots }) => snapshots),
    staticContents: others.size === 0 ? [] : await cluster.list(SNAPSHOT_CONTENT, { labelSelector }),
  };
}

/** Whether it only borrows a copy in the storage that another snapshot owns. */
function isBorrowed(snapshot: KubeObject): boolean {
  return textAt(snapshot, 'spec', 'source', 'volumeSnapshotContentName') !== undefined;
}

async function removeObjects(cluster: Cluster, work: Work, timeoutMs: number): Promise<void> {
  const { jobs, claims, snapshots, staticContents } = work;
  const held = [
    ...(await Promise.all(claims.map((claim) => dropVolumeWithClaim(cluster, claim)))),
    ...(await Promise.all(snapshots.map((snapshot) => dropContentWithSnapshot(cluster, snapshot)))),
  ].filter((object) => object !== undefined);
  for (const job of jobs) await removeMover(cluster, refOf(job), job.metadata.uid, timeoutMs);
  for (const claim of claims) await removeTemporaryClaim(cluster, refOf(claim), claim.metadata.uid, timeoutMs);
  const borrowed = snapshots.filter(isBorrowed);
  const owned = snapshots.filter((snapshot) => !isBorrowed(snapshot));
  for (const snapshot of borrowed) await removeSnapshot(cluster, refOf(snapshot), snapshot.metadata.uid, timeoutMs);
  // Never what they stand for in the storage.
  for (const content of staticContents) await removeContent(cluster, content, 'Retain', timeoutMs);
  for (const snapshot of owned) await removeSnapshot(cluster, refOf(snapshot), snapshot.metadata.uid, timeoutMs);
  for (const object of held) await waitGone(cluster, refOf(object), object.metadata.uid, timeoutMs);
}

export interface Sweep {
  readonly namespace: string;
  readonly moverNamespace: string;
  readonly claimUid: string;
  /** namespace/name, for messages. */
  readonly title: string;
  readonly run: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  onFound(run: string, objects: number): void;
}

/**
 * Removes what earlier runs for the claim left behind. A run that is still alive is left alone: BACKUP_RUNNING. Whether
 * it lives is seen by its mark being renewed, not by comparing clocks.
 */
export async function sweepLeftovers(cluster: Cluster, clock: Clock, sweep: Sweep): Promise<void> {
  const labelSelector = claimSelector('backup', sweep.claimUid);
  const place = { namespace: sweep.namespace, moverNamespace: sweep.moverNamespace, labelSelector };
  const work = await findWork(cluster, place);
  const objects = Object.values(work).flat();
  const runs = Map.groupBy(objects, (object) => object.metadata.labels?.[RUN] ?? '');
  runs.delete(sweep.run);
  for (const [run, found] of runs) {
    const job = found.find((object) => object.kind === JOB.kind);
    if (job !== undefined && (await isAlive(cluster, clock, job, sweep.signal))) {
      throw new HoldfastError('BACKUP_RUNNING', { claim: sweep.title, run });
    }
    sweep.onFound(run, found.length);
    const groups = await findLeftGroups(cluster, sweep.namespace, run);
    await removeWork(cluster, { ...place, labelSelector: `${labelSelector},${RUN}=${run}` }, sweep.timeoutMs);
    const namespaces = [...new Set([sweep.namespace, sweep.moverNamespace])];
    await removeLeftGroups(cluster, groups, { namespaces, run, timeoutMs: sweep.timeoutMs });
  }
}

/** Whether the run that marked the object renews its mark; watches for a while. */
export async function isAlive(
  cluster: Cluster,
  clock: Clock,
  job: KubeObject,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (job.metadata.deletionTimestamp !== undefined) return false;
  const { resource } = refOf(job);
  const mark = aliveMark(job);
  if (clock.nowMs() - Date.parse(mark ?? '') > LONG_DEAD_MS) return false;
  for (let waitedMs = 0; waitedMs < DEAD_AFTER_MS; waitedMs += ALIVE_EVERY_MS / 2) {
    await clock.sleep(ALIVE_EVERY_MS / 2, signal);
    const current = await cluster.get(resource, job.metadata.namespace, job.metadata.name, signal);
    if (current === undefined || current.metadata.uid !== job.metadata.uid) return false;
    if (aliveMark(current) !== mark) return true;
  }
  return false;
}

function aliveMark(job: KubeObject): string | undefined {
  return textAt(job, 'metadata', 'annotations', ALIVE);
}
