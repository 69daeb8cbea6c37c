/**
 * Which claims a rule speaks of. Every condition that is given has to hold; a rule without conditions speaks of all.
 * Pure; the words say why a claim is not meant, since what is not backed up has to be explained.
 */
import { z } from 'zod';
import { parseQuantity } from '../base/quantity.ts';
import { formatSize } from '../base/units.ts';
import { labelKey, labelValue, namePattern, objectName, quantity } from './values.ts';

const accessMode = z.enum(['ReadWriteOnce', 'ReadWriteOncePod', 'ReadOnlyMany', 'ReadWriteMany']);

const expressionSchema = z
  .strictObject({
    key: labelKey,
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(labelValue).optional(),
  })
  .superRefine(({ operator, values = [] }, context) => {
    const takesValues = operator === 'In' || operator === 'NotIn';
    if (takesValues && values.length === 0) add(context, 'values', `${operator} needs at least one value`);
    if (!takesValues && values.length > 0) add(context, 'values', `${operator} takes no values`);
  });

export const selectorSchema = z
  .strictObject({
    names: z.array(namePattern).min(1).optional(),
    exceptNames: z.array(namePattern).min(1).optional(),
    matchLabels: z.record(labelKey, labelValue).optional(),
    matchExpressions: z.array(expressionSchema).min(1).optional(),
    storageClasses: z.array(objectName).min(1).optional(),
    accessModes: z.array(accessMode).min(1).optional(),
    volumeModes: z
      .array(z.enum(['Filesystem', 'Block']))
      .min(1)
      .optional(),
    minSize: quantity.optional(),
    maxSize: quantity.optional(),
  })
  .superRefine(({ minSize, maxSize }, context) => {
    const [min = 0, max = Number.POSITIVE_INFINITY] = [bytesOf(minSize), bytesOf(maxSize)];
    if (min > max) add(context, 'maxSize', `is smaller than minSize (${minSize}), so that no claim can match`);
  });
export type ClaimSelector = z.infer<typeof selectorSchema>;

/** What selection knows of a claim. */
export interface SelectableClaim {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** undefined: none, bound by hand. */
  readonly storageClass: string | undefined;
  readonly accessModes: readonly string[];
  readonly volumeMode: 'Filesystem' | 'Block';
  /** What the volume has, or where there is none yet what the claim asks for. */
  readonly sizeBytes: number;
}

/** The first condition that does not hold, in words; undefined where the claim is meant. */
export function whyNotSelected(selector: ClaimSelector, claim: SelectableClaim): string | undefined {
  return (
    nameMismatch(selector, claim) ??
    labelMismatch(selector, claim) ??
    listMismatch('storage class', selector.storageClasses, [claim.storageClass ?? 'none']) ??
    listMismatch('access mode', selector.accessModes, claim.accessModes) ??
    listMismatch('volume mode', selector.volumeModes, [claim.volumeMode]) ??
    sizeMismatch(selector, claim)
  );
}

function nameMismatch({ names, exceptNames }: ClaimSelector, { name }: SelectableClaim): string | undefined {
  if (names !== undefined && !names.some((pattern) => fits(pattern, name)))
    return `its name is none of ${names.join(', ')}`;
  const except = exceptNames?.find((pattern) => fits(pattern, name));
  return except === undefined ? undefined : `its name is excepted by ${except}`;
}

function fits(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll('.', '\\.'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

function labelMismatch(selector: ClaimSelector, { labels }: SelectableClaim): string | undefined {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (labels[key] !== value) return `its label ${key} is ${described(labels[key])}, not ${value}`;
  }
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const own = labels[key];
    const holds = {
      In: own !== undefined && values.includes(own),
      // As in Kubernetes, a label that is not there is not in any list.
      NotIn: own === undefined || !values.includes(own),
      Exists: own !== undefined,
      DoesNotExist: own === undefined,
    }[operator];
    const wanted = values.length === 0 ? operator : `${operator} ${values.join(', ')}`;
    if (!holds) return `its label ${key} is ${described(own)}, wanted is ${wanted}`;
  }
  return undefined;
}

function described(value: string | undefined): string {
  return value === undefined ? 'not there' : value || '""';
}

function listMismatch(
  what: string,
  wanted: readonly string[] | undefined,
  found: readonly string[],
): string | undefined {
  if (wanted === undefined || found.some((one) => wanted.includes(one))) return undefined;
  return `its ${what} is ${found.join(', ') || 'not set'}, not ${wanted.join(' or ')}`;
}

function sizeMismatch({ minSize, maxSize }: ClaimSelector, { sizeBytes }: SelectableClaim): string | undefined {
  const [min = 0, max = Number.POSITIVE_INFINITY] = [bytesOf(minSize), bytesOf(maxSize)];
  if (sizeBytes < min) return `its size ${formatSize(sizeBytes)} is below minSize ${minSize}`;
  if (sizeBytes > max) return `its size ${formatSize(sizeBytes)} is above maxSize ${maxSize}`;
  return undefined;
}

function bytesOf(given: string | number | undefined): number | undefined {
  return given === undefined ? undefined : parseQuantity(given);
}

function add(context: z.RefinementCtx, key: string, message: string): void {
  context.addIssue({ code: 'custom', path: [key], message });
}
