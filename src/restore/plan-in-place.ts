/**
 * The plan of a restore into a claim that exists: its volume stays, its content becomes that of the backup. Pure.
 * The pods are scaled away meanwhile (R8.3), and a CSI snapshot of what was there is made first and kept.
 */
import { HoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { Recipe } from '../manifest/recipe.ts';
import type { BackupFacts } from './facts.ts';
import { restoreIdOf } from './marks.ts';
import { leastSizeOf } from './plan-size.ts';

export interface InPlaceWishes {
  readonly namespace?: string;
  readonly name?: string;
  /** Remove what is not in the backup. */
  readonly deleteOthers: boolean;
  readonly noSafetySnapshot: boolean;
  readonly allowIncomplete: boolean;
}

/** A StatefulSet or Deployment whose pods use the claim, or that an earlier run of this restore has scaled away. */
export interface ConsumerFacts {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly replicas: number;
  /** Why it cannot be scaled away; null where it can. */
  readonly obstacle: string | null;
  /** The restore that has scaled it away. */
  readonly heldBy: string | null;
}

export interface InPlaceFacts {
  readonly claim: {
    readonly uid: string;
    readonly phase: string;
    readonly volumeMode: string;
    readonly capacityBytes: number;
    /** A restore into a new claim that has not ended. */
    readonly restoreId: string | null;
    /** A restore in place that has not ended; its safety snapshot is there, where one was wished, once it is filling. */
    readonly begun: { readonly restoreId: string; readonly snapshot: string | null; readonly filling: boolean } | null;
  } | null;
  readonly consumers: readonly ConsumerFacts[];
  /** Pods that use the claim and that nothing can scale away, each with why. */
  readonly otherPods: readonly string[];
  /** The class that the safety snapshot is made of, or why there is none. */
  readonly snapshotClass: string | HoldfastError;
}

export interface InPlacePlan {
  readonly restoreId: string;
  readonly backup: BackupFacts;
  readonly subfolder: string;
  readonly target: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly deleteOthers: boolean;
  readonly consumers: readonly ConsumerFacts[];
  /** Class of the safety snapshot; null where none is wished. */
  readonly snapshotClass: string | null;
  readonly resumes: boolean;
  readonly warnings: readonly string[];
}

export interface InPlaceRequest {
  readonly backup: BackupFacts;
  readonly recipe: Recipe;
  readonly target: { readonly namespace: string; readonly name: string };
  readonly facts: InPlaceFacts;
  readonly wishes: InPlaceWishes;
}

export type InPlacePlanning =
  | { readonly plan: InPlacePlan; readonly refusals: readonly [] }
  | { readonly plan: null; readonly refusals: readonly HoldfastError[] };

export function planInPlace(request: InPlaceRequest): InPlacePlanning {
  const { backup, recipe, facts, target, wishes } = request;
  const restoreId = restoreIdOf(backup.id, target.namespace, target.name);
  const refusals = [
    ...refusalsOfBackup(request),
    ...refusalsOfClaim(request, restoreId),
    ...refusalsOfUse(request, restoreId),
  ];
  // One that fills already has its snapshot, or does without: what is there now is not worth one.
  const needsSnapshot = !wishes.noSafetySnapshot && facts.claim?.begun?.filling !== true;
  if (needsSnapshot && facts.snapshotClass instanceof HoldfastError) {
    const { message } = facts.snapshotClass;
    refusals.push(
      new HoldfastError('SAFETY_SNAPSHOT_IMPOSSIBLE', { claim: nameOf(target), reason: message.replace(/\.$/, '') }),
    );
  }
  if (facts.claim === null || refusals.length > 0) return { plan: null, refusals };
  const isWished = !wishes.noSafetySnapshot && typeof facts.snapshotClass === 'string';
  return {
    refusals: [],
    plan: {
      restoreId,
      backup,
      subfolder: backup.contentFolder,
      target: { ...target, uid: facts.claim.uid },
      volumeMode: recipe.volumeMode,
      deleteOthers: wishes.deleteOthers,
      consumers: facts.consumers,
      snapshotClass: isWished ? String(facts.snapshotClass) : null,
      resumes: facts.claim.begun !== null,
      warnings: warningsOf(request),
    },
  };
}

function refusalsOfBackup({ backup, wishes }: InPlaceRequest): HoldfastError[] {
  const refusals: HoldfastError[] = [];
  if (!backup.complete && !wishes.allowIncomplete) {
    refusals.push(new HoldfastError('BACKUP_NOT_COMPLETE', { backup: backup.id }));
  }
  if (backup.inStorage === true) {
    const reason = `the data of backup ${backup.id.slice(0, 8)} is a CSI snapshot, of which only a new volume can be made`;
    refusals.push(new HoldfastError('RESTORE_REFUSED', { reason, fix: 'Restore it into a new claim with --to.' }));
  }
  return refusals;
}

function refusalsOfClaim(request: InPlaceRequest, restoreId: string): HoldfastError[] {
  const { backup, recipe, facts, target } = request;
  const { claim } = facts;
  const name = nameOf(target);
  if (claim === null) return [new HoldfastError('CLAIM_NOT_FOUND', { claim: name })];
  if (claim.restoreId !== null) {
    const reason = `${name} waits for an unfinished restore into a new volume`;
    return [
      new HoldfastError('RESTORE_REFUSED', { reason, fix: 'Finish that restore first, or give it up with --abandon.' }),
    ];
  }
  const refusals: HoldfastError[] = [];
  if (claim.phase !== 'Bound')
    refusals.push(new HoldfastError('TARGET_NOT_BOUND', { claim: name, phase: claim.phase }));
  if (claim.begun !== null && claim.begun.restoreId !== restoreId) {
    refusals.push(new HoldfastError('TARGET_HALF_RESTORED', { claim: name, snapshot: claim.begun.snapshot ?? 'none' }));
  }
  if (claim.volumeMode !== recipe.volumeMode) {
    refusals.push(
      new HoldfastError('TARGET_WRONG_MODE', { claim: name, is: claim.volumeMode, needed: recipe.volumeMode }),
    );
  }
  const leastBytes = leastSizeOf(recipe, backup);
  const isRecordedSize = claim.capacityBytes >= (recipe.sizes.provisionedBytes ?? recipe.sizes.requestedBytes);
  if (claim.phase === 'Bound' && claim.capacityBytes < leastBytes && !isRecordedSize) {
    const sizes = { needed: formatSize(leastBytes), size: formatSize(claim.capacityBytes) };
    refusals.push(new HoldfastError('CLAIM_TOO_SMALL', { claim: name, ...sizes }));
  }
  return refusals;
}

function refusalsOfUse({ facts, target }: InPlaceRequest, restoreId: string): HoldfastError[] {
  const obstacles = facts.consumers.flatMap(({ obstacle, kind, name, heldBy }) =>
    heldBy !== null && heldBy !== restoreId
      ? [`${kind} ${name} is held at zero by another restore`]
      : obstacle === null || heldBy === restoreId
        ? []
        : [obstacle],
  );
  const all = [...obstacles, ...facts.otherPods];
  return all.length === 0
    ? []
    : [new HoldfastError('TARGET_IN_USE', { claim: nameOf(target), reason: all.join('; ') })];
}

function warningsOf({ recipe, target, wishes, facts }: InPlaceRequest): string[] {
  const { namespace = '', name, uid } = recipe.claim.metadata;
  const recorded = `${namespace}/${name}`;
  return [
    ...(recorded === nameOf(target) ? [] : [`the backup is of ${recorded}, not of ${nameOf(target)}`]),
    ...(recorded === nameOf(target) && uid !== facts.claim?.uid ? ['the claim was made anew since the backup'] : []),
    ...(wishes.noSafetySnapshot ? ['no snapshot of what is there is made: it cannot be had back'] : []),
    ...(wishes.deleteOthers || recipe.volumeMode === 'Block'
      ? []
      : ['files that are not in the backup stay (--delete removes them)']),
  ];
}

function nameOf({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}
