/**
 * A volume made from a kept CSI snapshot: a static pair of snapshot and content stands for the copy in the storage, in the
 * namespace of the target, in this cluster or a rebuilt one; the temporary claim is made from that. The copy itself and
 * the objects that keep it are never touched (R1.18, R1.19).
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { warningsAbout } from '../cluster/events.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { type Ref, refOf, SNAPSHOT, SNAPSHOT_CLASS, SNAPSHOT_CONTENT } from '../cluster/resources.ts';
import { createStaticPair } from '../cluster/static-snapshot.ts';
import { removeContent } from '../cluster/volume-snapshot.ts';
import { restoreObjectName } from './marks.ts';
import { SELECTED_NODE } from './plan-source.ts';
import { claimName, isOfRestore, type RestoreRun, read, waitGone, workLabelsOf } from './run.ts';

/** Makes the pair, or finds it. Throws SNAPSHOT_FAILED. */
export async function ensureSnapshotSource(run: RestoreRun): Promise<void> {
  const { cluster, plan, signal, timeouts, report } = run;
  if (plan.source.kind !== 'snapshot') return;
  const { snapshot } = plan.source;
  const className = snapshot.class ?? undefined;
  const found = className === undefined ? undefined : await cluster.get(SNAPSHOT_CLASS, undefined, className, signal);
  const wish = {
    namespace: plan.target.namespace,
    name: restoreObjectName(plan.restoreId),
    worksFor: claimName(plan),
    labels: workLabelsOf(plan.restoreId),
    owners: [],
  };
  const copy = {
    driver: snapshot.driver,
    handle: snapshot.handle,
    // A class that is not there would keep the pair from being ready (R1.8).
    className: found === undefined ? undefined : className,
    sourceVolumeMode: plan.claim.spec.volumeMode,
    marks: snapshot.contentMarks,
  };
  const onProblem = (problem: string) => report('provision', `snapshot: ${problem}`);
  await createStaticPair(cluster, copy, wish, { claim: wish.worksFor, timeoutMs: timeouts.startMs, signal, onProblem });
  report('provision', `the kept snapshot ${snapshot.handle} can be read`);
}

/** A provisioner that has no room on a node takes the choice back, and tries again only with a new one (R5.6). */
const TRIES = 10;

/** Waits for the volume, and tells what the provisioner says where it does not come. Throws SNAPSHOT_FAILED. */
export async function awaitProvisioned(run: RestoreRun, temporary: KubeObject): Promise<void> {
  const { cluster, plan, timeouts, signal } = run;
  const node = plan.source.kind === 'snapshot' ? plan.source.node : null;
  const ref = refOf(temporary);
  const look = (claim: KubeObject | undefined) => {
    if (textAt(claim, 'status', 'phase') !== 'Pending') return 'done';
    return node !== null && claim?.metadata.annotations?.[SELECTED_NODE] === undefined ? 'given up' : undefined;
  };
  const what = `a volume for the temporary claim ${ref.name}`;
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      if ((await cluster.waitFor(ref, look, { timeoutMs: timeouts.fillMs, what, signal })) === 'done') return;
      await cluster.patch(ref, { merge: { metadata: { annotations: { [SELECTED_NODE]: node } } } }, signal);
    }
  } catch (error) {
    if (!isHoldfastError(error, 'WAIT_TIMEOUT')) throw error;
    throw await notMade(run, temporary, error.message.replace(/\.$/, ''));
  }
  throw await notMade(run, temporary, `it could not be made on ${node ?? 'any node'}`);
}

async function notMade({ cluster, plan }: RestoreRun, temporary: KubeObject, words: string): Promise<HoldfastError> {
  const { namespace = '', uid } = temporary.metadata;
  const reason = [words, ...(await warningsAbout(cluster, namespace, uid))].join('; ');
  return new HoldfastError('SNAPSHOT_FAILED', { claim: claimName(plan), reason });
}

/** Removes the pair once no claim is made from it any more (R1.22), and nothing of what it stands for. */
export async function removeSnapshotSource(
  run: Pick<RestoreRun, 'cluster' | 'signal' | 'timeouts'>,
  namespace: string,
  restoreId: string,
): Promise<number> {
  const name = restoreObjectName(restoreId);
  const ref: Ref = { resource: SNAPSHOT, namespace, name };
  const snapshot = await read(run, ref);
  let removed = 0;
  if (isOfRestore(snapshot, restoreId)) {
    await run.cluster.remove(ref, { uid: snapshot.metadata.uid });
    await waitGone(run, ref, snapshot.metadata.uid);
    removed++;
  }
  const content = await read(run, { resource: SNAPSHOT_CONTENT, name });
  const isStatic = textAt(content, 'spec', 'source', 'snapshotHandle') !== undefined;
  if (isOfRestore(content, restoreId) && isStatic) {
    await removeContent(run.cluster, content, 'Retain', run.timeouts.settleMs);
    removed++;
  }
  return removed;
}
