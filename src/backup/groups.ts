/** Groups: claims whose data is only worth something together, so that they are cut together. Only data. */
import type { Labels } from '../cluster/labels.ts';
import type { GroupSnapshotApi } from '../cluster/resources.ts';
import type { ClassChoice } from '../cluster/snapshot-class.ts';
import type { GroupRecord } from '../manifest/recipe.ts';

/** Which claims belong together, and how they are to be cut. */
export interface GroupWish {
  /** Claims with the same value of this label; without it, all claims that were named. */
  readonly byLabel?: string | undefined;
  /** VolumeGroupSnapshotClass. */
  readonly class?: string | undefined;
  /** Pods whose claims are cut after all others, where there is no single instant (R11.6). */
  readonly last?: { readonly matchLabels: Labels } | undefined;
}

export interface CutGroup {
  readonly name: string;
  /** namespace/name of each, in the order of the plan; two at least. */
  readonly members: readonly string[];
  /** Of them those that are cut after all others. */
  readonly last: readonly string[];
  /** One instant for all; undefined: one snapshot for each, in as short a time as it takes. */
  readonly snapshot: GroupSnapshotPlan | undefined;
  /** Why so. */
  readonly reason: string;
}

export interface GroupSnapshotPlan {
  readonly api: GroupSnapshotApi;
  readonly class: ClassChoice;
  /** Select exactly the members. */
  readonly matchLabels: Labels;
}

export type GroupWay = GroupRecord['way'];

export function wayOf({ snapshot }: Pick<CutGroup, 'snapshot'>): GroupWay {
  return snapshot === undefined ? 'window' : 'VolumeGroupSnapshot';
}
