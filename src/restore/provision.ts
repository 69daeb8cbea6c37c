/**
 * The volume of a restore: made for a temporary claim, kept by Retain as soon as it exists, and promised to the target
 * claim, which is parked on it so that nobody can create it empty meanwhile (R3.5, R4.3).
 */
import { HoldfastError } from '../base/errors.ts';
import { statusOf } from '../cluster/api-error.ts';
import { type KubeObject, type NewObject, textAt } from '../cluster/object.ts';
import { NAMESPACE, STORAGE_CLASS } from '../cluster/resources.ts';
import { volumeSchema } from '../manifest/kube-shapes.ts';
import { placeOfKey, topologyOf } from '../manifest/topology.ts';
import { ensureSnapshotSource } from './from-snapshot.ts';
import { policyMark, restoreLabel, restoreObjectName } from './marks.ts';
import type { RestorePlan } from './plan.ts';
import {
  claimName,
  isOfRestore,
  type RestoreRun,
  read,
  targetRef,
  temporaryRef,
  volumeRef,
  waitGone,
  workLabelsOf,
} from './run.ts';

/** The provisioner puts it on volumes that it deletes with their claim, and takes it off when they are to stay (R4.8). */
const deletionFinalizer = 'external-provisioner.volume.kubernetes.io/finalizer';

export interface TemporaryClaim {
  readonly claim: KubeObject;
  /** False when an earlier run made it, which may have begun to fill it. */
  readonly isNew: boolean;
}

/** Everything up to the temporary claim; its volume may need the mover's pod first. */
export async function ensureTemporaryClaim(run: RestoreRun): Promise<TemporaryClaim> {
  await ensureNamespace(run);
  await ensureClassCopy(run);
  await ensureSnapshotSource(run);
  const ref = temporaryRef(run.plan);
  const found = await read(run, ref);
  if (found?.metadata.deletionTimestamp !== undefined) await waitGone(run, ref, found.metadata.uid);
  else if (found && textAt(found, 'status', 'phase') === 'Lost') throw lostVolume(run, found);
  const claim = withLabels(run.plan.temporaryClaim, workLabelsOf(run.plan.restoreId));
  const created = await run.cluster.create(claim, run.signal);
  run.report('provision', `temporary claim ${ref.name} is there`);
  return { claim: created, isNew: created.metadata.uid !== found?.metadata.uid };
}

/** Waits for the volume, looks whether it is where it was planned, and keeps it from being deleted with its claim. */
export async function secureVolume(run: RestoreRun, temporary: KubeObject): Promise<KubeObject> {
  const ref = temporaryRef(run.plan);
  const name = await run.cluster.waitFor(ref, (claim) => boundVolume(run, temporary, claim), {
    // The mover's own wait comes first to its end, and knows why there is no volume.
    timeoutMs: run.timeouts.startMs + 60_000,
    what: `a volume for the temporary claim ${ref.name}`,
    signal: run.signal,
  });
  const volume = await read(run, volumeRef(name));
  if (!volume || textAt(volume, 'spec', 'claimRef', 'uid') !== temporary.metadata.uid) {
    throw new HoldfastError('HAND_OVER_FAILED', {
      volume: name,
      claim: claimName(run.plan),
      reason: 'it is not bound to the temporary claim',
    });
  }
  checkPlace(run.plan, volume);
  return await retain(run, name);
}

/** Creates the target claim, waiting for the volume. It is bound only by the hand-over. */
export async function ensureParkedTarget(run: RestoreRun, volume: KubeObject): Promise<KubeObject> {
  const { plan, cluster, signal } = run;
  const ref = targetRef(plan);
  const volumeName = volume.metadata.name;
  let found = await read(run, ref);
  if (isOfRestore(found, plan.restoreId) && textAt(found, 'spec', 'volumeName') !== volumeName) {
    // Parked by a run whose volume is gone: it never had any data. One that is bound may have.
    if (textAt(found, 'status', 'phase') !== 'Pending') throw alreadyBound(run, found);
    await cluster.remove(ref, { uid: found.metadata.uid });
    await waitGone(run, ref, found.metadata.uid);
    found = undefined;
  }
  if (isOfRestore(found, plan.restoreId)) return found;
  if (found) throw new HoldfastError('TARGET_EXISTS', { claim: claimName(plan) });
  try {
    const spec = { ...plan.claim.spec, volumeName };
    const created = await cluster.create({ ...plan.claim, spec }, signal);
    run.report('park', `claim ${claimName(plan)} waits for the volume ${volumeName}`);
    return created;
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
    throw new HoldfastError('TARGET_EXISTS', { claim: claimName(plan) }, { cause: error });
  }
}

/** Deletes the copy of the class, if this restore made one, in this run or before. Volumes made from it do not need it. */
export async function removeClassCopy({ cluster, plan, signal }: RestoreRun): Promise<void> {
  const found = await cluster.get(STORAGE_CLASS, undefined, restoreObjectName(plan.restoreId), signal);
  if (!isOfRestore(found, plan.restoreId)) return;
  await cluster.remove({ resource: STORAGE_CLASS, name: found.metadata.name }, { uid: found.metadata.uid, signal });
}

