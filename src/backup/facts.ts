/** What a plan of backups has to know about the cluster, its claims and their earlier backups. Only data. */
import type { KubeObject } from '../cluster/object.ts';
import type { GroupSnapshotApi } from '../cluster/resources.ts';

export interface NodeFacts {
  readonly name: string;
  readonly ready: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** CSI drivers that are registered on it. */
  readonly drivers: readonly string[];
}

export interface ClusterFacts {
  /** Whether the CRDs of volume snapshots are installed. */
  readonly servesSnapshots: boolean;
  readonly snapshotClasses: readonly KubeObject[];
  readonly storageClasses: readonly KubeObject[];
  /** undefined where they may not be listed. */
  readonly nodes: readonly NodeFacts[] | undefined;
}

export interface ClaimFacts {
  readonly claim: KubeObject;
  /** The one that the claim names; undefined where it names none, or that one is gone. */
  readonly volume: KubeObject | undefined;
  /** Pods that use the claim and have not ended, without those of Holdfast. */
  readonly pods: readonly KubeObject[];
  /** Node of the VolumeAttachment; undefined where there is none, or it may not be read. */
  readonly attachedNode: string | undefined;
  readonly lastBackup: LastBackup | undefined;
}

export interface LastBackup {
  readonly backupId: string;
  readonly bytes: number;
}

export interface BackupFacts {
  readonly cluster: ClusterFacts;
  readonly claims: readonly ClaimFacts[];
  /** namespace/name of claims that were named and are not there. */
  readonly missing: readonly string[];
  /** Absent where no hooks are asked about. */
  readonly hooks?: HookFacts | undefined;
}

/** What a plan of groups has to know beyond that. */
export interface GroupFacts {
  /** The newest version that the cluster serves; undefined where it has none. */
  readonly api: GroupSnapshotApi | undefined;
  /** undefined where they may not be listed. */
  readonly classes: readonly KubeObject[] | undefined;
  /** All claims of the namespaces in question, whether they are backed up or not: whom a selector reaches. */
  readonly claims: readonly KubeObject[];
}

/** What a plan of hooks has to know beyond that. */
export interface HookFacts {
  /** All pods of the namespaces that have not ended, without those of Holdfast. */
  readonly pods: readonly KubeObject[];
  /** StatefulSets and Deployments; empty where no hook asks for them. */
  readonly workloads: readonly KubeObject[];
}

/** Without `volumeMode` a claim is one of files. */
export type VolumeMode = 'Filesystem' | 'Block';
