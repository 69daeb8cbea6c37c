/** Which claims `holdfast backup` means: those that are named, or those of some namespaces that fulfil conditions. */
import type { Scope } from '../backup/gather-facts.ts';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { parseLabelSelector } from '../policy/label-selector.ts';
import type { BackupPolicy } from '../policy/schema.ts';
import { selectorSchema } from '../policy/selector.ts';
import { parseClaim, type SelectionOptionValues } from './claim-options.ts';

export interface ClaimSelection {
  readonly scope: Scope;
  /** Undefined where every claim was named: whoever names one counts on its backup. */
  readonly select: BackupPolicy['spec']['select'] | undefined;
  /** The run whose failures these are. */
  readonly retryOf?: string;
}

export const noSelection: SelectionOptionValues = {
  ...{ namespace: [], allNamespaces: false, selector: undefined, optIn: false },
  ...{ storageClass: [], accessMode: [], volumeMode: [], minSize: undefined, maxSize: undefined },
};

/** Throws USAGE. */
export function readSelection(claims: readonly string[], given: SelectionOptionValues): ClaimSelection {
  const { namespace, allNamespaces, optIn } = given;
  const conditions = conditionsOf(given);
  const isConditional = Object.keys(conditions).length > 0 || optIn;
  if (allNamespaces && namespace.length > 0) throw usage('Give either --namespace or --all-namespaces, not both');
  if (claims.length > 0) {
    if (isConditional || allNamespaces)
      throw usage('Give either claims by name, or conditions on those of a namespace');
    const names = claims.map((claim) => parseClaim(claim.includes('/') ? claim : inOnly(namespace, claim)));
    return {
      scope: { claims: [...new Map(names.map((one) => [`${one.namespace}/${one.name}`, one])).values()] },
      select: undefined,
    };
  }
  if (!allNamespaces && namespace.length === 0) {
    throw usage('Say in which namespaces: give --namespace (-n) or --all-namespaces (-A)');
  }
  return {
    scope: { namespaces: allNamespaces ? 'all' : namespace },
    select: { claims: conditions, annotations: optIn ? 'OptIn' : 'OptOut' },
  };
}

function inOnly(namespaces: readonly string[], claim: string): string {
  const [namespace, ...others] = namespaces;
  if (namespace !== undefined && others.length === 0) return `${namespace}/${claim}`;
  throw usage(`"${claim}" is a claim of which namespace? Write NAMESPACE/${claim}, or give one --namespace`);
}

function conditionsOf(given: SelectionOptionValues): BackupPolicy['spec']['select']['claims'] {
  const wanted = {
    matchExpressions: given.selector === undefined ? [] : labelsOf(given.selector),
    storageClasses: given.storageClass,
    accessModes: given.accessMode,
    volumeModes: given.volumeMode,
    minSize: given.minSize,
    maxSize: given.maxSize,
  };
  const known = Object.entries(wanted).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined,
  );
  const parsed = selectorSchema.safeParse(Object.fromEntries(known));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0] ?? '');
  throw usage(`${flagOf[name] ?? name}: ${issue?.message ?? 'cannot be understood'}`);
}

/** What the fields of a policy's selector are called on the command line. */
const flagOf: Readonly<Record<string, string>> = {
  matchExpressions: '--selector',
  storageClasses: '--storage-class',
  accessModes: '--access-mode',
  volumeModes: '--volume-mode',
  minSize: '--min-size',
  maxSize: '--max-size',
};

function labelsOf(text: string) {
  try {
    return parseLabelSelector(text);
  } catch (error) {
    throw usage(`--selector: ${messageOf(error)}`);
  }
}

function usage(problem: string): HoldfastError {
  return new HoldfastError('USAGE', { problem });
}
