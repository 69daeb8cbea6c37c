/**
 * One backup of one claim by its plan: cut or live mount, mover; then everything that was made is removed, whatever
 * happened. The volume itself and its pods are never touched.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import { version } from '../base/version.ts';
import { statusOf } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { readClusterUid } from '../cluster/connect.ts';
import { ALIVE, claimSelector, RUN } from '../cluster/labels.ts';
import type { MoverPod } from '../cluster/mover-pod.ts';
import { awaitMover, createMoverJob, type MoverResult, startMover } from '../cluster/mover-run.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { CLAIM, refOf } from '../cluster/resources.ts';
import { dropVolumeWithClaim } from '../cluster/temporary-claim.ts';
import { backupJob, backupPod, type ClaimWork, claimWork, moveLimitMs } from './claim-work.ts';
import { collectRecipe } from './collect-recipe.ts';
import { watchForConsumers } from './give-way.ts';
import { ALIVE_EVERY_MS, removeWork, sweepLeftovers } from './leftovers.ts';
import { planClaimBackup } from './plan-claim.ts';
import { type BackupPhase, backupTimeouts, type ClaimBackupResult, type ClaimBackupRun } from './run.ts';
import { copyBySnapshot } from './snapshot-copy.ts';

/**
 * Throws the refusals of planClaimBackup, SNAPSHOT_FAILED, MOVER_FAILED, BACKUP_RUNNING, LIVE_COPY_REFUSED, and the
 * signal's reason.
 */
export async function backupClaim(cluster: Cluster, options: ClaimBackupRun): Promise<ClaimBackupResult> {
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  const plan = await planClaimBackup(cluster, options);
  const clusterUid = options.clusterUid ?? (await identify(cluster));
  const work = claimWork(plan, options, { ...backupTimeouts, ...options.timeouts }, clusterUid);
  const run = new Run(cluster, work, clock);
  await run.sweep();
  let failed = true;
  try {
    const moved = await run.move();
    failed = false;
    return { ...moved, durationMs: clock.nowMs() - startedMs, warnings: run.warnings };
  } finally {
    if (!failed || options.keepOnFailure !== true) await run.cleanUp();
    run.endBeat();
  }
}

async function identify(cluster: Cluster): Promise<string> {
  const uid = await readClusterUid(cluster);
  if (uid !== undefined) return uid;
  const reason = 'its UID tells the backups of this cluster from those of others; give it as the cluster uid instead';
  throw new HoldfastError('CLUSTER_DENIED', { verb: 'get', resource: 'the namespace kube-system', reason });
}

