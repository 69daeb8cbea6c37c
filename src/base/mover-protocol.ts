/**
 * What an orchestrator hands to a mover, and what a mover answers. The job is JSON in a ConfigMap, the answer the pod's
 * termination message (at most 4096 bytes, so it carries only the first errors). Both sides are the same program, but
 * maybe not the same version: unknown fields are ignored, and `version` changes when a field changes its meaning.
 */
import { z } from 'zod';
import { HoldfastError } from './errors.ts';
import { layoutChoices } from './layouts.ts';

const backupJobSchema = z.object({
  version: z.literal(1),
  kind: z.literal('backup'),
  /** Repository address; password and credentials are in the mover's environment. */
  repository: z.string(),
  source: z.string(),
  /** Default: the folder where a file system is mounted; `device`: a block device, stored as one image. */
  sourceKind: z.enum(['folder', 'device']).optional(),
  host: z.string(),
  /** Without `state=`: the mover adds it when it knows. */
  tags: z.array(z.string()),
  paths: z.array(z.string()),
  /** When the data was cut, by the storage. */
  timeMs: z.number(),
  /** Folders above the volume in the backup's tree: namespace and claim. */
  folders: z.array(z.string()),
  /** The recipe as JSON; the mover adds what is in use on the file system. */
  recipe: z.record(z.string(), z.unknown()),
  recipeFileName: z.string(),
  /** In whose shape; default auto. Where not in Holdfast's own, host, paths and folders are that shape's. */
  layout: z.enum(layoutChoices).optional(),
  parentId: z.string().nullable().optional(),
  /** Last part of the host name in the lock: `<pod>.<pod uid>.<this>`. */
  clusterUid: z.string(),
});

const restoreJobSchema = z.object({
  version: z.literal(1),
  kind: z.literal('restore'),
  repository: z.string(),
  backupId: z.string(),
  /** Folder in the backup whose content goes into the target: "/shop/data/volume". */
  subfolder: z.string(),
  target: z.string(),
  /** Default: a folder; `device`: a block device that gets the image of one. */
  targetKind: z.enum(['folder', 'device']).optional(),
  /** The target holds what an earlier mover of the same restore left: it is emptied first. */
  startOver: z.boolean().optional(),
  /** The target is a volume with content of its own: what differs from the backup is corrected. */
  overwrite: z.boolean().optional(),
  /** With `overwrite`: what is not in the backup is removed. */
  deleteOthers: z.boolean().optional(),
  clusterUid: z.string(),
});

const moverJobSchema = z.discriminatedUnion('kind', [backupJobSchema, restoreJobSchema]);

export type BackupJob = z.infer<typeof backupJobSchema>;
export type RestoreJob = z.infer<typeof restoreJobSchema>;
export type MoverJob = z.infer<typeof moverJobSchema>;

const moverAnswerSchema = z.object({
  version: z.literal(1),
  kind: z.enum(['backup', 'restore']),
  /** 0 done, 3 done but some files could not be read or written, else failed. */
  exitCode: z.number(),
  backupId: z.string().optional(),
  /** Numbers of the summary: files, bytes, durationMs. */
  counts: z.record(z.string(), z.number()),
  errorCount: z.number(),
  /** The first ones, as many as fit. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })),
  failure: z.object({ code: z.string(), message: z.string(), hint: z.string() }).optional(),
});

export type MoverAnswer = z.infer<typeof moverAnswerSchema>;

/** What Kubernetes keeps of a termination message. */
const MESSAGE_BYTES = 4096;

/** Throws USAGE where it is not a job: nobody but an orchestrator writes one. */
export function parseMoverJob(text: string): MoverJob {
  const parsed = moverJobSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new HoldfastError('USAGE', { problem: `This is not a mover's job: ${z.prettifyError(parsed.error)}` });
}

/** undefined where the text is no answer: cut off, written by something else, or empty. */
export function parseMoverAnswer(text: string): MoverAnswer | undefined {
  const parsed = moverAnswerSchema.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** The answer with as many of its errors as fit into a termination message. */
export function encodeMoverAnswer(answer: MoverAnswer): string {
  const errors = answer.errors.slice(0, 20).map(({ path, message }) => ({
    path: shorten(path, 200),
    message: shorten(message, 200),
  }));
  const { failure } = answer;
  const short = failure && { ...failure, message: shorten(failure.message, 1000), hint: shorten(failure.hint, 300) };
  for (;;) {
    const text = JSON.stringify({ ...answer, errors, ...(short === undefined ? {} : { failure: short }) });
    if (Buffer.byteLength(text) <= MESSAGE_BYTES || errors.length === 0) return text;
    errors.pop();
  }
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
