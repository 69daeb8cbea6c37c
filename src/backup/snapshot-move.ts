/**
 * Method SnapshotMove: the volume is cut by a CSI snapshot, and a mover reads a temporary claim that is made from it.
 */
import { ownedBy } from '../cluster/labels.ts';
import { textAt } from '../cluster/object.ts';
import { CLAIM } from '../cluster/resources.ts';
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
  const snapshot = await readySnapshot(claim, cut);
  await dropContentWithSnapshot(cluster, snapshot);
  const { source, storageClass = '' } = plan;
  const size = temporarySize(restoreSizeOf(snapshot), textAt(source.volume, 'spec', 'capacity', 'storage'));
  claim.say('copy', `makes a temporary claim of ${size} from the snapshot`);
  const wish = {
    namespace: options.namespace,
    name,
    snapshotName: snapshot.metadata.name,
    storageClass,
    volumeMode: source.volumeMode,
    size,
    worksFor: plan.claim,
    labels,
    owners: ownedBy(job),
  };
  await createTemporaryClaim(cluster, wish, options.signal);
}

/** From here on nothing of this run outlives its Job, even if this process does not come to clean up. */
async function dropVolume({ cluster, work }: PreparedClaim): Promise<void> {
  const temporary = await cluster.get(CLAIM, work.options.namespace, work.name);
  if (temporary !== undefined) await dropVolumeWithClaim(cluster, temporary);
}