/** One run from its first object to the last that is removed. */
class Run {
  readonly warnings: string[] = [];
  readonly #cluster: Cluster;
  readonly #work: ClaimWork;
  readonly #options: ClaimBackupRun;
  readonly #clock: Clock;
  #beat: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster, work: ClaimWork, clock: Clock) {
    this.#cluster = cluster;
    this.#work = work;
    this.#options = work.options;
    this.#clock = clock;
    const { method, reason, class: choice, place, notes } = work.plan;
    const by = choice === undefined ? '' : ` by ${choice.class.metadata.name} (${choice.reason})`;
    this.say('plan', `${method}${by}: ${reason}; mover ${place.words}`);
    for (const note of notes) this.warn(note);
  }

  async sweep(): Promise<void> {
    const { source, claim } = this.#work.plan;
    await sweepLeftovers(this.#cluster, this.#clock, {
      namespace: this.#options.namespace,
      claimUid: source.claim.metadata.uid,
      title: claim,
      run: this.#options.run,
      timeoutMs: this.#work.timeouts.cleanUpMs,
      signal: this.#options.signal,
      onFound: (run, objects) => this.say('sweep', `removes ${objects} objects that run ${run} left behind`),
    });
  }

  async move(): Promise<Omit<ClaimBackupResult, 'durationMs' | 'warnings'>> {
    const { plan, clusterUid, host } = this.#work;
    const { source, method, reason, class: choice } = plan;
    const isLive = method === 'FileCopy';
    const consistency = isLive ? 'live' : 'crash';
    const collected = await collectRecipe(this.#cluster, source, {
      ...{ method, consistency, clusterUid, clusterName: host, toolVersion: version },
      snapshotClass: choice?.class,
      recordedAtMs: this.#clock.nowMs(),
    });
    const pod = backupPod(this.#work, collected, this.#now());
    const job = await createMoverJob(this.#cluster, pod, this.#options.signal);
    this.#keepAlive(job);
    const cut = isLive ? undefined : await copyBySnapshot(this.#cluster, this.#work, job, this);
    const cutTime = cut ?? this.#now();
    const description = backupJob(this.#work, collected, Date.parse(cutTime));
    await startMover(this.#cluster, job, pod, description, this.#options.signal);
    const moved = isLive ? await this.#moveLive(job, pod) : await this.#awaitMover(job, pod, this.#options.signal);
    return {
      claim: plan.claim,
      claimUid: source.claim.metadata.uid,
      run: this.#options.run,
      ...{ method, methodReason: reason, consistency, cutTime },
      ...(choice === undefined ? {} : { snapshotClass: choice.class.metadata.name, snapshotCutTime: cutTime }),
      ...moved,
    };
  }

  /** Runs to its end even when the run itself was cancelled. What could not be removed is a warning, found by the next run. */
  async cleanUp(): Promise<void> {
    this.say('clean-up', 'removes what was made for this backup');
    const selector = `${claimSelector('backup', this.#work.plan.source.claim.metadata.uid)},${RUN}=${this.#options.run}`;
    try {
      await removeWork(this.#cluster, this.#options.namespace, selector, this.#work.timeouts.cleanUpMs);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.warn(`could not remove everything of this run, the next one will: ${error.message}`);
    }
  }

  /** From here on the next run may take what is left for dead. */
  endBeat(): void {
    clearInterval(this.#beat);
  }

  say(phase: BackupPhase, message: string): void {
    this.#options.onEvent?.({ claim: this.#work.plan.claim, phase, message });
  }

  warn(message: string): void {
    this.warnings.push(message);
    this.say('warning', message);
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }

  /** From here on nothing of this run outlives its Job, even if this process does not come to clean up. */
  async #dropVolume(): Promise<void> {
    const claim = await this.#cluster.get(CLAIM, this.#options.namespace, this.#work.name);
    if (claim !== undefined) await dropVolumeWithClaim(this.#cluster, claim);
  }

  /** The mover has the claim's own volume: it goes as soon as a pod needs that elsewhere. */
  async #moveLive(job: KubeObject, pod: MoverPod) {
    let node: string | undefined;
    const { plan, timeouts } = this.#work;
    const giveWay = watchForConsumers(this.#cluster, plan, {
      timeoutMs: timeouts.startMs + moveLimitMs(this.#work),
      moverNode: () => node,
    });
    const { signal } = this.#options;
    const either = signal === undefined ? giveWay.signal : AbortSignal.any([signal, giveWay.signal]);
    try {
      return await this.#awaitMover(job, pod, either, (found) => {
        node = textAt(found, 'spec', 'nodeName');
      });
    } finally {
      giveWay.stop();
    }
  }

  async #awaitMover(
    job: KubeObject,
    pod: MoverPod,
    signal: AbortSignal | undefined,
    onPod: (pod: KubeObject | undefined) => void = () => undefined,
  ) {
    const { finder, run } = this.#options;
    const { plan, timeouts } = this.#work;
    let result: MoverResult | undefined;
    try {
      result = await awaitMover(this.#cluster, job, pod, {
        startTimeoutMs: timeouts.startMs,
        runTimeoutMs: moveLimitMs(this.#work),
        signal,
        onStarted: () => this.#dropVolume(),
        onState: (state, found) => {
          onPod(found);
          this.say('mover', state);
        },
      });
    } catch (error) {
      // The pod may have been lost after the backup was saved.
      if (finder === undefined || !isHoldfastError(error, 'MOVER_FAILED')) throw error;
      const found = await finder.find(run, plan.source.claim.metadata.uid);
      if (found === undefined) throw error;
      this.warn(`the repository has the backup, though ${messageOf(error)}`);
      return { ...found, counts: {}, errorCount: 0, errors: [], node: undefined };
    }
    const state = result.exitCode === 0 ? ('complete' as const) : ('incomplete' as const);
    const { backupId, counts, errorCount, errors, node } = result;
    if (backupId === undefined || (finder !== undefined && !(await finder.has(backupId)))) {
      const reason = `it says it made the backup ${backupId ?? '(without id)'}, which is not in the repository`;
      throw new HoldfastError('MOVER_FAILED', { claim: plan.claim, reason });
    }
    return { backupId, state, counts, errorCount, errors, node };
  }

  /** Renews the mark that keeps the next run from sweeping this one away. */
  #keepAlive(job: KubeObject): void {
    const renew = async () => {
      try {
        await this.#cluster.patch(refOf(job), { merge: { metadata: { annotations: { [ALIVE]: this.#now() } } } });
      } catch (error) {
        // At the end of the run the Job goes while this beats on.
        if (statusOf(error) !== 404) this.warn(`could not renew the mark of this run: ${messageOf(error)}`);
      }
    };
    this.#beat = setInterval(() => void renew(), ALIVE_EVERY_MS);
    this.#beat.unref();
  }
}
