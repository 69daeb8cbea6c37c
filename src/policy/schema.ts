/**
 * What a policy file may hold: Repository and BackupPolicy. Nothing is guessed: a key that is not known is refused,
 * since a misspelt rule would otherwise silently protect nothing. docs/policy.md lists every field.
 */
import { z } from 'zod';
import { hookSchema } from './hooks-schema.ts';
import { selectorSchema } from './selector.ts';
import { cron, deadline, duration, labelKey, labelValue, objectName, positiveCount, span, timeZone } from './values.ts';

const name = objectName.max(63);
const metadata = z.strictObject({ name, namespace: name });
const apiVersion = z.literal('holdfast.dev/v1alpha1');

export const repositorySchema = z.strictObject({
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
    minimumCount: positiveCount.optional(),
  })
  .refine((rules) => Object.keys(rules).some((key) => key.startsWith('keep')), 'has no keep… rule');

/** `auto`: by snapshot where the driver can, else by a copy of the volume in use; see docs/policy.md. */
export const methodSchema = z.enum(['auto', 'Snapshot', 'SnapshotMove', 'FileCopy', 'ExecStream']);
export type MethodWish = z.infer<typeof methodSchema>;

const needsFiles: readonly MethodWish[] = ['FileCopy', 'ExecStream'];
const methodRule = z
  .strictObject({ claims: selectorSchema, method: methodSchema })
  .refine(({ claims, method }) => !needsFiles.includes(method) || !onlyBlock(claims.volumeModes), {
    path: ['method'],
    message: 'FileCopy and ExecStream cannot copy the raw block volumes that this rule speaks of',
  });

function onlyBlock(modes: readonly string[] | undefined): boolean {
  return modes?.every((mode) => mode === 'Block') === true;
}

/** Claims with the same value of a label belong together. */
const groupSchema = z.strictObject({
  byLabel: labelKey,
  /** VolumeGroupSnapshotClass. */
  class: name.optional(),
  /** Where there is no single instant, claims of these pods are cut after all others: controllers of a quorum. */
  last: z
    .strictObject({
      matchLabels: z.record(labelKey, labelValue).refine((labels) => Object.keys(labels).length > 0, 'names no label'),
    })
    .optional(),
});

const quantities = z.record(z.string(), z.string());

export const policySchema = z.strictObject({
  apiVersion,
  kind: z.literal('BackupPolicy'),
  /** Short: CronJobs, Jobs and labels get longer names made of it. */
  metadata: z.strictObject({ name: name.max(43), namespace: name }),
  spec: z.strictObject({
    schedule: z.strictObject({ cron, timeZone: timeZone.optional(), suspend: z.boolean().optional() }).optional(),
    select: z.strictObject({
      /** All conditions have to hold; none are all claims of the namespace. */
      claims: selectorSchema,
      /** Whether claims have to say holdfast.dev/backup: "true" to be backed up, or "false" not to be. */
      annotations: z.enum(['OptOut', 'OptIn']).optional(),
    }),
    repository: z.strictObject({ name }),
    method: methodSchema.optional(),
    /** The first rule that speaks of a claim decides; `method` is for all others. */
    methods: z.array(methodRule).min(1).optional(),
    snapshots: z
      .strictObject({
        class: name.optional(),
        /** So many of the newest CSI snapshots of each claim stay beside the repository, for a fast restore. */
        keepLast: positiveCount.optional(),
        /** VolumeSnapshotClass by storage class. */
        classes: z.record(objectName, objectName).optional(),
        /** By storage class, whether its snapshots can be read through a read-only claim. */
        readOnlyCopies: z.record(objectName, z.boolean()).optional(),
      })
      .optional(),
    /** Claims that are cut together. */
    group: groupSchema.optional(),
    /** In this order before a cut, in the opposite order after it. */
    hooks: z.array(hookSchema).min(1).optional(),
    retention: retentionSchema.optional(),
    limits: z
      .strictObject({
        claims: positiveCount.optional(),
        perNode: positiveCount.optional(),
        perStorageClass: positiveCount.optional(),
        perDriver: positiveCount.optional(),
        retries: z.number().int().min(0).max(10).optional(),
        liveMountMax: deadline.optional(),
        cut: deadline.optional(),
        ready: deadline.optional(),
        queue: deadline.optional(),
        start: deadline.optional(),
        stalled: deadline.optional(),
        move: deadline.optional(),
      })
      .optional(),
    mover: z
      .strictObject({
        /** `own`: movers of snapshots run in Holdfast's namespace, and the credentials stay there. */
        namespace: z.enum(['claim', 'own']).optional(),
        /** Secret in the claims' namespace, for movers that have to run there although the namespace is `own`. */
        claimSecretName: name.optional(),
        /** The Pod Security level that movers stay within. */
        security: z.enum(['baseline', 'restricted', 'privileged']).optional(),
        serviceAccountName: name.optional(),
        queueName: name.optional(),
        priorityClassName: name.optional(),
        image: z.string().min(1).optional(),
        imagePullSecrets: z.array(name).optional(),
        imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).optional(),
        resources: z.strictObject({ requests: quantities.optional(), limits: quantities.optional() }).optional(),
      })
      .optional(),
    /** In whose shape backups are made. Not VolSync's: it has a repository for each claim. */
    layout: z.enum(['auto', 'holdfast', 'k8up', 'velero']).optional(),
  }),
});

export type BackupPolicy = z.infer<typeof policySchema>;
export type RepositoryDocument = z.infer<typeof repositorySchema>;
export type RetentionRules = z.infer<typeof retentionSchema>;
