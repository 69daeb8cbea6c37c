/**
 * The run of one claim, step by step: prepare → cut → move → close. The steps are apart so that several claims can be cut
 * together, and something be done around a cut. Whatever happens, close comes last.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { statusOf } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { readClusterUid } from '../cluster/connect.ts';
import { ALIVE, claimSelector, RUN } from '../cluster/labels.ts';
import type { MoverPod } from '../cluster/mover-pod.ts';
import { createMoverJob } from '../cluster/mover-run.ts';
import type { KubeObject } from '../cluster/object.ts';
import { refOf } from '../cluster/resources.ts';
import { backupPod, type ClaimWork, claimWork } from './claim-work.ts';
import { type CollectedRecipe, collectRecipe } from './collect-recipe.ts';
import { execStream } from './exec-stream.ts';
import { fileCopy } from './file-copy.ts';
import { ALIVE_EVERY_MS, removeWork, sweepLeftovers } from './leftovers.ts';
import type { Cut, MethodSteps, MovedClaim, PreparedClaim } from './method.ts';
import { planClaimBackup } from './plan-claim.ts';
import type { BackupMethod } from './plan-method.ts';
import { type BackupPhase, backupTimeouts, type ClaimBackupResult, type ClaimBackupRun, consistencyOf } from './run.ts';
import { snapshotMethod } from './snapshot-method.ts';
import { snapshotMove } from './snapshot-move.ts';

const methods: Readonly<Record<BackupMethod, MethodSteps>> = {
  Snapshot: snapshotMethod,
  SnapshotMove: snapshotMove,
  FileCopy: fileCopy,
  ExecStream: execStream,
};

/** Plans the claim. Throws the refusals of planClaimBackup; nothing is made yet. */
export async function openClaimRun(cluster: Cluster, options: ClaimBackupRun): Promise<ClaimRun> {
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  const plan = await planClaimBackup(cluster, options);
  const clusterUid = options.clusterUid ?? (await identify(cluster));
  const work = claimWork(plan, options, { ...backupTimeouts, ...options.timeouts }, clusterUid);
  return new ClaimRun(cluster, work, clock, startedMs);
}

async function identify(cluster: Cluster): Promise<string> {
  const uid = await readClusterUid(cluster);
  if (uid !== undefined) return uid;
  const reason = 'its UID tells the backups of this cluster from those of others; give it as the cluster uid instead';
  throw new HoldfastError('CLUSTER_DENIED', { verb: 'get', resource: 'the namespace kube-system', reason });
}

