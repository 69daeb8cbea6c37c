/** What a plan has to know about the cluster that a claim is restored into, and what its user wants. Only data. */
import type { RecordedStorageClass } from '../manifest/kube-shapes.ts';

export interface RestoreWishes {
  /** Default: as recorded. */
  readonly namespace?: string;
  readonly name?: string;
  /**
   * `preserve` (default), `any` (the scheduler decides), `spread` (claims of a set of pods go round the zones by their
   * ordinals), or a zone.
   */
  readonly zone?: string;
  /** Where zones and regions of the recorded cluster are in this one; used by `preserve`. */
  readonly zoneMap?: Readonly<Record<string, string>>;
  readonly storageClass?: string;
  /** Recorded class to the one that takes its place here. */
  readonly classMap?: Readonly<Record<string, string>>;
  readonly sizeBytes?: number;
  readonly accessModes?: readonly string[];
  readonly reclaimPolicy?: 'Delete' | 'Retain';
  readonly createNamespace?: boolean;
  readonly allowIncomplete?: boolean;
  /** Default `auto`: from a kept CSI snapshot where that is sure to be of use, else from the repository. */
  readonly from?: 'auto' | 'snapshot' | 'repository';
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
  /** Its data is a CSI snapshot, and in the repository is the recipe alone. */
  readonly inStorage?: boolean;
}

/** What is known of the CSI snapshot that a recipe names. */
export interface KeptFacts {
  /** `unknown`: another cluster made it, or its objects may not be read. */
  readonly state: 'present' | 'gone' | 'unknown';
  /** A clause without a full stop. */
  readonly reason: string;
}

export interface NodeFacts {
  readonly name: string;
  /** Ready, not cordoned, not tainted against ordinary pods. */
  readonly usable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** CSI driver to the topology keys it reports on this node, from its CSINode. */
  readonly driverKeys: Readonly<Record<string, readonly string[]>>;
  /** How many more volumes of a driver it may have attached; drivers without a limit are not in it. */
  readonly attachable: Readonly<Record<string, number>>;
}

/** What is left of each resource that a quota of the target's namespace limits: bytes or numbers. */
export interface QuotaFacts {
  readonly name: string;
  readonly left: Readonly<Record<string, number>>;
}

/** Bounds on the size of one claim. */
export interface LimitFacts {
  readonly name: string;
  readonly minBytes: number | null;
  readonly maxBytes: number | null;
}

/** The largest volume of a class that can be made where nodes carry these labels, as the driver says. */
export interface CapacityFacts {
  readonly storageClass: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly bytes: number;
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
  /** Null where they may not be read. */
  readonly quotas: readonly QuotaFacts[] | null;
  readonly limits: readonly LimitFacts[] | null;
  /** Null or absent where the recipe names no kept snapshot. */
  readonly kept?: KeptFacts | null;
}

/** What is the same for all claims that are restored into a cluster. */
export interface Surroundings {
  readonly storageClasses: readonly RecordedStorageClass[];
  readonly attributesClasses: readonly { readonly name: string; readonly driver: string }[];
  readonly nodes: readonly NodeFacts[];
  /** Null where it may not be read. Empty where no driver tells. */
  readonly capacities: readonly CapacityFacts[] | null;
}

export interface ClusterFacts extends TargetFacts, Surroundings {}
