/**
 * The plan of a restore: everything that will be made, with the reason for each choice, or every reason not to.
 * Pure: what it knows of the cluster are facts (gather-facts.ts), what it says is done by restore-claim.ts.
 */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import type { RecordedStorageClass } from '../manifest/kube-shapes.ts';
import type { Recipe } from '../manifest/recipe.ts';
import { type Change, type NewClaim, translateClaim } from '../manifest/translate.ts';
import type { BackupFacts, ClusterFacts, RestoreWishes } from './facts.ts';
import { backupMark, originMark, planMark, restoreIdOf, restoreLabel, restoreObjectName } from './marks.ts';
import { type ClassPlan, planClass } from './plan-class.ts';
import { type PlacePlan, planPlace } from './plan-place.ts';
import { claimsToMake, planRoom, quotaRefusals, type RoomPlan } from './plan-room.ts';
import { leastSizeOf, planSize, type SizePlan } from './plan-size.ts';
import { type DataSource, planSource, SELECTED_NODE, snapshotSource } from './plan-source.ts';

export interface RestorePlan {
  readonly restoreId: string;
  readonly backup: BackupFacts;
  /** Path of the data in the backup, such as `/shop/data/volume`. */
  readonly subfolder: string;
  readonly target: { readonly namespace: string; readonly name: string };
  readonly createsNamespace: boolean;
  /** An earlier run of the same restore left objects; this one goes on with them. */
  readonly resumes: boolean;
  readonly source: DataSource;
  readonly storageClass: ClassPlan;
  readonly place: PlacePlan;
  readonly size: SizePlan;
  readonly reclaimPolicy: { readonly value: 'Delete' | 'Retain'; readonly reason: string };
  /** As it will be created, apart from `volumeName`. */
  readonly claim: NewClaim;
  /** Made first and filled; its volume becomes the target's. */
  readonly temporaryClaim: NewClaim;
  /** A copy of the class that can only make volumes in the planned place; null when none is needed. */
  readonly classCopy: RecordedStorageClass | null;
  readonly kept: readonly string[];
  readonly dropped: readonly Change[];
  readonly warnings: readonly string[];
}

export interface RestoreRequest {
  readonly backup: BackupFacts;
  /** Null when the backup has none. */
  readonly recipe: Recipe | null;
  readonly facts: ClusterFacts;
  readonly wishes: RestoreWishes;
}

/** All refusals, not only the first; each has a code and the way out. Nothing was created. */
export type Planning =
  | { readonly plan: RestorePlan; readonly refusals: readonly [] }
  | { readonly plan: null; readonly refusals: readonly HoldfastError[] };

export function planRestore(request: RestoreRequest): Planning {
  const { backup, recipe, facts, wishes } = request;
  const refusals = refusalsOfBackup(request);
  if (!recipe) return { plan: null, refusals };
  const target = targetOf(recipe, wishes);
  const restoreId = restoreIdOf(backup.id, target.namespace, target.name);
  refusals.push(...refusalsOfTarget(request, target, restoreId));
  const storageClass = collect(planClass(recipe, facts, wishes), refusals);
  const size = collect(planSize(recipe, backup, wishes), refusals);
  const place = storageClass && collect(planPlace(recipe, facts, wishes, storageClass), refusals);
  if (!storageClass || !size || !place) return { plan: null, refusals };
  const source = collect(planSource({ ...request, recipe, storageClass, place, sizeBytes: size.bytes }), refusals);
  if (!source) return { plan: null, refusals };
  const leastBytes = leastSizeOf(recipe, backup);
  const room = planRoom({ namespace: target.namespace, storageClass, place, sizeBytes: size.bytes, leastBytes, facts });
  const need = { storageClass: storageClass.name, sizeBytes: size.bytes, claims: claimsToMake(facts) };
  refusals.push(...room.refusals, ...quotaRefusals(target.namespace, facts.quotas, [need]));
  const plan = assemble(request, recipe, { restoreId, target, source, storageClass, size, place, room });
  const unfinished = facts.unfinished;
  if (unfinished !== null && unfinished !== plan.temporaryClaim.metadata.annotations[planMark]) {
    refusals.push(otherPlan(target));
  }
  return refusals.length > 0 ? { plan: null, refusals } : { plan, refusals: [] };
}

