/**
 * The fields of Kubernetes objects that a recipe reads, as loose schemas: whatever else an object carries is kept
 * as it came, so a recipe holds the raw object and not a model of it (typed clients drop fields they do not know).
 */
import { z } from 'zod';

const strings = z.record(z.string(), z.string());

const metadata = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  labels: strings.optional(),
  annotations: strings.optional(),
});

/** Any object with a name: classes, drivers and what else is only recorded. */
export const objectSchema = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  metadata,
});
export type RecordedObject = z.infer<typeof objectSchema>;

const quantity = z.union([z.string(), z.number()]);
const sizes = z.looseObject({ storage: quantity.optional() });

export const claimSchema = objectSchema.extend({
  spec: z.looseObject({
    accessModes: z.array(z.string()).optional(),
    volumeMode: z.string().optional(),
    volumeName: z.string().optional(),
    storageClassName: z.string().optional(),
    volumeAttributesClassName: z.string().nullish(),
    resources: z.looseObject({ requests: sizes.optional(), limits: sizes.optional() }).optional(),
  }),
  status: z
    .looseObject({
      phase: z.string().optional(),
      capacity: sizes.optional(),
      conditions: z
        .array(z.looseObject({ type: z.string(), status: z.string().optional(), message: z.string().optional() }))
        .optional(),
      allocatedResourceStatuses: strings.optional(),
    })
    .optional(),
});
export type RecordedClaim = z.infer<typeof claimSchema>;

export const nodeSelectorTermSchema = z.looseObject({
  matchExpressions: z
    .array(z.looseObject({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
});
export type NodeSelectorTerm = z.infer<typeof nodeSelectorTermSchema>;

export const volumeSchema = objectSchema.extend({
  spec: z.looseObject({
    capacity: sizes.optional(),
    accessModes: z.array(z.string()).optional(),
    volumeMode: z.string().optional(),
    storageClassName: z.string().optional(),
    persistentVolumeReclaimPolicy: z.string().optional(),
    mountOptions: z.array(z.string()).optional(),
    nodeAffinity: z
      .looseObject({
        required: z.looseObject({ nodeSelectorTerms: z.array(nodeSelectorTermSchema).optional() }).optional(),
      })
      .optional(),
    csi: z
      .looseObject({
        driver: z.string(),
        volumeHandle: z.string().optional(),
        fsType: z.string().optional(),
        volumeAttributes: strings.optional(),
      })
      .optional(),
  }),
});
export type RecordedVolume = z.infer<typeof volumeSchema>;

export const storageClassSchema = objectSchema.extend({
  provisioner: z.string(),
  parameters: strings.optional(),
  reclaimPolicy: z.string().optional(),
  volumeBindingMode: z.string().optional(),
  allowVolumeExpansion: z.boolean().optional(),
  mountOptions: z.array(z.string()).optional(),
  allowedTopologies: z
    .array(
      z.looseObject({
        matchLabelExpressions: z.array(z.looseObject({ key: z.string(), values: z.array(z.string()) })).optional(),
      }),
    )
    .optional(),
});
export type RecordedStorageClass = z.infer<typeof storageClassSchema>;
