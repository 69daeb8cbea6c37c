/**
 * The recipe of a claim: everything that is needed to make the claim again around its data, as the `manifest.json`
 * beside the data of a backup. Versioned as `schema: "MAJOR.MINOR"`; docs/recipe.md describes every field.
 * A reader takes every older version and every newer minor one (fields it does not know are kept).
 */
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import { hookRecordSchema } from './hook-record.ts';
import { keptSnapshotSchema } from './kept-snapshot.ts';
import { claimSchema, nodeSelectorTermSchema, objectSchema, storageClassSchema, volumeSchema } from './kube-shapes.ts';

export const recipeSchemaVersion = '1.2';
/** The file's name, beside the folder `volume` with the data. */
export const recipeFileName = 'manifest.json';

const bytes = z.number().int().nonnegative();

const topologySchema = z.looseObject({
  /** In the order they were found, each once. Empty when the volume is reachable from every zone, or nothing is known. */
  zones: z.array(z.string()),
  regions: z.array(z.string()),
  /** Values of host name keys: volumes that live on one node. */
  hosts: z.array(z.string()),
  /** `nodeSelectorTerms` of the PV's required node affinity, as they were. */
  rawTerms: z.array(nodeSelectorTermSchema),
  /** Which authority told (R5.3). */
  source: z.enum(['node-affinity', 'labels', 'attached-node', 'none']),
});
export type Topology = z.infer<typeof topologySchema>;

const sizesSchema = z.looseObject({
  /** spec.resources.requests.storage of the claim. */
  requestedBytes: bytes,
  /** spec.capacity.storage of the volume; null when the volume could not be read. */
  provisionedBytes: bytes.nullable(),
  /** status.capacity.storage of the claim: what its file system was last known to hold. */
  filesystemBytes: bytes.nullable(),
  /** What is in use on the file system (statfs of the mover); null when nobody looked. */
  usedBytes: bytes.nullable(),
});
export type RecipeSizes = z.infer<typeof sizesSchema>;

const consumerSchema = z.looseObject({
  pod: z.string(),
  node: z.string().nullable(),
  /** The controller behind the pod, a ReplicaSet already resolved to its Deployment where that could be read. */
  owner: z.looseObject({ kind: z.string(), name: z.string() }).nullable(),
  /** The ordinal of a StatefulSet's pod (R8.1). */
  ordinal: z.number().int().nonnegative().nullable(),
});
export type Consumer = z.infer<typeof consumerSchema>;

const milliseconds = z.number().int().nonnegative();

const groupSchema = z.looseObject({
  /** Value of the label that makes the group, or `named`. */
  name: z.string(),
  /** `VolumeGroupSnapshot`: the storage cut all at one instant; `window`: one snapshot each, one right after the other. */
  way: z.enum(['VolumeGroupSnapshot', 'window']),
  /** Why so. */
  reason: z.string(),
  /** VolumeGroupSnapshotClass, of that way. */
  snapshotClass: z.string().optional(),
  members: z.number().int().min(2),
  /** RFC 3339 of each claim's cut (namespace/name), as the storage tells it. */
  cutTimes: z.record(z.string(), z.string()),
  /** Between the first and the last of these times; some storage tells whole seconds only. */
  skewMs: milliseconds,
  /** From the first request to the answer to the last one: all cuts lie within, whatever clocks say. */
  windowMs: milliseconds,
});
export type GroupRecord = z.infer<typeof groupSchema>;

const conditionSchema = z.looseObject({ type: z.string(), status: z.string(), message: z.string().nullable() });

export const recipeSchema = z.looseObject({
  apiVersion: z.literal('holdfast.dev/v1alpha1'),
  kind: z.literal('ClaimRecipe'),
  schema: z.string().regex(/^\d+\.\d+$/),
  /** RFC 3339, UTC. */
  recordedAt: z.string(),
  tool: z.looseObject({ name: z.string(), version: z.string() }),
  cluster: z.looseObject({ uid: z.string().nullable(), name: z.string().nullable() }),
  /** How the data was cut: `SnapshotMove`, `FileCopy`, `ExecStream`. */
  method: z.string(),
  /**
   * `application`: at one instant for which hooks had prepared the application; `crash`: at one instant, as after a power
   * cut; `live`: read while pods went on writing. Absent before 1.1.
   */
  consistency: z.string().optional(),
  /**
   * The CSI snapshot that is kept in the storage system: all of the data where `method` is `Snapshot`, else beside the
   * data of the repository, and perhaps gone since. Absent where none was kept, and before 1.2.
   */
  keptSnapshot: keptSnapshotSchema.optional(),
  /** The claims that were cut together with this one. Absent where it was cut by itself, and before 1.2. */
  group: groupSchema.optional(),
  /** What was done in the cluster around the cut. Absent where the policy has no hooks for the claim, and before 1.2. */
  hooks: z.array(hookRecordSchema).optional(),
  claim: claimSchema,
  volume: volumeSchema.nullable(),
  storageClass: storageClassSchema.nullable(),
  snapshotClass: objectSchema.nullable(),
  csiDriver: objectSchema.nullable(),
  topology: topologySchema,
  sizes: sizesSchema,
  /** True when the storage refused the requested size (`…Infeasible`), so that it says nothing about the volume (R7.6). */
  resizeInfeasible: z.boolean(),
  reclaimPolicy: z.string().nullable(),
  accessModes: z.array(z.string()),
  volumeMode: z.enum(['Filesystem', 'Block']),
  consumers: z.array(consumerSchema),
  conditions: z.array(conditionSchema),
  /** Paths of values that were replaced because they may be secrets, such as `volume.spec.csi.volumeAttributes.password`. */
  redacted: z.array(z.string()),
  /** What the account had no right to read, such as `storageClass`; a restore asks for it. */
  unread: z.array(z.string()),
});
export type Recipe = z.infer<typeof recipeSchema>;

/** UTF-8 JSON, indented, ending in a line break: meant to be read by people too. */
export function encodeRecipe(recipe: Recipe): Buffer {
  return Buffer.from(`${JSON.stringify(recipeSchema.parse(recipe), null, 2)}\n`);
}

/** @throws HoldfastError RECIPE_UNREADABLE when it is no recipe, is damaged, or has a newer major version. */
export function parseRecipe(content: Uint8Array | string): Recipe {
  const json = parseJson(typeof content === 'string' ? content : Buffer.from(content).toString('utf8'));
  const header = headerSchema.safeParse(json);
  if (!header.success) throw unreadable(describe(header.error));
  const major = Number(header.data.schema.split('.')[0]);
  const known = Number(recipeSchemaVersion.split('.')[0]);
  if (major > known) throw unreadable(`it has version ${header.data.schema}, this program reads up to ${known}.x`);
  const recipe = recipeSchema.safeParse(json);
  if (!recipe.success) throw unreadable(describe(recipe.error));
  return recipe.data;
}

/** The recipe with what the mover saw of the mounted file system (R7.3). */
export function withUsage(recipe: Recipe, usage: { usedBytes: number; filesystemBytes: number }): Recipe {
  return { ...recipe, sizes: { ...recipe.sizes, ...usage } };
}

const headerSchema = z.looseObject({
  kind: z.literal('ClaimRecipe'),
  schema: z.string().regex(/^\d+\.\d+$/),
});

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable('it is no JSON', error);
  }
}

function describe(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue ? `${issue.path.join('.') || 'the file'}: ${issue.message}` : 'its form is not known';
}

function unreadable(reason: string, cause?: unknown): HoldfastError {
  return new HoldfastError('RECIPE_UNREADABLE', { reason }, { cause });
}
