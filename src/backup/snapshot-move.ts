/**
 * Method SnapshotMove: the volume is cut by a CSI snapshot, and a mover reads a temporary claim that is made from it.
 */
import { ownedBy } from '../cluster/labels.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { CLAIM } from '../cluster/resources.ts';
import { createStaticSnapshot } from '../cluster/static-snapshot.ts';
import { createTemporaryClaim, dropVolumeWithClaim } from '../cluster/temporary-claim.ts';
import { dropContentWithSnapshot, restoreSizeOf } from '../cluster/volume-snapshot.ts';
import { cutSnapshot, readySnapshot } from './cut-snapshot.ts';
import type { Cut, MethodSteps, PreparedClaim } from './method.ts';
import { temporarySize } from './plan.ts';
import { runMover } from './run-mover.ts';

export const snapshotMove: MethodSteps = {
  cut: cutSnapshot,
  move: async (claim, cut) => {
    await makeReadable(claim, cut);
    return runMover(claim, cut, { onStarted: () => dropVolume(claim) });
  },
};

async function makeReadable(claim: PreparedClaim, cut: Cut): Promise<void> {
  const { cluster, work, job } = claim;
  const { plan, options, name, labels } = work;
  const { source, storageClass = '', moverNamespace, copy } = plan;
  const snapshot = await readySnapshot(claim, cut);
  await dropContentWithSnapshot(cluster, snapshot);
  const readable = moverNamespace === options.namespace ? snapshot : await besideMover(claim, snapshot);
  const size = temporarySize(restoreSizeOf(snapshot), textAt(source.volume, 'spec', 'capacity', 'storage'));
  claim.say('copy', `makes a temporary claim of ${size} from the snapshot`);
  const wish = {
    namespace: moverNamespace,
    name,
    snapshotName: readable.metadata.name,
    accessMode: copy?.accessMode,
    storageClass,
    volumeMode: source.volumeMode,
    size,
    worksFor: plan.claim,
    labels,
    owners: ownedBy(job),
  };
  await createTemporaryClaim(cluster, wish, options.signal);
}

/** The same copy in the storage, readable in the namespace of the mover. */
function besideMover({ cluster, work, job, warn }: PreparedClaim, snapshot: KubeObject): Promise<KubeObject> {
  const { plan, options, name, labels, timeouts } = work;
  const wish = { namespace: plan.moverNamespace, name, worksFor: plan.claim, labels, owners: ownedBy(job) };
  const watch = { claim: plan.claim, timeoutMs: timeouts.readyMs, signal: options.signal, onProblem: warn };
  return createStaticSnapshot(cluster, snapshot, wish, watch);
}

/** From here on nothing of this run outlives its Job, even if this process does not come to clean up. */
async function dropVolume({ cluster, work }: PreparedClaim): Promise<void> {
  const temporary = await cluster.get(CLAIM, work.plan.moverNamespace, work.name);
  if (temporary !== undefined) await dropVolumeWithClaim(cluster, temporary);
}