/** Where a recipe and the wishes lead. Pure; facts are gathered for this target. */
export function targetOf(recipe: Recipe, wishes: RestoreWishes): { namespace: string; name: string } {
  return {
    namespace: wishes.namespace ?? recipe.claim.metadata.namespace ?? 'default',
    name: wishes.name ?? recipe.claim.metadata.name,
  };
}

function refusalsOfBackup({ backup, recipe, wishes }: RestoreRequest): HoldfastError[] {
  const refusals: HoldfastError[] = [];
  if (!recipe) refusals.push(new HoldfastError('BACKUP_HAS_NO_RECIPE', { backup: backup.id }));
  if (!backup.complete && wishes.allowIncomplete !== true) {
    refusals.push(new HoldfastError('BACKUP_NOT_COMPLETE', { backup: backup.id }));
  }
  return refusals;
}

function refusalsOfTarget(request: RestoreRequest, target: RestorePlan['target'], restoreId: string): HoldfastError[] {
  const { facts, wishes } = request;
  const claim = `${target.namespace}/${target.name}`;
  const refusals: HoldfastError[] = [];
  if (facts.namespace === 'missing' && wishes.createNamespace !== true) {
    refusals.push(new HoldfastError('NAMESPACE_MISSING', { namespace: target.namespace }));
  }
  if (facts.namespace === 'terminating') {
    const reason = `the namespace ${target.namespace} is being deleted`;
    refusals.push(new HoldfastError('RESTORE_REFUSED', { reason, fix: 'Wait until it is gone, then run again.' }));
  }
  if (facts.target?.restoreId && facts.target.restoreId !== restoreId) {
    const reason = `${claim} waits for an unfinished restore of another backup, ${facts.target.backupId ?? 'unknown'}`;
    refusals.push(
      new HoldfastError('RESTORE_REFUSED', { reason, fix: 'Finish that restore first, or delete the claim.' }),
    );
  } else if (facts.target && !facts.target.restoreId) {
    refusals.push(new HoldfastError('TARGET_EXISTS', { claim }));
  }
  return refusals;
}

function otherPlan(target: RestorePlan['target']): HoldfastError {
  return new HoldfastError('RESTORE_REFUSED', {
    reason: `an unfinished restore of this backup to ${target.namespace}/${target.name} was planned otherwise (class, size, zone or access modes)`,
    fix: 'Run it again with the same options to finish it, or give it up with --abandon.',
  });
}

interface Parts {
  readonly restoreId: string;
  readonly target: RestorePlan['target'];
  readonly source: DataSource;
  readonly storageClass: ClassPlan;
  readonly size: SizePlan;
  readonly place: PlacePlan;
  readonly room: RoomPlan;
}

function assemble(request: RestoreRequest, recipe: Recipe, parts: Parts): RestorePlan {
  const { backup, facts, wishes } = request;
  const { restoreId, target, source, storageClass, size, place } = parts;
  const accessModes = wishes.accessModes ?? (recipe.accessModes.length > 0 ? recipe.accessModes : ['ReadWriteOnce']);
  const attributes = planAttributes(recipe, facts, storageClass);
  const { claim, kept, dropped } = translateClaim(recipe, {
    ...target,
    storageClass: storageClass.name,
    sizeBytes: size.bytes,
    accessModes,
    attributesClass: attributes.name,
  });
  const marks = { [restoreLabel]: restoreId };
  return {
    restoreId,
    backup,
    subfolder: backup.contentFolder,
    target,
    createsNamespace: facts.namespace === 'missing',
    resumes: facts.unfinished !== null || facts.target !== null,
    ...{ source, storageClass, place, size },
    reclaimPolicy: planReclaim(recipe, wishes, storageClass),
    claim: withMarks(claim, marks, { [backupMark]: backup.id, [originMark]: backup.id }),
    temporaryClaim: temporaryClaim(claim, parts, accessModes, backup.id),
    classCopy: place.force === 'class' ? copyOfClass(storageClass, place, restoreId) : null,
    kept,
    dropped,
    warnings: [
      ...place.warnings,
      ...attributes.warnings,
      ...warningsOf(recipe, storageClass),
      ...parts.room.warnings,
      ...(source.kind === 'snapshot' ? source.warnings : []),
    ],
  };
}

