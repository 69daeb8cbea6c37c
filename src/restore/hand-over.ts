/**
 * Hands a filled volume from the temporary claim to the target (R4.12). Each step is taken only after the one before
 * was read back from the API server: a volume whose claim is deleted too early, or whose Retain is lifted too early,
 * is destroyed by the provisioner.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { JsonPatchStep } from '../cluster/client.ts';
import { type KubeObject, listAt, textAt } from '../cluster/object.ts';
import { type Ref, VOLUME_ATTACHMENT } from '../cluster/resources.ts';
import { backupMark, filledMark, policyMark, restoreLabel, touchMark } from './marks.ts';
import { isKept } from './provision.ts';
import { claimName, isOfRestore, type RestoreRun, read, targetRef, temporaryRef, volumeRef, waitGone } from './run.ts';

const boundByController = 'pv.kubernetes.io/bound-by-controller';
/** The binder looks again by itself only every 15 s. */
const touchEveryMs = 2_000;

/** Waits until no node has the volume attached any more: the target's first pod may run elsewhere. */
async function awaitDetached({ cluster, timeouts, signal }: RestoreRun, volumeName: string): Promise<void> {
  const nodes = (attachments: readonly KubeObject[]) =>
    attachments
      .filter((one) => textAt(one, 'spec', 'source', 'persistentVolumeName') === volumeName)
      .map((one) => textAt(one, 'spec', 'nodeName') ?? 'a node');
  let left: string[] = [];
  const isFree = (attachments: readonly KubeObject[]) => {
    left = nodes(attachments);
    return left.length === 0 ? true : undefined;
  };
  await cluster.waitForList(VOLUME_ATTACHMENT, {}, isFree, {
    timeoutMs: timeouts.settleMs,
    what: `the volume ${volumeName} to be detached`,
    last: () => `attached to ${left.join(', ')}`,
    signal,
  });
}

/**
 * Gives the volume to the target in one patch that fails as a whole if anything is not as it was read. Where that was
 * done before, the target's pods may be at work with it already.
 */
export async function swapClaims(run: RestoreRun, volumeName: string, target: KubeObject): Promise<void> {
  const volume = await read(run, volumeRef(volumeName));
  const owner = textAt(volume, 'spec', 'claimRef', 'uid');
  if (owner === target.metadata.uid) return;
  const temporary = await read(run, temporaryRef(run.plan));
  if (!volume || !temporary || owner !== temporary.metadata.uid) {
    throw failed(run, volumeName, 'it is no longer bound to the temporary claim');
  }
  if (!isKept(volume)) throw failed(run, volumeName, 'its reclaim policy was changed while it was filled');
  await awaitDetached(run, volumeName);
  try {
    await run.cluster.patch(volumeRef(volumeName), { json: swapPatch(run, volume, temporary, target) }, run.signal);
  } catch (error) {
    // The answer may have been lost on the way back.
    const after = await read(run, volumeRef(volumeName));
    if (textAt(after, 'spec', 'claimRef', 'uid') !== target.metadata.uid) throw error;
  }
  run.report('hand-over', `volume ${volumeName} belongs to ${claimName(run.plan)}`);
}

/** Waits until target and volume agree that they are bound. */
export async function awaitBound(run: RestoreRun, volumeName: string, target: KubeObject): Promise<void> {
  const { uid } = target.metadata;
  await waitTouching(run, targetRef(run.plan), `${claimName(run.plan)} to be bound`, (claim) => {
    if (claim?.metadata.uid !== uid) throw failed(run, volumeName, 'the claim was deleted');
    return textAt(claim, 'status', 'phase') === 'Bound' && textAt(claim, 'spec', 'volumeName') === volumeName;
  });
  await run.cluster.waitFor(volumeRef(volumeName), (volume) => (isBoundTo(volume, uid) ? true : undefined), {
    timeoutMs: run.timeouts.settleMs,
    what: `the volume ${volumeName} to be bound to ${claimName(run.plan)}`,
    signal: run.signal,
  });
  run.report('hand-over', `claim ${claimName(run.plan)} is bound`);
}

/** Deletes the temporary claim, once the binder has seen that it lost its volume. */
export async function removeTemporaryClaim(run: RestoreRun, volumeName: string): Promise<void> {
  const ref = temporaryRef(run.plan);
  const temporary = await read(run, ref);
  if (!isOfRestore(temporary, run.plan.restoreId)) return;
  const { uid, deletionTimestamp } = temporary.metadata;
  if (deletionTimestamp === undefined) {
    await waitTouching(run, ref, `the temporary claim ${ref.name} to lose the volume ${volumeName}`, (claim) => {
      return claim?.metadata.uid !== uid || textAt(claim, 'status', 'phase') === 'Lost';
    });
    await run.cluster.remove(ref, { uid, signal: run.signal });
  }
  await waitGone(run, ref, uid);
}

