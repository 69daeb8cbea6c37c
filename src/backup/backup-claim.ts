/**
 * One backup of one claim: CSI snapshot, temporary claim, mover; then everything that was made is removed, whatever
 * happened. The volume itself and its pods are never touched.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import type { BackupJob } from '../base/mover-protocol.ts';
import { version } from '../base/version.ts';
import { statusOf } from '../cluster/api-error.ts';
import type { Cluster } from '../cluster/client.ts';
import { ALIVE, claimSelector, ownedBy, RUN } from '../cluster/labels.ts';
import { type MoverPod, VOLUME_PATH } from '../cluster/mover-pod.ts';
import { awaitMover, createMoverJob, type MoverResult, startMover } from '../cluster/mover-run.ts';
import { type KubeObject, textAt } from '../cluster/object.ts';
import { CLAIM, refOf } from '../cluster/resources.ts';
import { createTemporaryClaim, dropVolumeWithClaim } from '../cluster/temporary-claim.ts';
import {
  createSnapshot,
  dropContentWithSnapshot,
  restoreSizeOf,
  waitForCut,
  waitForReady,
} from '../cluster/volume-snapshot.ts';
import { recipeFileName } from '../manifest/recipe.ts';
import { type CollectedRecipe, collectRecipe, tolerationsOf } from './collect-recipe.ts';
import { ALIVE_EVERY_MS, removeWork, sweepLeftovers } from './leftovers.ts';
import { type ClaimBackupPlan, planClaimBackup, temporarySize } from './plan.ts';
import {
  type BackupPhase,
  type BackupTimeouts,
  backupTimeouts,
  type ClaimBackupResult,
  type ClaimBackupRun,
} from './run.ts';
import { nodeSelectorOf } from './source.ts';

/** Throws the refusals of planClaimBackup, SNAPSHOT_FAILED, MOVER_FAILED, BACKUP_RUNNING, and the signal's reason. */
export async function backupClaim(cluster: Cluster, options: ClaimBackupRun): Promise<ClaimBackupResult> {
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  const run = new Run(cluster, options, clock, await planClaimBackup(cluster, options));
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

/** One run from its first object to the last that is removed. */
class Run {
  readonly warnings: string[] = [];
  readonly #cluster: Cluster;
  readonly #options: ClaimBackupRun;
  readonly #clock: Clock;
  readonly #plan: ClaimBackupPlan;
  readonly #timeouts: BackupTimeouts;
  #beat: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster, options: ClaimBackupRun, clock: Clock, plan: ClaimBackupPlan) {
    this.#cluster = cluster;
    this.#options = options;
    this.#clock = clock;
    this.#plan = plan;
    this.#timeouts = { ...backupTimeouts, ...options.timeouts };
    this.#say('plan', `snapshot by ${plan.class.class.metadata.name} (${plan.class.reason})`);
  }

  async sweep(): Promise<void> {
    const { source } = this.#plan;
    await sweepLeftovers(this.#cluster, this.#clock, {
      namespace: this.#options.namespace,
      claimUid: source.claim.metadata.uid,
      title: source.title,
      run: this.#options.run,
      timeoutMs: this.#timeouts.cleanUpMs,
      signal: this.#options.signal,
      onFound: (run, objects) => this.#say('sweep', `removes ${objects} objects that run ${run} left behind`),
    });
  }

  async move(): Promise<Omit<ClaimBackupResult, 'durationMs' | 'warnings'>> {
    const { source, class: choice, clusterUid } = this.#plan;
    const collected = await collectRecipe(this.#cluster, source, {
      method: this.#plan.method,
      snapshotClass: choice.class,
      clusterUid,
      clusterName: this.#plan.host,
      toolVersion: version,
      recordedAtMs: this.#clock.nowMs(),
    });
    const pod = this.#pod(collected);
    const job = await createMoverJob(this.#cluster, pod, this.#options.signal);
    this.#keepAlive(job);
    const snapshot = await this.#snapshot(job);
    await this.#readableClaim(job, snapshot);
    const cutTime = textAt(snapshot, 'status', 'creationTime') ?? new Date(this.#clock.nowMs()).toISOString();
    await startMover(this.#cluster, job, pod, this.#work(collected, Date.parse(cutTime)), this.#options.signal);
    const moved = await this.#awaitMover(job, pod);
    return {
      claim: source.title,
      claimUid: source.claim.metadata.uid,
      run: this.#options.run,
      method: this.#plan.method,
      snapshotClass: choice.class.metadata.name,
      snapshotCutTime: cutTime,
      ...moved,
    };
  }

  /** Runs to its end even when the run itself was cancelled. What could not be removed is a warning, found by the next run. */
  async cleanUp(): Promise<void> {
    this.#say('clean-up', 'removes mover, temporary claim and snapshot');
    const selector = `${claimSelector('backup', this.#plan.source.claim.metadata.uid)},${RUN}=${this.#options.run}`;
    try {
      await removeWork(this.#cluster, this.#options.namespace, selector, this.#timeouts.cleanUpMs);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.#warn(`could not remove everything of this run, the next one will: ${error.message}`);
    }
  }

  /** From here on the next run may take what is left for dead. */
  endBeat(): void {
    clearInterval(this.#beat);
  }

  async #snapshot(job: KubeObject): Promise<KubeObject> {
    const { source, name, labels, class: choice } = this.#plan;
    const { namespace, claim, signal } = this.#options;
    const className = choice.class.metadata.name;
    const wish = { namespace, name, claimName: claim, className, labels, owners: ownedBy(job) };
    const made = await createSnapshot(this.#cluster, wish, signal);
    const watch = { claim: source.title, signal, onProblem: (problem: string) => this.#warn(problem) };
    const cut = await waitForCut(this.#cluster, made, { ...watch, timeoutMs: this.#timeouts.cutMs });
    this.#say('snapshot', `cut at ${textAt(cut, 'status', 'creationTime') ?? 'an unknown time'}`);
    const ready = await waitForReady(this.#cluster, cut, { ...watch, timeoutMs: this.#timeouts.readyMs });
    await dropContentWithSnapshot(this.#cluster, ready);
    return ready;
  }

  /** From here on nothing of this run outlives its Job, even if this process does not come to clean up. */
  async #dropVolume(): Promise<void> {
    const claim = await this.#cluster.get(CLAIM, this.#options.namespace, this.#plan.name);
    if (claim !== undefined) await dropVolumeWithClaim(this.#cluster, claim);
  }

  async #readableClaim(job: KubeObject, snapshot: KubeObject): Promise<void> {
    const { source, name, labels, storageClass } = this.#plan;
    const size = temporarySize(restoreSizeOf(snapshot), textAt(source.volume, 'spec', 'capacity', 'storage'));
    this.#say('copy', `makes a temporary claim of ${size} from the snapshot`);
    await createTemporaryClaim(
      this.#cluster,
      {
        namespace: this.#options.namespace,
        name,
        snapshotName: name,
        storageClass,
        volumeMode: source.volumeMode,
        size,
        worksFor: source.title,
        labels,
        owners: ownedBy(job),
      },
      this.#options.signal,
    );
  }

  #pod(collected: CollectedRecipe): MoverPod {
    const { source, name, labels } = this.#plan;
    return {
      kind: 'backup',
      namespace: this.#options.namespace,
      name,
      labels,
      worksFor: source.title,
      claimName: name,
      volumeMode: source.volumeMode,
      settings: this.#options,
      repository: this.#options.repository,
      nodeSelector: this.#plan.staysInPlace ? nodeSelectorOf(source.volume) : undefined,
      tolerations: tolerationsOf(collected.pods),
      activeDeadlineSeconds: Math.ceil((this.#timeouts.startMs + this.#timeouts.moveMs) / 1000),
      alive: new Date(this.#clock.nowMs()).toISOString(),
    };
  }

  #work({ recipe }: CollectedRecipe, timeMs: number): BackupJob {
    const { source, clusterUid, host, method } = this.#plan;
    const { namespace, claim, policy, run, repository, layout } = this.#options;
    const facts = { 'cluster-uid': clusterUid, namespace, claim, uid: source.claim.metadata.uid, policy, run, method };
    const known = Object.entries(facts).filter(([, value]) => value !== undefined);
    return {
      version: 1,
      kind: 'backup',
      repository: repository.url,
      source: VOLUME_PATH,
      host,
      tags: known.map(([key, value]) => `${key}=${value}`),
      paths: [`/${namespace}/${claim}`],
      timeMs,
      folders: [namespace, claim],
      recipe,
      recipeFileName,
      ...(layout === undefined ? {} : { layout }),
      clusterUid,
    };
  }

  async #awaitMover(job: KubeObject, pod: MoverPod) {
    const { finder, run, signal } = this.#options;
    const claimUid = this.#plan.source.claim.metadata.uid;
    let result: MoverResult | undefined;
    try {
      result = await awaitMover(this.#cluster, job, pod, {
        startTimeoutMs: this.#timeouts.startMs,
        runTimeoutMs: this.#timeouts.moveMs,
        signal,
        onStarted: () => this.#dropVolume(),
        onState: (state) => this.#say('mover', state),
      });
    } catch (error) {
      // The pod may have been lost after the backup was saved.
      if (finder === undefined || !isHoldfastError(error, 'MOVER_FAILED')) throw error;
      const found = await finder.find(run, claimUid);
      if (found === undefined) throw error;
      this.#warn(`the repository has the backup, though ${messageOf(error)}`);
      return { ...found, counts: {}, errorCount: 0, errors: [], node: undefined };
    }
    const state = result.exitCode === 0 ? ('complete' as const) : ('incomplete' as const);
    const { backupId, counts, errorCount, errors, node } = result;
    if (backupId === undefined || (finder !== undefined && !(await finder.has(backupId)))) {
      const reason = `it says it made the backup ${backupId ?? '(without id)'}, which is not in the repository`;
      throw new HoldfastError('MOVER_FAILED', { claim: this.#plan.source.title, reason });
    }
    return { backupId, state, counts, errorCount, errors, node };
  }

  /** Renews the mark that keeps the next run from sweeping this one away. */
  #keepAlive(job: KubeObject): void {
    const renew = async () => {
      const mark = new Date(this.#clock.nowMs()).toISOString();
      try {
        await this.#cluster.patch(refOf(job), { merge: { metadata: { annotations: { [ALIVE]: mark } } } });
      } catch (error) {
        // At the end of the run the Job goes while this beats on.
        if (statusOf(error) !== 404) this.#warn(`could not renew the mark of this run: ${messageOf(error)}`);
      }
    };
    this.#beat = setInterval(() => void renew(), ALIVE_EVERY_MS);
    this.#beat.unref();
  }

  #say(phase: BackupPhase, message: string): void {
    this.#options.onEvent?.({ claim: this.#plan.source.title, phase, message });
  }

  #warn(message: string): void {
    this.warnings.push(message);
    this.#say('warning', message);
  }
}
