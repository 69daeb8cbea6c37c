/** What a recipe records of a CSI snapshot that is kept, so that a rebuilt cluster finds the copy in the storage again. */
import { z } from 'zod';
import { parseQuantity } from '../base/quantity.ts';

export const keptSnapshotSchema = z.looseObject({
  /** CSI driver of the storage that has the copy. */
  driver: z.string(),
  /** The storage's own name for the copy. */
  handle: z.string(),
  /** VolumeSnapshotClass; null where the content names none. */
  class: z.string().nullable(),
  /** Names of the objects in the cluster that made it. */
  namespace: z.string(),
  name: z.string(),
  content: z.string(),
  /** What a volume made of it must have at least; null where the driver does not tell (R1.15). */
  restoreSizeBytes: z.number().int().nonnegative().nullable(),
  /** RFC 3339; null where the storage does not tell. */
  cutAt: z.string().nullable(),
  /** Annotations and labels of the content that its side-car works by, such as the name of the secret to delete it (R1.19). */
  contentMarks: z.looseObject({
    annotations: z.record(z.string(), z.string()),
    labels: z.record(z.string(), z.string()),
  }),
});
export type RecordedSnapshot = z.infer<typeof keptSnapshotSchema>;

const snapshotObject = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string() }),
  status: z.looseObject({ creationTime: z.string().optional(), restoreSize: z.string().optional() }).optional(),
});
const marks = z.record(z.string(), z.string()).default({});
const contentObject = z.looseObject({
  metadata: z.looseObject({ name: z.string(), annotations: marks, labels: marks }),
  spec: z.looseObject({ driver: z.string(), volumeSnapshotClassName: z.string().optional() }),
  status: z.looseObject({ snapshotHandle: z.string() }),
});

/** Snapshot and content as the API server gave them, once the snapshot is ready. Throws a ZodError before. */
export function recordSnapshot(snapshot: object, content: object): RecordedSnapshot {
  const { metadata, status } = snapshotObject.parse(snapshot);
  const held = contentObject.parse(content);
  const { restoreSize, creationTime } = status ?? {};
  return {
    driver: held.spec.driver,
    handle: held.status.snapshotHandle,
    class: held.spec.volumeSnapshotClassName ?? null,
    namespace: metadata.namespace,
    name: metadata.name,
    content: held.metadata.name,
    restoreSizeBytes: (restoreSize === undefined ? undefined : parseQuantity(restoreSize)) || null,
    cutAt: creationTime ?? null,
    contentMarks: {
      annotations: pick(held.metadata.annotations, 'snapshot.storage.kubernetes.io/deletion-secret-'),
      labels: pick(held.metadata.labels, 'snapshot.storage.kubernetes.io/managed-by'),
    },
  };
}

function pick(values: Readonly<Record<string, string>>, prefix: string): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => key.startsWith(prefix)));
}