export class ClaimRun {
  readonly work: ClaimWork;
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #warnings: string[] = [];
  #isSwept = false;
  #beat: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster, work: ClaimWork, clock: Clock, startedMs: number) {
    this.#cluster = cluster;
    this.work = work;
    this.#clock = clock;
    this.#startedMs = startedMs;
    const { method, reason, class: choice, place, notes } = work.plan;
    const by = choice === undefined ? '' : ` by ${choice.class.metadata.name} (${choice.reason})`;
    this.#say('plan', `${method}${by}: ${reason}; ${place.consumer ? 'through' : 'mover'} ${place.words}`);
    for (const note of notes) this.#warn(note);
  }

  /**
   * Removes what earlier runs left, takes the recipe, and makes the suspended Job that says this run lives. Throws
   * BACKUP_RUNNING.
   */
  async prepare(): Promise<PreparedClaim> {
    await this.#sweep();
    this.#isSwept = true;
    const collected = await this.#collect();
    const pod = backupPod(this.work, collected, this.#now());
    const job = await createMoverJob(this.#cluster, pod, this.work.options.signal);
    this.#keepAlive(job);
    return this.#prepared(collected, job, pod);
  }

  /** Throws SNAPSHOT_FAILED. */
  cut(claim: PreparedClaim): Promise<Cut> {
    return methods[this.work.plan.method].cut(claim);
  }

  /** Throws SNAPSHOT_FAILED, MOVER_FAILED, LIVE_COPY_REFUSED. */
  move(claim: PreparedClaim, cut: Cut): Promise<MovedClaim> {
    return methods[this.work.plan.method].move(claim, cut);
  }

  /**
   * Removes what was made, even when the run itself was cancelled. What could not be removed is a warning, found by the
   * next run. From here on that may take what is left for dead.
   */
  async close(end: 'done' | 'failed'): Promise<void> {
    try {
      const isKept = end === 'failed' && this.work.options.keepOnFailure === true;
      if (this.#isSwept && !isKept) await this.#cleanUp();
    } finally {
      clearInterval(this.#beat);
    }
  }

  /** To be asked for after close, so that it has all warnings. */
  result(cut: Cut, moved: MovedClaim): ClaimBackupResult {
    const { plan, options } = this.work;
    const { claim, source, method, reason, class: choice } = plan;
    const cutTime = cut.time;
    return {
      ...{ claim, claimUid: source.claim.metadata.uid, run: options.run },
      ...{ method, methodReason: reason, consistency: consistencyOf(method, cut.hooks), cutTime },
      ...(cut.hooks === undefined ? {} : { hooks: cut.hooks.records }),
      ...(choice === undefined
        ? {}
        : { snapshotClass: cut.group?.snapshotClass ?? choice.class.metadata.name, snapshotCutTime: cutTime }),
      ...(cut.group === undefined ? {} : { group: cut.group }),
      ...moved,
      durationMs: this.#clock.nowMs() - this.#startedMs,
      warnings: this.#warnings,
    };
  }

  #prepared(collected: CollectedRecipe, job: KubeObject, pod: MoverPod): PreparedClaim {
    return {
      cluster: this.#cluster,
      work: this.work,
      ...{ collected, job, pod },
      say: (phase, message) => this.#say(phase, message),
      warn: (message) => this.#warn(message),
      now: () => this.#now(),
    };
  }

  async #sweep(): Promise<void> {
    const { plan, options, timeouts } = this.work;
    await sweepLeftovers(this.#cluster, this.#clock, {
      namespace: options.namespace,
      moverNamespace: options.moverNamespace ?? options.namespace,
      claimUid: plan.source.claim.metadata.uid,
      title: plan.claim,
      run: options.run,
      timeoutMs: timeouts.cleanUpMs,
      signal: options.signal,
      onFound: (run, objects) => this.#say('sweep', `removes ${objects} objects that run ${run} left behind`),
    });
  }

  #collect(): Promise<CollectedRecipe> {
    const { plan, clusterUid, host } = this.work;
    const { source, method, class: choice } = plan;
    return collectRecipe(this.#cluster, source, {
      ...{ method, consistency: consistencyOf(method), clusterUid, clusterName: host, toolVersion: version },
      snapshotClass: choice?.class,
      recordedAtMs: this.#clock.nowMs(),
    });
  }

  async #cleanUp(): Promise<void> {
    const { plan, options, timeouts } = this.work;
    this.#say('clean-up', 'removes what was made for this backup');
    const labelSelector = `${claimSelector('backup', plan.source.claim.metadata.uid)},${RUN}=${options.run}`;
    try {
      const place = { namespace: options.namespace, moverNamespace: plan.moverNamespace, labelSelector };
      await removeWork(this.#cluster, place, timeouts.cleanUpMs);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.#warn(`could not remove everything of this run, the next one will: ${error.message}`);
    }
  }

  /** Renews the mark that keeps the next run from sweeping this one away. */
  #keepAlive(job: KubeObject): void {
    const renew = async () => {
      try {
        await this.#cluster.patch(refOf(job), { merge: { metadata: { annotations: { [ALIVE]: this.#now() } } } });
      } catch (error) {
        // At the end of the run the Job goes while this beats on.
        if (statusOf(error) !== 404) this.#warn(`could not renew the mark of this run: ${messageOf(error)}`);
      }
    };
    this.#beat = setInterval(() => void renew(), ALIVE_EVERY_MS);
    this.#beat.unref();
  }

  #say(phase: BackupPhase, message: string): void {
    this.work.options.onEvent?.({ claim: this.work.plan.claim, phase, message });
  }

  /** Once each: what a snapshot complains of stays in its status long after it has passed (R1.13). */
  #warn(message: string): void {
    if (this.#warnings.includes(message)) return;
    this.#warnings.push(message);
    this.#say('warning', message);
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }
}
