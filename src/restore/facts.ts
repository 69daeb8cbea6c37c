/** What a plan has to know about the cluster that a claim is restored into, and what its user wants. Only data. */
import type { RecordedStorageClass } from '../manifest/kube-shapes.ts';

export interface RestoreWishes {
  /** Default: as recorded. */
  readonly namespace?: string;
  readonly name?: string;
  /** `preserve` (default), `any` (the scheduler decides), or a zone. */
  readonly zone?: string;
  /** Where zones of the recorded cluster are in this one; used by `preserve`. */
  readonly zoneMap?: Readonly<Record<string, string>>;
  readonly storageClass?: string;
  readonly sizeBytes?: number;
  readonly accessModes?: readonly string[];
  readonly reclaimPolicy?: 'Delete' | 'Retain';
  readonly createNamespace?: boolean;
  readonly allowIncomplete?: boolean;
}

/** The backup that is restored, told by its restic snapshot. */
export interface BackupFacts {
  readonly id: string;
  /** False when files could not be read while it was made (`state=incomplete`). */
  readonly complete: boolean;
  /** Null when its maker did not write them down. */
  readonly files: number | null;
  readonly bytes: number | null;
  /** Where the content of the volume lies in it. */
  readonly contentFolder: string;
}

export interface NodeFacts {
  readonly name: string;
  /** Ready, not cordoned, not tainted against ordinary pods. */
  readonly usable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** CSI driver to the topology keys it reports on this node, from its CSINode. */
  readonly driverKeys: Readonly<Record<string, readonly string[]>>;
}

/** A claim that already has the name of the target. */
export interface ExistingClaim {
  readonly uid: string;
  readonly phase: string;
  /** The restore that made it and has not ended, by its mark. */
  readonly restoreId: string | null;
  readonly backupId: string | null;
  /** The backup that it was restored from, by its mark. */
  readonly restoredFrom: string | null;
}

/** What is in the place of one restored claim. */
export interface TargetFacts {
  readonly namespace: 'missing' | 'active' | 'terminating';
  readonly target: ExistingClaim | null;
  /** Fingerprint of the plan of an unfinished restore of the same backup to the same target. */
  readonly unfinished: string | null;
}

/** What is the same for all claims that are restored into a cluster. */
export interface Surroundings {
  readonly storageClasses: readonly RecordedStorageClass[];
  readonly attributesClasses: readonly { readonly name: string; readonly driver: string }[];
  readonly nodes: readonly NodeFacts[];
}

export interface ClusterFacts extends TargetFacts, Surroundings {}
