/**
 * Names and marks of a restore in flight. All names follow from the backup and the target, so that the same restore
 * started again finds what an earlier one left; all state is on the objects themselves.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KubeObject } from '../cluster/object.ts';
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

/** Annotation of a claim whose content is being replaced: which restore, its safety snapshot, and how far it is (JSON). */
export const inPlaceMark = `${restoreMarkPrefix}in-place`;
/** Annotation of a workload that a restore holds at zero: what it had (JSON). */
export const heldMark = `${restoreMarkPrefix}held-at-zero`;
/** Label of a snapshot of what was in a claim before a restore: the restore's id. It stays. */
export const safetyLabel = `${restoreMarkPrefix}before`;

const begunSchema = z.object({
  restoreId: z.string(),
  /** Null where none was wished. */
  snapshot: z.string().nullable(),
  /** From here on the volume holds neither the old data nor the new. */
  filling: z.boolean(),
  /** What was written, once that is all: from here on the pods may write again, and nothing is overwritten any more. */
  written: z.object({ files: z.number(), bytes: z.number(), deleted: z.number() }).nullable(),
});
/** A restore in place that has not ended, as its claim tells. */
export type Begun = z.infer<typeof begunSchema>;

export function begunOf(claim: KubeObject): Begun | undefined {
  const mark = claim.metadata.annotations?.[inPlaceMark];
  return mark === undefined ? undefined : begunSchema.safeParse(JSON.parse(mark)).data;
}
