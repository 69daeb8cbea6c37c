/** What a caller gives to the backup of a claim, hears while it runs, and gets back. */
import type { Clock } from '../base/clock.ts';
import type { ClaimBackupOptions } from './plan.ts';

export type BackupPhase = 'plan' | 'sweep' | 'snapshot' | 'copy' | 'mover' | 'clean-up' | 'warning';

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
  /** Until the mover's container runs. */
  readonly startMs: number;
  readonly moveMs: number;
  /** For each object that is removed. */
  readonly cleanUpMs: number;
}

const HOUR_MS = 3_600_000;
export const backupTimeouts: BackupTimeouts = {
  cutMs: 10 * 60_000,
  readyMs: 4 * HOUR_MS,
  startMs: 15 * 60_000,
  moveMs: 24 * HOUR_MS,
  cleanUpMs: 5 * 60_000,
};

export interface ClaimBackupRun extends ClaimBackupOptions {
  readonly timeouts?: Partial<BackupTimeouts>;
  /** Leaves snapshot, claim and Job of a failed run for a look at them; the next run of the claim removes them. */
  readonly keepOnFailure?: boolean;
  /** Asked what the repository really has, where this process can read it: a pod's answer is only a hint. */
  readonly finder?: BackupFinder;
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
  readonly method: 'SnapshotMove';
  readonly snapshotClass: string;
  /** RFC 3339, as the storage tells it. */
  readonly snapshotCutTime: string;
  /** Of the mover: files…, bytes…, durationMs; empty where only the repository could tell. */
  readonly counts: Readonly<Record<string, number>>;
  readonly errorCount: number;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly node: string | undefined;
  readonly durationMs: number;
  readonly warnings: readonly string[];
}
