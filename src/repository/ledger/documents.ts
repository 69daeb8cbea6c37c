/**
 * What records say: JSON documents, versioned as `schema: "MAJOR.MINOR"`. Every older version is read, and every newer
 * minor one (fields that are not known are passed over). docs/ledger.md describes every field.
 */
import { z } from 'zod';
import { version } from '../../base/version.ts';

export const recordSchemaVersion = '1.0';
export const recordFileName = 'record.json';

const id = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const header = {
  apiVersion: z.literal('holdfast.dev/v1alpha1'),
  schema: z.string().regex(/^\d+\.\d+$/),
  /** RFC 3339, UTC. */
  recordedAt: z.string(),
  tool: z.object({ name: z.string(), version: z.string() }),
};

const shrunkenSchema = z.object({
  /** Of the backup before, which it is compared with. */
  fromBytes: count,
  toBytes: count,
  /** So many earlier backups of the claim were held for it. */
  held: count,
});

const backedUpSchema = z.object({
  claim: z.string(),
  status: z.enum(['done', 'incomplete']),
  backupId: id,
  claimUid: z.string(),
  method: z.string(),
  methodReason: z.string(),
  /** `application`, `crash` or `live`, as in the recipe. */
  consistency: z.string(),
  /** RFC 3339: when the data was cut, or when it began to be read. */
  cutTime: z.string(),
  /** The group that it was cut with, and how far the cuts of its claims lie apart, as its recipe tells. */
  group: z.object({ name: z.string(), way: z.string(), skewMs: count, windowMs: count }).optional(),
  /** What was done around its cut, and whether that went well and held; its recipe tells more. */
  hooks: z.array(z.object({ hook: count, target: z.string(), ok: z.boolean() })).optional(),
  /** Absent where only the repository could tell that the backup is there. */
  files: count.optional(),
  bytes: count.optional(),
  bytesAdded: count.optional(),
  bytesStored: count.optional(),
  /** How many files could not be read, and the first of them. */
  errorCount: count,
  errors: z.array(z.object({ path: z.string(), message: z.string() })),
  durationMs: count,
  warnings: z.array(z.string()),
  shrunken: shrunkenSchema.optional(),
});

const leftSchema = z.object({
  claim: z.string(),
  /** `uncovered`: no rule speaks of it. */
  status: z.enum(['skipped', 'failed', 'uncovered']),
  code: z.string(),
  message: z.string(),
});

const claimSchema = z.discriminatedUnion('status', [backedUpSchema, leftSchema]);
export type RecordedClaim = z.infer<typeof claimSchema>;

export const runSchema = z.object({
  kind: z.literal('RunRecord'),
  ...header,
  run: z.string(),
  /** The run whose failures it tried again. */
  retryOf: z.string().optional(),
  cluster: z.object({ uid: z.string(), name: z.string() }),
  /** Null for a run over claims that were named or selected on the command line. */
  policy: z.object({ namespace: z.string(), name: z.string() }).nullable(),
  startedAt: z.string(),
  endedAt: z.string(),
  /** `interrupted` by a signal: the claims that it did not get to are among the failed ones. */
  ended: z.enum(['finished', 'interrupted']),
  claims: z.array(claimSchema),
});
export type RunRecord = z.infer<typeof runSchema>;

export const holdSchema = z.object({
  kind: z.literal('Hold'),
  ...header,
  /** None of them is removed by any rule, until it is released. */
  backups: z.array(id).min(1),
  /** namespace/name, where it is about a claim. */
  claim: z.string().optional(),
  reason: z.string(),
  by: z.enum(['user', 'shrunken']),
  /** The backup that was suddenly so small. */
  cause: id.optional(),
});
export type Hold = z.infer<typeof holdSchema>;

export const releaseSchema = z.object({
  kind: z.literal('Release'),
  ...header,
  /** These records hold these backups no more. */
  holds: z.array(id).min(1),
  backups: z.array(id).min(1),
  reason: z.string().optional(),
});
export type Release = z.infer<typeof releaseSchema>;

export const adoptionSchema = z.object({
  kind: z.literal('ClusterAdoption'),
  ...header,
  /** UIDs of clusters: the backups of `from` are from now on those of `to`. */
  from: z.string(),
  to: z.string(),
});
export type Adoption = z.infer<typeof adoptionSchema>;

export const recordSchema = z.discriminatedUnion('kind', [runSchema, holdSchema, releaseSchema, adoptionSchema]);
export type LedgerDocument = z.infer<typeof recordSchema>;
export type RecordKind = LedgerDocument['kind'];

type Header = 'apiVersion' | 'schema' | 'recordedAt' | 'tool';
type WithoutHeader<D> = D extends unknown ? Omit<D, Header> : never;
/** What the caller says; the header is the same for all. */
export type RecordContent = WithoutHeader<LedgerDocument>;

/** UTF-8 JSON, indented, ending in a line break. */
export function encodeRecord(content: RecordContent, nowMs: number): Buffer {
  const document = recordSchema.parse({
    apiVersion: 'holdfast.dev/v1alpha1',
    schema: recordSchemaVersion,
    recordedAt: new Date(nowMs).toISOString(),
    tool: { name: 'holdfast', version },
    ...content,
  });
  return Buffer.from(`${JSON.stringify(document, null, 2)}\n`);
}

/** Throws an Error that says what is wrong: no JSON, a newer major version, a field of another form. */
export function parseRecord(bytes: Uint8Array): LedgerDocument {
  const json: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const { schema } = parseBy(z.object({ schema: header.schema }), json);
  const known = majorOf(recordSchemaVersion);
  if (majorOf(schema) > known) throw new Error(`it has version ${schema}, this program reads up to ${known}.x`);
  return parseBy(recordSchema, json);
}

function majorOf(schema: string): number {
  return Number(schema.split('.')[0]);
}

function parseBy<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'its form is not known'}`);
}