/** Last of all the volume gets the reclaim policy that it had, and loses our marks. */
export async function liftRetain(run: RestoreRun, volumeName: string, target: KubeObject): Promise<void> {
  const { cluster, plan, signal } = run;
  const volume = await read(run, volumeRef(volumeName));
  if (!isBoundTo(volume, target.metadata.uid)) throw failed(run, volumeName, 'it is not bound to the claim any more');
  if (!isOfRestore(volume, plan.restoreId)) return;
  const merge = {
    metadata: { labels: { [restoreLabel]: null }, annotations: { [policyMark]: null } },
    spec: { persistentVolumeReclaimPolicy: plan.reclaimPolicy.value },
  };
  await cluster.patch(volumeRef(volumeName), { merge }, signal);
  run.report('hand-over', `volume ${volumeName} has reclaim policy ${plan.reclaimPolicy.value}`);
}

/** Takes the marks of a restore in flight off the target; from here on it is a claim like any other. */
export async function unmarkTarget({ cluster, plan, signal }: RestoreRun): Promise<void> {
  const annotations = { [backupMark]: null, [filledMark]: null, [touchMark]: null };
  await cluster.patch(
    targetRef(plan),
    { merge: { metadata: { labels: { [restoreLabel]: null }, annotations } } },
    signal,
  );
}

function swapPatch(
  { plan }: RestoreRun,
  volume: KubeObject,
  temporary: KubeObject,
  target: KubeObject,
): JsonPatchStep[] {
  const { namespace, name, uid } = target.metadata;
  const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
  const { storageClassName, accessModes } = plan.claim.spec;
  return [
    { op: 'test', path: '/spec/claimRef/uid', value: temporary.metadata.uid },
    { op: 'test', path: '/spec/persistentVolumeReclaimPolicy', value: 'Retain' },
    // Never without a claim in between: any claim that fits could take it.
    { op: 'replace', path: '/spec/claimRef', value: claimRef },
    ...(textAt(volume, 'spec', 'storageClassName') === storageClassName
      ? []
      : [{ op: 'add', path: '/spec/storageClassName', value: storageClassName } as const]),
    ...(listAt(volume, 'spec', 'accessModes').join() === accessModes.join()
      ? []
      : [{ op: 'replace', path: '/spec/accessModes', value: accessModes } as const]),
    // Not on every volume, and a patch that removes what is not there is refused as a whole.
    ...(volume.metadata.annotations?.[boundByController] === undefined
      ? []
      : [{ op: 'remove', path: `/metadata/annotations/${boundByController.replace('/', '~1')}` } as const]),
  ];
}

function isBoundTo(volume: KubeObject | undefined, claimUid: string): boolean {
  return textAt(volume, 'status', 'phase') === 'Bound' && textAt(volume, 'spec', 'claimRef', 'uid') === claimUid;
}

/** Changes an annotation of the claim until the binder, which looks at claims that change, has done its part. */
async function waitTouching(
  run: RestoreRun,
  ref: Ref,
  what: string,
  isDone: (claim: KubeObject | undefined) => boolean,
): Promise<void> {
  const deadlineMs = Date.now() + run.timeouts.settleMs;
  for (let touches = 1; ; touches++) {
    const now = await read(run, ref);
    if (isDone(now)) return;
    const annotations = { [touchMark]: `${touches} ${new Date().toISOString()}` };
    await run.cluster.patch(ref, { merge: { metadata: { annotations } } }, run.signal);
    try {
      const probe = (claim: KubeObject | undefined) => (isDone(claim) ? true : undefined);
      const last = () => 'the binder has not looked at it';
      await run.cluster.waitFor(ref, probe, { timeoutMs: touchEveryMs, what, last, signal: run.signal });
      return;
    } catch (error) {
      if (!isHoldfastError(error, 'WAIT_TIMEOUT') || Date.now() > deadlineMs) throw error;
    }
  }
}

function failed({ plan }: RestoreRun, volume: string, reason: string): HoldfastError {
  return new HoldfastError('HAND_OVER_FAILED', { volume, claim: claimName(plan), reason });
}
