/**
 * The policy file: one or more YAML documents, each a Repository or a BackupPolicy. Nothing is guessed: a key that is
 * not known is refused with its line, since a misspelt rule would otherwise silently protect nothing.
 */
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { parseDuration } from '../base/units.ts';
import { parseSpan } from './calendar-span.ts';

const name = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'is no name of a Kubernetes object');
const metadata = z.strictObject({ name, namespace: name });
const apiVersion = z.literal('holdfast.dev/v1alpha1');
const labels = z.record(z.string(), z.string());

const repositorySchema = z.strictObject({
  apiVersion,
  kind: z.literal('Repository'),
  metadata,
  spec: z.strictObject({
    /** Object storage: movers reach it from inside the cluster. */
    url: z.string().startsWith('s3:', 'has to be on object storage (s3:…), where movers reach it'),
    /** Secret in the same namespace with AWS_… and HOLDFAST_PASSWORD. */
    secretName: name,
  }),
});

const count = z.number().int().min(-1);
const span = checkedText(problemWith(parseSpan));
const duration = checkedText(problemWith(parseDuration));

/** Names and meaning of restic's rules; -1 is without limit. */
const retentionSchema = z
  .strictObject({
    keepLast: count.optional(),
    keepHourly: count.optional(),
    keepDaily: count.optional(),
    keepWeekly: count.optional(),
    keepMonthly: count.optional(),
    keepYearly: count.optional(),
    keepWithin: span.optional(),
    /** Nothing younger is removed. */
    minimumAge: duration.optional(),
    /** So many of the newest complete backups stay whatever the rules say; never less than 1. */
    minimumCount: z.number().int().min(1).optional(),
  })
  .refine((rules) => Object.keys(rules).some((key) => key.startsWith('keep')), 'has no keep… rule');

const policySchema = z.strictObject({
  apiVersion,
  kind: z.literal('BackupPolicy'),
  /** Short: CronJobs, Jobs and labels get longer names made of it. */
  metadata: z.strictObject({ name: name.max(43), namespace: name }),
  spec: z.strictObject({
    schedule: z
      .strictObject({
        cron: checkedText(cronProblem),
        timeZone: checkedText(zoneProblem).optional(),
        suspend: z.boolean().optional(),
      })
      .optional(),
    select: z.strictObject({
      /** All labels have to match; no labels are all claims of the namespace. */
      claims: z.strictObject({ matchLabels: labels }),
    }),
    repository: z.strictObject({ name }),
    retention: retentionSchema.optional(),
    snapshots: z.strictObject({ class: name.optional() }).optional(),
    /** In whose shape backups are made. Not VolSync's: it has a repository for each claim. */
    layout: z.enum(['auto', 'holdfast', 'k8up', 'velero']).optional(),
  }),
});

export type BackupPolicy = z.infer<typeof policySchema>;
export type RepositoryDocument = z.infer<typeof repositorySchema>;
export type RetentionRules = z.infer<typeof retentionSchema>;

export interface PolicyFile {
  /** Each with the repository that it names. */
  readonly policies: readonly { readonly policy: BackupPolicy; readonly repository: RepositoryDocument }[];
}

/** Throws POLICY_INVALID with the source, the line and the key. */
export function parsePolicyFile(text: string, source: string): PolicyFile {
  const lines = new LineCounter();
  const policies: { policy: BackupPolicy; line: number }[] = [];
  const repositories: RepositoryDocument[] = [];
  for (const document of parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true })) {
    if (!('contents' in document) || document.contents === null) continue;
    const [error] = document.errors;
    if (error !== undefined) throw invalid(source, error.linePos?.[0].line ?? 1, error.message.split('\n')[0] ?? '');
    const lineOf = (path: readonly PropertyKey[]) => lines.linePos(offsetOf(document, path)).line;
    const found = read(valuesOf(document, source, lineOf([])), source, lineOf);
    if (found.kind === 'Repository') repositories.push(found);
    else policies.push({ policy: found, line: lineOf(['spec', 'repository']) });
  }
  if (policies.length === 0) throw invalid(source, 1, 'there is no BackupPolicy in it');
  return {
    policies: policies.map(({ policy, line }) => ({
      policy,
      repository: findRepository(policy) ?? missing(policy, line),
    })),
  };

  function findRepository(policy: BackupPolicy): RepositoryDocument | undefined {
    return repositories.find(
      ({ metadata }) =>
        metadata.name === policy.spec.repository.name && metadata.namespace === policy.metadata.namespace,
    );
  }

  function missing(policy: BackupPolicy, line: number): never {
    const { namespace } = policy.metadata;
    throw invalid(source, line, `there is no Repository ${namespace}/${policy.spec.repository.name} in this file`);
  }
}

