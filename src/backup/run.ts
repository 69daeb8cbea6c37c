/** What a caller gives to the backup of a claim, hears while it runs, and gets back. */
import type { Clock } from '../base/clock.ts';
import type { LayoutChoice } from '../base/layouts.ts';
import type { MoverSettings, RepositoryAccess } from '../cluster/mover-pod.ts';
import type { HookRecord } from '../manifest/hook-record.ts';
import type { GroupRecord } from '../manifest/recipe.ts';
import type { BackupPolicy, MethodWish } from '../policy/schema.ts';
import type { Repository } from '../repository/repository.ts';
import type { ClusterFacts } from './facts.ts';
import type { ReadyClaim } from './plan.ts';
import type { BackupMethod } from './plan-method.ts';
import type { MoverWishes } from './plan-mover.ts';

export type BackupPhase =
  | 'plan'
  | 'sweep'
  | 'hook'
  | 'snapshot'
  | 'copy'
  | 'mover'
  | 'stream'
  | 'clean-up'
  | 'warning'
  | 'retry';

export interface BackupEvent {
  readonly claim: string;
  readonly phase: BackupPhase;
  readonly message: string;
}

export interface BackupTimeouts {
  /** Until the point in time is taken. */
  readonly cutMs: number;
  /** From there until the snapshot can be read; cloud drivers upload meanwhile. */
  readonly readyMs: number;
  /** Until a queue lets the mover start, where it is in one. */
  readonly queuedMs: number;
  /** Until the mover's container runs. */
  readonly startMs: number;
  /** A mover that makes no progress for so long is stopped. */
  readonly stalledMs: number;
  /** For all of the data. Default Infinity: as long as it gets on. */
  readonly moveMs: number;
  /** How long the volume of a pod at work is mounted beside it, even if nobody watches any more. */
  readonly liveMountMs: number;
  /** For each object that is removed. */
  readonly cleanUpMs: number;
}

const HOUR_MS = 3_600_000;
export const backupTimeouts: BackupTimeouts = {
  cutMs: 10 * 60_000,
  readyMs: 4 * HOUR_MS,
  queuedMs: 4 * HOUR_MS,
  startMs: 15 * 60_000,
  stalledMs: 30 * 60_000,
  moveMs: Number.POSITIVE_INFINITY,
  liveMountMs: HOUR_MS,
  // The provisioner looks only every five minutes for snapshots that it still protects for nothing.
  cleanUpMs: 10 * 60_000,
};

export interface ClaimBackupOptions extends MoverSettings, MoverWishes {
  readonly namespace: string;
  readonly claim: string;
  /** Its Secret is in the mover's namespace. */
  readonly repository: RepositoryAccess;
  /** Default: by the rules of the policy, or `auto`. */
  readonly method?: MethodWish | undefined;
  /** Default: the claim's annotation, then the policy, then the driver's marked, default or only class. */
  readonly snapshotClass?: string | undefined;
  /** The backups' host; default cluster-<first 8 of the cluster's uid>. */
  readonly clusterName?: string | undefined;
  /** Where the namespace kube-system may not be read. */
  readonly clusterUid?: string | undefined;
  /** Its name, for the backup's tag. */
  readonly policy?: string | undefined;
  /** Its rules. */
  readonly rules?: BackupPolicy | undefined;
  /** In whose shape the backup is made; default auto. */
  readonly layout?: LayoutChoice | undefined;
  /** The same for all claims of one run. A label value; default made from the time. */
  readonly run: string;
}

export interface ClaimBackupRun extends ClaimBackupOptions {
  /** What was decided before: the claim is looked at again, and a run that would come out otherwise is refused. */
  readonly planned?: ReadyClaim | undefined;
  /** What the plan knew of the cluster, to spare the question. */
  readonly clusterFacts?: ClusterFacts | undefined;
  readonly timeouts?: Partial<BackupTimeouts>;
  /** Leaves snapshot, claim and Job of a failed run for a look at them; the next run of the claim removes them. */
  readonly keepOnFailure?: boolean;
  /** Asked what the repository really has, where this process can read it: a pod's answer is only a hint. */
  readonly finder?: BackupFinder;
  /** Open for writing, where this process has the password: methods without a mover write into it themselves. */
  readonly writable?: Repository | undefined;
  /** Names this process in the repository's lock; default the machine. */
  readonly lockHost?: string | undefined;
  readonly onEvent?: ((event: BackupEvent) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
}

/** Looks into the repository. */
export interface BackupFinder {
  has(backupId: string): Promise<boolean>;
  /** The backup that a run made of a claim, where no mover was left to name it. */
  find(run: string, claimUid: string): Promise<FoundBackup | undefined>;
}

export interface FoundBackup {
  readonly backupId: string;
  readonly state: 'complete' | 'incomplete';
}

export interface ClaimBackupResult {
  readonly claim: string;
  readonly claimUid: string;
  readonly run: string;
  readonly backupId: string;
  readonly state: 'complete' | 'incomplete';
  readonly method: BackupMethod;
  readonly methodReason: string;
  /** `application`: hooks had prepared it; `crash`: as after a power cut; both of one instant. `live`: read in use. */
  readonly consistency: Consistency;
  readonly snapshotClass?: string;
  /** RFC 3339: when the data was cut, as the storage tells it, or when it began to be read. */
  readonly cutTime: string;
  /** The same, of a snapshot. */
  readonly snapshotCutTime?: string;
  /** The claims that were cut together with this one. */
  readonly group?: GroupRecord;
  /** What was done around the cut; absent where there were no hooks. */
  readonly hooks?: readonly HookRecord[];
  /** Of the mover: files…, bytes…, durationMs; empty where only the repository could tell. */
  readonly counts: Readonly<Record<string, number>>;
  readonly errorCount: number;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly node: string | undefined;
  readonly durationMs: number;
  readonly warnings: readonly string[];
}

export type Consistency = 'application' | 'crash' | 'live';

/** A live method reads while pods write; a cut is as good as what hooks made of the application before it. */
export function consistencyOf(method: BackupMethod, hooks?: { readonly covered: boolean }): Consistency {
  if (method === 'FileCopy' || method === 'ExecStream') return 'live';
  return hooks?.covered === true ? 'application' : 'crash';
}
