/**
 * Which VolumeSnapshotClass cuts a claim, or VolumeGroupSnapshotClass a group (R1.4–R1.7). Pure. Never guesses among several: a class decides credentials,
 * the backend and what happens to the snapshot when its object goes.
 */
import { HoldfastError } from '../base/errors.ts';
import { type KubeObject, textAt } from './object.ts';

/** On a claim: the name of the class. On a class: "true" makes it the one for its driver. */
export const SNAPSHOT_CLASS_MARK = 'holdfast.dev/snapshot-class';
/** The annotation that makes a class the default one of its driver. */
const isDefault = {
  VolumeSnapshotClass: 'snapshot.storage.kubernetes.io/is-default-class',
  VolumeGroupSnapshotClass: 'groupsnapshot.storage.kubernetes.io/is-default-class',
};

export interface ClassChoice {
  readonly class: KubeObject;
  /** Why this one, for plan and record. */
  readonly reason: string;
}

export interface ClassQuestion {
  /** namespace/name, for messages. */
  readonly claim: string;
  readonly driver: string;
  /** Of the classes; default VolumeSnapshotClass. */
  readonly kind?: keyof typeof isDefault;
  /** On the command line; comes first. */
  readonly named?: string | undefined;
  /** The claim's own annotation. */
  readonly annotated?: string | undefined;
  /** By the policy, for the claim's storage class, and for all claims. */
  readonly ofStorageClass?: string | undefined;
  readonly ofPolicy?: string | undefined;
}

/** undefined where the driver has no class at all. Throws SNAPSHOT_UNSUPPORTED or SNAPSHOT_CLASS_AMBIGUOUS. */
export function chooseSnapshotClass(classes: readonly KubeObject[], question: ClassQuestion): ClassChoice | undefined {
  const { driver, kind = 'VolumeSnapshotClass' } = question;
  const named: readonly [string | undefined, string][] = [
    [question.named, 'named by the user'],
    [question.annotated, 'named by the annotation of the claim'],
    [question.ofStorageClass, 'named by the policy for its storage class'],
    [question.ofPolicy, 'named by the policy'],
  ];
  for (const [name, reason] of named) if (name !== undefined) return namedClass(classes, question, name, reason);
  const fitting = classes.filter((one) => textAt(one, 'driver') === driver);
  const marked = fitting.filter((one) => one.metadata.labels?.[SNAPSHOT_CLASS_MARK] === 'true');
  const defaults = fitting.filter((one) => one.metadata.annotations?.[isDefault[kind]] === 'true');
  const steps: readonly [KubeObject[], string][] = [
    [marked, `labelled ${SNAPSHOT_CLASS_MARK}=true`],
    [defaults, 'the default class of the driver'],
    [fitting, 'the only class of the driver'],
  ];
  for (const [candidates, reason] of steps) {
    const [first] = candidates;
    if (first !== undefined && candidates.length === 1) return { class: first, reason };
    if (candidates.length > 1) {
      const names = candidates.map((one) => one.metadata.name).join(', ');
      throw new HoldfastError('SNAPSHOT_CLASS_AMBIGUOUS', { count: candidates.length, driver, classes: names });
    }
  }
  return undefined;
}

/** The snapshot controller would hand a volume to a foreign driver without looking (R1.5). */
function namedClass(
  classes: readonly KubeObject[],
  question: ClassQuestion,
  name: string,
  reason: string,
): ClassChoice {
  const found = classes.find((one) => one.metadata.name === name);
  if (found === undefined) {
    const names = classes.map((one) => one.metadata.name).join(', ') || 'none';
    throw unsupported(question, `there is no ${question.kind ?? 'VolumeSnapshotClass'} ${name} (there are: ${names})`);
  }
  const other = textAt(found, 'driver');
  if (other === question.driver) return { class: found, reason };
  throw unsupported(question, `the class ${name} is for the driver ${other}, the volume is of ${question.driver}`);
}

function unsupported(question: ClassQuestion, reason: string): HoldfastError {
  return new HoldfastError('SNAPSHOT_UNSUPPORTED', { claim: question.claim, reason });
}
