/** Which storage class a restored claim gets, and how it differs from the one that was recorded. Pure. */
import { HoldfastError } from '../base/errors.ts';
import type { RecordedStorageClass } from '../manifest/kube-shapes.ts';
import type { Recipe } from '../manifest/recipe.ts';
import { redactedValue } from '../manifest/redact.ts';
import { recordedClassName } from '../manifest/translate.ts';
import type { ClusterFacts, RestoreWishes } from './facts.ts';

export interface ClassPlan {
  readonly name: string;
  readonly reason: string;
  readonly provisioner: string;
  readonly immediate: boolean;
  /** What is different from the recorded class, one sentence each; empty when alike or when it was not recorded. */
  readonly differences: readonly string[];
  readonly object: RecordedStorageClass;
}

export function planClass(recipe: Recipe, facts: ClusterFacts, wishes: RestoreWishes): ClassPlan | HoldfastError {
  const { name, reason } = chooseName(recipe, facts, wishes);
  const object = facts.storageClasses.find((storageClass) => storageClass.metadata.name === name);
  if (!object) {
    const classes = facts.storageClasses.map((storageClass) => storageClass.metadata.name).join(', ');
    return new HoldfastError('STORAGE_CLASS_MISSING', { class: name || '(none recorded)', classes: classes || 'none' });
  }
  if (object.provisioner === 'kubernetes.io/no-provisioner') {
    return new HoldfastError('RESTORE_REFUSED', {
      reason: `the storage class ${name} has no provisioner, so no volume can be made from it`,
      fix: 'Name a class that provisions volumes with --storage-class.',
    });
  }
  return {
    name,
    reason,
    provisioner: object.provisioner,
    immediate: (object.volumeBindingMode ?? 'Immediate') === 'Immediate',
    differences: recipe.storageClass ? differencesOf(recipe.storageClass, object) : [],
    object,
  };
}

function chooseName(recipe: Recipe, facts: ClusterFacts, wishes: RestoreWishes): { name: string; reason: string } {
  if (wishes.storageClass !== undefined) return { name: wishes.storageClass, reason: 'chosen' };
  const recorded = recordedClassName(recipe);
  const mapped = recorded ? wishes.classMap?.[recorded] : undefined;
  if (mapped !== undefined) return { name: mapped, reason: `in place of ${recorded}` };
  if (recorded) return { name: recorded, reason: 'as recorded' };
  const isDefault = (storageClass: RecordedStorageClass) =>
    storageClass.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true';
  const fallback = facts.storageClasses.find(isDefault)?.metadata.name ?? '';
  return { name: fallback, reason: 'the default class; the recorded claim named none' };
}

function differencesOf(recorded: RecordedStorageClass, found: RecordedStorageClass): string[] {
  const before = fieldsOf(recorded);
  const now = fieldsOf(found);
  const fields = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return fields
    .filter((field) => before[field] !== now[field] && before[field] !== redactedValue)
    .map((field) => `${field} was ${before[field] ?? 'not set'}, is ${now[field] ?? 'not set'}`);
}

function fieldsOf(storageClass: RecordedStorageClass): Record<string, string> {
  const parameters = Object.entries(storageClass.parameters ?? {}).map(([key, value]) => [`parameter ${key}`, value]);
  const zones = storageClass.allowedTopologies;
  return {
    ...Object.fromEntries(parameters),
    provisioner: storageClass.provisioner,
    'binding mode': storageClass.volumeBindingMode ?? 'Immediate',
    'reclaim policy': storageClass.reclaimPolicy ?? 'Delete',
    'volume expansion': storageClass.allowVolumeExpansion === true ? 'allowed' : 'not allowed',
    ...(storageClass.mountOptions?.length ? { 'mount options': storageClass.mountOptions.join(',') } : {}),
    ...(zones?.length ? { 'allowed topologies': JSON.stringify(zones) } : {}),
  };
}