function withMarks(claim: NewClaim, labels: Record<string, string>, annotations: Record<string, string>): NewClaim {
  const { metadata } = claim;
  return {
    ...claim,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, ...labels },
      annotations: { ...metadata.annotations, ...annotations },
    },
  };
}

/** Like the target, but with a name and marks of our own, and one that a mover can write into. */
function temporaryClaim(claim: NewClaim, parts: Parts, accessModes: readonly string[], backupId: string): NewClaim {
  const { restoreId, source, storageClass, place } = parts;
  const writable = accessModes.every((mode) => mode === 'ReadOnlyMany') ? ['ReadWriteOnce'] : accessModes;
  const name = restoreObjectName(restoreId);
  const spec = {
    ...claim.spec,
    accessModes: writable,
    storageClassName: place.force === 'class' ? name : storageClass.name,
    ...(source.kind === 'snapshot' ? { dataSource: snapshotSource(name) } : {}),
  };
  const node = source.kind === 'snapshot' ? source.node : null;
  return {
    ...claim,
    metadata: {
      name,
      namespace: claim.metadata.namespace,
      labels: { [restoreLabel]: restoreId },
      annotations: {
        ...{ [backupMark]: backupId, [planMark]: fingerprint(spec, place) },
        ...(node === null ? {} : { [SELECTED_NODE]: node }),
      },
    },
    spec,
  };
}

/** What cannot be changed any more once the volume is made. */
function fingerprint(spec: NewClaim['spec'], place: PlacePlan): string {
  const facts = [
    spec.storageClassName,
    spec.resources.requests.storage,
    spec.accessModes,
    spec.volumeMode,
    place.label,
    ...(spec.dataSource === undefined ? [] : [spec.dataSource.kind]),
  ];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/** Class fields are immutable, so another place needs another class; it lives until the restore ends (R5.6 c). */
function copyOfClass({ object }: ClassPlan, { label }: PlacePlan, restoreId: string): RecordedStorageClass {
  return {
    ...object,
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: restoreObjectName(restoreId), labels: { [restoreLabel]: restoreId } },
    allowedTopologies: label ? [{ matchLabelExpressions: [{ key: label.key, values: [...label.values] }] }] : [],
  };
}

/** The recorded policy wins over the class's; Recycle would wipe the volume and is never restored (R4.14). */
function planReclaim(recipe: Recipe, wishes: RestoreWishes, storageClass: ClassPlan): RestorePlan['reclaimPolicy'] {
  if (wishes.reclaimPolicy) return { value: wishes.reclaimPolicy, reason: 'chosen' };
  switch (recipe.reclaimPolicy) {
    case 'Delete':
    case 'Retain':
      return { value: recipe.reclaimPolicy, reason: 'as recorded' };
    case 'Recycle':
      return { value: 'Retain', reason: 'instead of Recycle, which would wipe the volume' };
    default: {
      const value = storageClass.object.reclaimPolicy === 'Retain' ? 'Retain' : 'Delete';
      return { value, reason: `as the class ${storageClass.name} says; none was recorded` };
    }
  }
}

function planAttributes(
  recipe: Recipe,
  facts: ClusterFacts,
  storageClass: ClassPlan,
): { name: string | null; warnings: string[] } {
  const name = recipe.claim.spec.volumeAttributesClassName;
  if (!name) return { name: null, warnings: [] };
  const found = facts.attributesClasses.find((one) => one.name === name);
  if (found?.driver === storageClass.provisioner) return { name, warnings: [] };
  const why = found ? `belongs to the driver ${found.driver}` : 'is not in this cluster';
  return { name: null, warnings: [`volumeAttributesClassName ${name} is left out: it ${why}`] };
}

function warningsOf(recipe: Recipe, storageClass: ClassPlan): string[] {
  const warnings = recipe.unread.map(
    (what) => `the recipe has no ${what}: it could not be read when the backup was made`,
  );
  const driver = recipe.volume?.spec.csi?.driver;
  if (driver && driver !== storageClass.provisioner) {
    warnings.push(`the volume was made by ${driver}, the new one is made by ${storageClass.provisioner}`);
  }
  if (recipe.resizeInfeasible) warnings.push('the recorded claim had asked for a size that the storage refused');
  return warnings;
}

function collect<T>(planned: T | HoldfastError, refusals: HoldfastError[]): T | undefined {
  if (!(planned instanceof HoldfastError)) return planned;
  refusals.push(planned);
  return undefined;
}