async function ensureNamespace({ cluster, plan, signal, report }: RestoreRun): Promise<void> {
  if (!plan.createsNamespace) return;
  const name = plan.target.namespace;
  if (await cluster.get(NAMESPACE, undefined, name, signal)) return;
  try {
    await cluster.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, signal);
    report('provision', `namespace ${name} is there`);
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
  }
}

async function ensureClassCopy(run: RestoreRun): Promise<void> {
  const { cluster, plan, signal } = run;
  if (!plan.classCopy) return;
  const { metadata, ...rest } = plan.classCopy;
  const name = metadata.name;
  const found = await cluster.get(STORAGE_CLASS, undefined, name, signal);
  // Left by a run that was killed before it made a claim, and started again with another plan.
  if (isOfRestore(found, plan.restoreId) && !sameClass(found, plan.classCopy)) await removeClassCopy(run);
  const wanted = { ...rest, apiVersion: STORAGE_CLASS.apiVersion, kind: STORAGE_CLASS.kind, metadata: { name } };
  await cluster.create(withLabels(wanted, workLabelsOf(plan.restoreId)), signal);
  run.report('provision', `storage class ${name} is there`);
}

function sameClass(found: KubeObject, wanted: object): boolean {
  const fields = ['provisioner', 'parameters', 'allowedTopologies', 'mountOptions', 'volumeBindingMode'] as const;
  return fields.every((field) => JSON.stringify(found[field]) === JSON.stringify(Reflect.get(wanted, field)));
}

function withLabels<T extends NewObject>(object: T, labels: Readonly<Record<string, string>>): T {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } } };
}

function boundVolume(run: RestoreRun, temporary: KubeObject, claim: KubeObject | undefined): string | undefined {
  if (claim?.metadata.uid !== temporary.metadata.uid) throw lostVolume(run, temporary);
  if (textAt(claim, 'status', 'phase') === 'Lost') throw lostVolume(run, claim);
  return textAt(claim, 'status', 'phase') === 'Bound' ? textAt(claim, 'spec', 'volumeName') : undefined;
}

function lostVolume({ plan }: RestoreRun, temporary: KubeObject): HoldfastError {
  const volume = textAt(temporary, 'spec', 'volumeName') ?? 'none';
  return new HoldfastError('HAND_OVER_FAILED', {
    volume,
    claim: claimName(plan),
    reason: `somebody else took or deleted it, or its temporary claim ${temporary.metadata.name}`,
  });
}

function alreadyBound({ plan }: RestoreRun, target: KubeObject): HoldfastError {
  return new HoldfastError('HAND_OVER_FAILED', {
    volume: textAt(target, 'spec', 'volumeName') ?? 'none',
    claim: claimName(plan),
    reason: 'the claim is bound to it already, so another run of this restore is at work or somebody bound it',
  });
}

/** The zone may have changed on the way: provisioners try elsewhere when a zone is full (R5.2). */
function checkPlace({ place }: RestorePlan, volume: KubeObject): void {
  if (!place.label) return;
  const { zones, regions, hosts } = topologyOf(volumeSchema.parse(volume), null);
  const found = { zone: zones, region: regions, host: hosts, other: zones }[placeOfKey(place.label.key)];
  const { values } = place.label;
  // A volume that says nothing of places is reachable from all of them.
  if (found.length === 0 || values.every((value) => found.includes(value))) return;
  if (values.length > 1 && found.every((value) => values.includes(value))) return;
  throw new HoldfastError('VOLUME_MISPLACED', {
    volume: volume.metadata.name,
    found: found.join(', '),
    planned: values.join(', '),
  });
}

/** Marks the volume, sets Retain, and returns it as it was read back, once the provisioner has let go of it. */
async function retain(run: RestoreRun, name: string): Promise<KubeObject> {
  const { plan, cluster, signal } = run;
  const merge = {
    metadata: {
      labels: { [restoreLabel]: plan.restoreId },
      annotations: { [policyMark]: plan.reclaimPolicy.value },
    },
    spec: { persistentVolumeReclaimPolicy: 'Retain' },
  };
  await cluster.patch(volumeRef(name), { merge }, signal);
  const kept = await cluster.waitFor(volumeRef(name), (volume) => (isKept(volume) ? volume : undefined), {
    timeoutMs: run.timeouts.settleMs,
    what: `the volume ${name} to be kept`,
    last: () => 'its policy is not Retain, or the provisioner still has its finalizer on it',
    signal,
  });
  run.report('provision', `volume ${name} is there and kept until the end`);
  return kept;
}

export function isKept(volume: KubeObject | undefined): volume is KubeObject {
  const policy = textAt(volume, 'spec', 'persistentVolumeReclaimPolicy');
  return policy === 'Retain' && volume?.metadata.finalizers?.includes(deletionFinalizer) !== true;
}
