/**
 * How a claim is backed up, and why so. Pure. Only `auto` chooses, and it says so; what was asked for and cannot be done
 * is refused, never done otherwise.
 */
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { type ClassChoice, chooseSnapshotClass, SNAPSHOT_CLASS_MARK } from '../cluster/snapshot-class.ts';
import type { BackupPolicy, MethodWish } from '../policy/schema.ts';
import type { ClusterFacts } from './facts.ts';
import type { BackupSource } from './source.ts';

export type BackupMethod = 'Snapshot' | 'SnapshotMove' | 'FileCopy' | 'ExecStream';

export type MethodChoice =
  | { readonly method: 'Snapshot'; readonly reason: string; readonly class: ClassChoice }
  | {
      readonly method: 'SnapshotMove';
      readonly reason: string;
      readonly class: ClassChoice;
      /** Of the temporary claim: the source's, or the only one of its driver. */
      readonly storageClass: KubeObject;
    }
  | { readonly method: 'FileCopy'; readonly reason: string }
  | {
      readonly method: 'ExecStream';
      readonly reason: string;
      /** What stands against the methods that come first, where this one was not asked for. */
      readonly instead?: string;
    };

export interface MethodQuestion {
  readonly wish: MethodWish;
  /** Who wished so: `--method`, `rule 2 of spec.methods`. */
  readonly wishedBy: string;
  /** On the command line. */
  readonly snapshotClass: string | undefined;
  readonly snapshots: BackupPolicy['spec']['snapshots'] | undefined;
}

/** SNAPSHOT_UNSUPPORTED, SNAPSHOT_CLASS_AMBIGUOUS or LIVE_COPY_REFUSED where it cannot be done. */
export function chooseMethod(
  source: BackupSource,
  cluster: ClusterFacts,
  question: MethodQuestion,
): MethodChoice | HoldfastError {
  if (question.wish === 'FileCopy') return liveCopy(source, `asked for (${question.wishedBy})`);
  if (question.wish === 'ExecStream') return streamOut(source, `asked for (${question.wishedBy})`);
  const way = snapshotWay(source, cluster, question);
  if (way instanceof HoldfastError) return way;
  const asked = question.wish === 'auto' ? undefined : `asked for (${question.wishedBy})`;
  if (typeof way === 'string') {
    if (asked !== undefined) return unsupported(source, way);
    const reason = `there can be no snapshot: ${way}`;
    const copy = isForOnePod(source) ? streamOut(source, reason, way) : liveCopy(source, reason);
    return copy instanceof HoldfastError ? unsupported(source, `${way}; ${String(copy.context.reason)}`) : copy;
  }
  if (question.wish === 'Snapshot') return { method: 'Snapshot', reason: asked ?? '', class: way };
  const storageClass = chooseStorageClass(source, cluster);
  if (storageClass instanceof HoldfastError) return storageClass;
  const reason = asked ?? `its driver ${source.driver ?? ''} takes snapshots`;
  return { method: 'SnapshotMove', reason, class: way, storageClass };
}

/** The class; or in words why nothing can be cut here; or an error where it could, but not as it was said. */
function snapshotWay(
  source: BackupSource,
  cluster: ClusterFacts,
  { snapshotClass, snapshots }: MethodQuestion,
): ClassChoice | string | HoldfastError {
  const { driver, claim, volume, storageClassName } = source;
  if (driver === undefined) return `its volume ${volume.metadata.name} is not one of a CSI driver`;
  if (!cluster.servesSnapshots) return 'the cluster has no snapshot API (its CRDs are not installed)';
  try {
    const choice = chooseSnapshotClass(cluster.snapshotClasses, {
      claim: source.title,
      driver,
      named: snapshotClass,
      annotated: claim.metadata.annotations?.[SNAPSHOT_CLASS_MARK],
      ofStorageClass: snapshots?.classes?.[storageClassName ?? ''],
      ofPolicy: snapshots?.class,
    });
    return choice ?? `no VolumeSnapshotClass has the driver ${driver}`;
  } catch (error) {
    if (isHoldfastError(error)) return error;
    throw error;
  }
}

/** A mount of the volume in use: one more reader on its node, nothing that needs a device or a pod of its own. */
function liveCopy(source: BackupSource, reason: string): MethodChoice | HoldfastError {
  const { title, volumeMode } = source;
  if (volumeMode === 'Block') return refusedCopy(title, 'a raw block volume cannot be copied while it is in use');
  if (isForOnePod(source)) {
    return refusedCopy(title, 'with ReadWriteOncePod only one pod in the cluster may use the volume');
  }
  return { method: 'FileCopy', reason };
}

/** Out of the pod that has it, without a second one (R6.1). */
function streamOut(
  { title, volumeMode }: BackupSource,
  reason: string,
  instead?: string,
): MethodChoice | HoldfastError {
  if (volumeMode === 'Block') return refusedStream(title, 'a raw block volume has no files');
  return { method: 'ExecStream', reason, ...(instead === undefined ? {} : { instead }) };
}

function isForOnePod({ accessModes }: BackupSource): boolean {
  return accessModes.includes('ReadWriteOncePod');
}

/** A snapshot is read through a claim of the same driver, and a claim without a class is never provisioned (R3.3). */
function chooseStorageClass(source: BackupSource, { storageClasses }: ClusterFacts): KubeObject | HoldfastError {
  const { storageClassName: own, driver = '' } = source;
  const fitting = storageClasses.filter((one) => textAt(one, 'provisioner') === driver);
  const found = fitting.find((one) => one.metadata.name === own);
  if (found !== undefined) return found;
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  const names = fitting.map((one) => one.metadata.name).join(', ') || 'none';
  const lacking = own === undefined ? 'it has no storage class' : `its storage class ${own} is not there any more`;
  return unsupported(
    source,
    `${lacking}, and the snapshot can be read only through one of ${driver} (there are: ${names})`,
  );
}

export function unsupported({ title }: BackupSource, reason: string): HoldfastError {
  return new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: title, reason });
}

export function refusedCopy(claim: string, reason: string): HoldfastError {
  return new HoldfastError('LIVE_COPY_REFUSED', { claim, reason });
}

export function refusedStream(claim: string, reason: string): HoldfastError {
  return new HoldfastError('STREAM_REFUSED', { claim, reason });
}
