/** Whether a policy backs up a claim, and how; with the reason, since what is left out has to be explained. Pure. */
import type { BackupPolicy, MethodWish } from './schema.ts';
import { type SelectableClaim, whyNotSelected } from './selector.ts';

/** On a claim: "false" keeps it out of every policy, "true" lets it into those that ask for it. */
export const BACKUP_MARK = 'holdfast.dev/backup';

export type Coverage =
  | { readonly kind: 'covered'; readonly method: MethodWish; readonly reason: string }
  /** Somebody said that it is not to be backed up. */
  | { readonly kind: 'opted-out'; readonly reason: string }
  /** No rule speaks of it. */
  | { readonly kind: 'uncovered'; readonly reason: string }
  /** What it says of itself cannot be understood: neither backing it up nor leaving it out would be right. */
  | { readonly kind: 'unclear'; readonly reason: string };

/** What of a policy selects. */
export type SelectionRules = Pick<BackupPolicy['spec'], 'select' | 'method' | 'methods'>;

export function coverageOf({ spec }: { readonly spec: SelectionRules }, claim: SelectableClaim): Coverage {
  const mark = claim.annotations[BACKUP_MARK];
  if (mark === 'false') return { kind: 'opted-out', reason: `its annotation ${BACKUP_MARK} is "false"` };
  const mismatch = whyNotSelected(spec.select.claims, claim);
  if (mismatch !== undefined) return { kind: 'uncovered', reason: mismatch };
  if (mark !== undefined && mark !== 'true') {
    return { kind: 'unclear', reason: `its annotation ${BACKUP_MARK} is "${mark}", expected is "true" or "false"` };
  }
  if (spec.select.annotations === 'OptIn' && mark !== 'true') {
    return { kind: 'uncovered', reason: `it has no annotation ${BACKUP_MARK}: "true", which this policy asks for` };
  }
  return { kind: 'covered', ...methodOf(spec, claim) };
}

function methodOf(spec: SelectionRules, claim: SelectableClaim): { method: MethodWish; reason: string } {
  const rules = spec.methods ?? [];
  const at = rules.findIndex(({ claims }) => whyNotSelected(claims, claim) === undefined);
  const rule = rules[at];
  if (rule !== undefined) return { method: rule.method, reason: `rule ${at + 1} of spec.methods` };
  if (spec.method !== undefined) return { method: spec.method, reason: 'spec.method' };
  return { method: 'auto', reason: 'no rule says otherwise' };
}
