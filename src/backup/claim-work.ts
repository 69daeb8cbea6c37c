/** What is made in the cluster for one backup of one claim: names, labels, and what the mover is told. Pure. */
import type { BackupJob } from '../base/mover-protocol.ts';
import { type Labels, workLabels, workName } from '../cluster/labels.ts';
import { DEVICE_PATH, type MoverPod, type RepositoryAccess, VOLUME_PATH } from '../cluster/mover-pod.ts';
import { type Recipe, recipeFileName } from '../manifest/recipe.ts';
import { type CollectedRecipe, tolerationsOf } from './collect-recipe.ts';
import { clusterNameOf } from './history.ts';
import { userOf } from './mover-user.ts';
import type { ReadyClaim } from './plan.ts';
import type { BackupTimeouts, ClaimBackupRun } from './run.ts';

export interface ClaimWork {
  readonly plan: ReadyClaim;
  readonly options: ClaimBackupRun;
  readonly timeouts: BackupTimeouts;
  readonly clusterUid: string;
  readonly host: string;
  /** Of everything that is made for the time of the run. */
  readonly name: string;
  readonly labels: Labels;
}

export function claimWork(plan: ReadyClaim, options: ClaimBackupRun, timeouts: BackupTimeouts, clusterUid: string) {
  const identity = { role: 'backup', run: options.run, claimUid: plan.source.claim.metadata.uid } as const;
  const host = clusterNameOf(clusterUid, options.clusterName);
  const name = workName(identity, options.claim);
  return { plan, options, timeouts, clusterUid, host, name, labels: workLabels(identity) } satisfies ClaimWork;
}

/** The time that the mover may take; a volume in use is let go of sooner. */
export function moveLimitMs({ plan, timeouts }: ClaimWork): number {
  return plan.method === 'FileCopy' ? Math.min(timeouts.moveMs, timeouts.liveMountMs) : timeouts.moveMs;
}

export function backupPod(work: ClaimWork, { pods }: CollectedRecipe, alive: string): MoverPod {
  const { plan, options, name, labels } = work;
  const { moverNamespace, copy } = plan;
  const isLive = plan.method === 'FileCopy';
  return {
    kind: 'backup',
    namespace: moverNamespace,
    name,
    labels,
    worksFor: plan.claim,
    claimName: isLive ? options.claim : name,
    readOnlyClaim: isLive || copy?.accessMode === 'ReadOnlyMany',
    volumeMode: plan.source.volumeMode,
    settings: options,
    repository: accessOf(work),
    nodeSelector: plan.place.selector,
    // A node that takes no new pods still has the volume.
    tolerations: [...tolerationsOf(pods), ...(isLive ? [toleratesCordon] : [])],
    user: userOf(pods, options.claim),
    activeDeadlineSeconds: deadlineOf(work),
    alive,
  };
}

/** A mover that has to run beside the claim although the credentials stay elsewhere has some of its own. */
function accessOf({ plan, options }: ClaimWork): RepositoryAccess {
  const { repository, moverNamespace = options.namespace, claimSecretName } = options;
  if (plan.moverNamespace === moverNamespace || claimSecretName === undefined) return repository;
  return { url: repository.url, secretName: claimSecretName };
}

/** A live mount is counted from the start of the Job: waiting for the node's turn holds the volume as well. */
function deadlineOf(work: ClaimWork): number | undefined {
  const limitMs = moveLimitMs(work) + (work.plan.method === 'FileCopy' ? 0 : work.timeouts.startMs);
  return Number.isFinite(limitMs) ? Math.ceil(limitMs / 1000) : undefined;
}

const toleratesCordon = { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' };

/** What a backup says of itself, without its state. */
export function backupTags({ plan, options, clusterUid }: ClaimWork): string[] {
  const { namespace, claim, policy, run } = options;
  const uid = plan.source.claim.metadata.uid;
  const facts = { 'cluster-uid': clusterUid, namespace, claim, uid, policy, run, method: plan.method };
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return known.map(([key, value]) => `${key}=${value}`);
}

export function backupJob(work: ClaimWork, recipe: Recipe, timeMs: number): BackupJob {
  const { plan, options, clusterUid, host } = work;
  const { namespace, claim, repository, layout } = options;
  return {
    version: 1,
    kind: 'backup',
    repository: repository.url,
    source: plan.source.volumeMode === 'Block' ? DEVICE_PATH : VOLUME_PATH,
    ...(plan.source.volumeMode === 'Block' ? { sourceKind: 'device' as const } : {}),
    host,
    tags: backupTags(work),
    paths: [`/${namespace}/${claim}`],
    timeMs,
    folders: [namespace, claim],
    recipe,
    recipeFileName,
    ...(layout === undefined ? {} : { layout }),
    clusterUid,
  };
}
