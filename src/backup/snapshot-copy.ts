/** A claim's data at one instant, as a temporary claim that a mover can read: CSI snapshot, then a claim made from it. */
import type { Cluster } from '../cluster/client.ts';
import { ownedBy } from '../cluster/labels.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { createTemporaryClaim } from '../cluster/temporary-claim.ts';
import {
  createSnapshot,
  dropContentWithSnapshot,
  restoreSizeOf,
  waitForCut,
  waitForReady,
} from '../cluster/volume-snapshot.ts';
import type { ClaimWork } from './claim-work.ts';
import { temporarySize } from './plan.ts';
import type { BackupPhase } from './run.ts';

export interface Reporter {
  say(phase: BackupPhase, message: string): void;
  warn(message: string): void;
}

/** Makes both, owned by the Job; RFC 3339 of the cut, undefined where the storage does not tell it. */
export async function copyBySnapshot(
  cluster: Cluster,
  work: ClaimWork,
  job: KubeObject,
  reporter: Reporter,
): Promise<string | undefined> {
  const snapshot = await cutSnapshot(cluster, work, job, reporter);
  await readableClaim(cluster, work, job, snapshot, reporter);
  return textAt(snapshot, 'status', 'creationTime');
}

async function cutSnapshot(cluster: Cluster, work: ClaimWork, job: KubeObject, reporter: Reporter) {
  const { plan, options, name, labels, timeouts } = work;
  const { namespace, claim: claimName, signal } = options;
  const className = plan.class?.class.metadata.name ?? '';
  const wish = { namespace, name, claimName, className, labels, owners: ownedBy(job) };
  const made = await createSnapshot(cluster, wish, signal);
  const watch = { claim: plan.claim, signal, onProblem: (problem: string) => reporter.warn(problem) };
  const cut = await waitForCut(cluster, made, { ...watch, timeoutMs: timeouts.cutMs });
  reporter.say('snapshot', `cut at ${textAt(cut, 'status', 'creationTime') ?? 'an unknown time'}`);
  const ready = await waitForReady(cluster, cut, { ...watch, timeoutMs: timeouts.readyMs });
  await dropContentWithSnapshot(cluster, ready);
  return ready;
}

async function readableClaim(
  cluster: Cluster,
  { plan, options, name, labels }: ClaimWork,
  job: KubeObject,
  snapshot: KubeObject,
  reporter: Reporter,
): Promise<void> {
  const { source, storageClass = '' } = plan;
  const size = temporarySize(restoreSizeOf(snapshot), textAt(source.volume, 'spec', 'capacity', 'storage'));
  reporter.say('copy', `makes a temporary claim of ${size} from the snapshot`);
  const wish = {
    namespace: options.namespace,
    name,
    snapshotName: name,
    storageClass,
    volumeMode: source.volumeMode,
    size,
    worksFor: plan.claim,
    labels,
    owners: ownedBy(job),
  };
  await createTemporaryClaim(cluster, wish, options.signal);
}
