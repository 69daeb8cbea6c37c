/**
 * Names and marks of a restore in flight. All names follow from the backup and the target, so that the same restore
 * started again finds what an earlier one left; all state is on the objects themselves.
 */
import { createHash } from 'node:crypto';
import { restoreMarkPrefix } from '../manifest/translate.ts';

/** Label on everything that a restore makes: its id. On the target claim until the restore has ended. */
export const restoreLabel = `${restoreMarkPrefix}id`;
/** Annotation: full id of the backup. */
export const backupMark = `${restoreMarkPrefix}backup`;
/** Annotation of the temporary claim: fingerprint of the plan that it was made for. */
export const planMark = `${restoreMarkPrefix}plan`;
/** Annotation of a volume held at Retain: the policy it gets in the end. */
export const policyMark = `${restoreMarkPrefix}reclaim-policy`;
/** Annotation of the target claim: which volume holds the whole data, and how much (JSON). */
export const filledMark = `${restoreMarkPrefix}filled`;
/** Annotation that stays on a restored claim: the backup it came from. */
export const originMark = `${restoreMarkPrefix}restored-from`;
/** Annotation without meaning, changed to make the binder look at a claim at once. */
export const touchMark = `${restoreMarkPrefix}touched`;

/** 12 hex digits. */
export function restoreIdOf(backupId: string, namespace: string, name: string): string {
  return createHash('sha256').update(`${backupId}\n${namespace}\n${name}`).digest('hex').slice(0, 12);
}

/** Name of the temporary claim, the mover and the copy of a class. */
export function restoreObjectName(restoreId: string): string {
  return `holdfast-restore-${restoreId}`;
}
