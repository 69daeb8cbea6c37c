/**
 * Method SnapshotMove: the volume is cut by a CSI snapshot, and a mover reads a temporary claim that is made from it.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { keepSnapshot } from '../cluster/kept-snapshot.ts';
import { ownedBy } from '../cluster/labels.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { CLAIM } from '../cluster/resources.ts';
import { createStaticSnapshot } from '../cluster/static-snapshot.ts';
import { createTemporaryClaim, dropVolumeWithClaim } from '../cluster/temporary-claim.ts';
import { dropContentWithSnapshot, restoreSizeOf } from '../cluster/volume-snapshot.ts';
import { recordSnapshot } from '../manifest/kept-snapshot.ts';
import { cutSnapshot, readySnapshot } from './cut-snapshot.ts';
import type { Cut, MethodSteps, PreparedClaim } from './method.ts';
import { ownContent } from './own-content.ts';
import { temporarySize } from './plan.ts';
import { runMover } from './run-mover.ts';

export const snapshotMove: MethodSteps = {
  cut: cutSnapshot,
  move: async (claim, cut) => {
    const snapshot = await makeReadable(claim, cut);
    const kept = claim.work.plan.keeps ? recordSnapshot(snapshot, await ownContent(claim, snapshot)) : undefined;
    const moved = await runMover(claim, { ...cut, kept }, { onStarted: () => dropVolume(claim) });
    if (kept !== undefined) await keepBeside(claim, snapshot);
    return moved;
  },
};

/** The data is in the repository: a snapshot that cannot be kept is told, and goes with the rest. */
async function keepBeside(claim: PreparedClaim, snapshot: KubeObject): Promise<void> {
  const { cluster, work } = claim;
  const { writable, run, policy } = work.options;
  try {
    if (writable === undefined) throw new HoldfastError('PASSWORD_MISSING');
    const identity = { repositoryId: writable.id, run, policy, claimUid: work.plan.source.claim.metadata.uid };
    await keepSnapshot(cluster, snapshot, await ownContent(claim, snapshot), 'beside', identity);
    claim.say('snapshot', 'stays in the storage system for a fast restore');
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    claim.warn(`its snapshot is not kept: ${error.message}`);
  }
}

/** The snapshot, once a claim was made of it. */
async function makeReadable(claim: PreparedClaim, cut: Cut): Promise<KubeObject> {
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
  return snapshot;
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
