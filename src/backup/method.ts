/**
 * What every method of a backup is made of: two steps on a claim that has been prepared. Each method is one file with one
 * such value; claim-run.ts chooses among them.
 */
import type { Cluster } from '../cluster/client.ts';
import type { MoverPod } from '../cluster/mover-pod.ts';
import type { KubeObject } from '../cluster/object.ts';
import type { HookRecord } from '../manifest/hook-record.ts';
import type { RecordedSnapshot } from '../manifest/kept-snapshot.ts';
import type { GroupRecord, Recipe } from '../manifest/recipe.ts';
import type { ClaimWork } from './claim-work.ts';
import type { CollectedRecipe } from './collect-recipe.ts';
import { type BackupPhase, type ClaimBackupResult, consistencyOf } from './run.ts';

export interface MethodSteps {
  /** Takes the point in time. Once it returns, writers may go on, unless the method is live. */
  cut(claim: PreparedClaim): Promise<Cut>;
  /** Brings what was cut into the repository. */
  move(claim: PreparedClaim, cut: Cut): Promise<MovedClaim>;
}

/** A claim that nothing stands against any more: swept, its recipe taken, its Job made. */
export interface PreparedClaim {
  readonly cluster: Cluster;
  readonly work: ClaimWork;
  readonly collected: CollectedRecipe;
  /** Owns all that is made for the run and says that it lives. Suspended; of use only to methods with a mover. */
  readonly job: KubeObject;
  readonly pod: MoverPod;
  say(phase: BackupPhase, message: string): void;
  /** Goes into the result, too. */
  warn(message: string): void;
  /** RFC 3339, by this process's clock. */
  now(): string;
}

export interface Cut {
  /** RFC 3339: of the storage, or where it does not tell, or nothing was cut, of this process. */
  readonly time: string;
  /** Cut, but perhaps not readable yet. Undefined where the method needs none. */
  readonly snapshot?: KubeObject | undefined;
  /** The claims that were cut together with this one. */
  readonly group?: GroupRecord | undefined;
  /** What was done around the cut; undefined where there were no hooks. */
  readonly hooks?: CutHooks | undefined;
  /** The snapshot, where it is kept. */
  readonly kept?: RecordedSnapshot | undefined;
}

export interface CutHooks {
  readonly records: readonly HookRecord[];
  /** Whether all of them ran well and held until the cut was made, and none was left out. */
  readonly covered: boolean;
}

/** What became of the data. */
export type MovedClaim = Pick<ClaimBackupResult, 'backupId' | 'state' | 'counts' | 'errorCount' | 'errors' | 'node'>;

/** With what only the cut could tell. A group snapshot follows its own class. */
export function recipeOf({ collected, work }: PreparedClaim, { group, kept, hooks }: Cut): Recipe {
  const recipe = {
    ...collected.recipe,
    ...(kept === undefined ? {} : { keptSnapshot: kept }),
    ...(hooks === undefined ? {} : { hooks: [...hooks.records], consistency: consistencyOf(work.plan.method, hooks) }),
  };
  if (group === undefined) return recipe;
  return { ...recipe, snapshotClass: group.way === 'window' ? recipe.snapshotClass : null, group };
}