/** The policy of that name (`name` or `namespace/name`), or the only one. Throws POLICY_INVALID. */
export function findPolicy(
  file: PolicyFile,
  wanted: string | undefined,
  source: string,
): PolicyFile['policies'][number] {
  const named = ({ policy }: { policy: BackupPolicy }) =>
    wanted === policy.metadata.name || wanted === `${policy.metadata.namespace}/${policy.metadata.name}`;
  const found = wanted === undefined ? file.policies : file.policies.filter(named);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const names = file.policies.map(({ policy }) => `${policy.metadata.namespace}/${policy.metadata.name}`).join(', ');
  const problem =
    wanted === undefined
      ? `it has ${found.length} policies; name one of: ${names}`
      : `${wanted} is not one of: ${names}`;
  throw new HoldfastError('POLICY_INVALID', { source, problem });
}

function read(
  content: unknown,
  source: string,
  lineOf: (path: readonly PropertyKey[]) => number,
): BackupPolicy | RepositoryDocument {
  const kind = z.looseObject({ kind: z.string() }).safeParse(content);
  const schemas = { Repository: repositorySchema, BackupPolicy: policySchema };
  if (!kind.success || !isKnownKind(kind.data.kind)) {
    throw invalid(source, lineOf(['kind']), 'kind has to be BackupPolicy or Repository');
  }
  const parsed = schemas[kind.data.kind].safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const extra = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const path = [...(issue?.path ?? []), ...extra];
  const at = path.map(String).join('.') || 'the document';
  const problem = extra.length > 0 ? `${at} is not a field that is known` : `${at}: ${issue?.message ?? 'is wrong'}`;
  throw invalid(source, lineOf(path), problem);
}

function isKnownKind(kind: string): kind is 'Repository' | 'BackupPolicy' {
  return kind === 'Repository' || kind === 'BackupPolicy';
}

/** Where the value under a path, or the nearest thing above it that is there, begins in the text. */
function offsetOf(document: ReturnType<typeof parseAllDocuments>[number], path: readonly PropertyKey[]): number {
  if (!('getIn' in document)) return 0;
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    const range: unknown = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
    if (Array.isArray(range) && typeof range[0] === 'number') return range[0];
  }
  return document.range?.[0] ?? 0;
}

/** Aliases are only followed here: one may name no anchor, or unfold without end. */
function valuesOf(document: Document, source: string, line: number): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(source, line, messageOf(error));
  }
}

function invalid(source: string, line: number, problem: string): HoldfastError {
  return new HoldfastError('POLICY_INVALID', { source: `${source}:${line}`, problem, line });
}

type FindProblem = (text: string) => string | undefined;

function checkedText(findProblem: FindProblem) {
  return z.string().superRefine((text, context) => {
    const message = findProblem(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

function problemWith(parse: (text: string) => unknown): FindProblem {
  return (text) => {
    try {
      parse(text);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
}

/** Five fields or a macro, as a CronJob takes it; the zone has a field of its own there. */
function cronProblem(text: string): string | undefined {
  const field = /^[\d*,/?LW#A-Za-z-]+$/;
  const parts = text.trim().split(/\s+/);
  const macro = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/.test(text);
  if (macro || (parts.length === 5 && parts.every((part) => field.test(part)))) return undefined;
  return `"${text}" is no cron expression of five fields`;
}

function zoneProblem(text: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return undefined;
  } catch {
    return `"${text}" is no time zone such as Europe/Berlin`;
  }
}
