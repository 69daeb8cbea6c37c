/**
 * Names and marks of what Holdfast makes in a cluster for the time of a run. Everything carries them, so that a run
 * which was killed leaves only what the next one finds (R1.28).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { KubeObject, OwnerReference } from './object.ts';

export const MANAGED_BY = 'app.kubernetes.io/managed-by';
export const ROLE = 'holdfast.dev/role';
export const RUN = 'holdfast.dev/run';
export const CLAIM_UID = 'holdfast.dev/claim-uid';
/** Annotation: the claim that the object works for, as namespace/name, for people. */
export const WORKS_FOR = 'holdfast.dev/claim';
/** Annotation on a snapshot: the namespace of the Job that it was made for, where that is another one. */
export const MOVER_NAMESPACE = 'holdfast.dev/mover-namespace';
/** Annotation on the Job: renewed while its orchestrator lives. */
export const ALIVE = 'holdfast.dev/alive';
/** Annotation on a workload that a hook scaled to zero, beside those of the run: how many replicas it had. */
export const REPLICAS_BEFORE = 'holdfast.dev/replicas-before';

export type Labels = Readonly<Record<string, string>>;

export interface WorkIdentity {
  readonly role: 'backup' | 'restore';
  readonly run: string;
  readonly claimUid: string;
}

export function workLabels({ role, run, claimUid }: WorkIdentity): Labels {
  return { [MANAGED_BY]: 'holdfast', [ROLE]: role, [RUN]: run, [CLAIM_UID]: claimUid };
}

/** Of what a run makes for several claims at once. */
export function runLabels(role: WorkIdentity['role'], run: string): Labels {
  return { [MANAGED_BY]: 'holdfast', [ROLE]: role, [RUN]: run };
}

/** Selects all objects of one run. */
export function runSelector(role: WorkIdentity['role'], run: string): string {
  return `${MANAGED_BY}=holdfast,${ROLE}=${role},${RUN}=${run}`;
}

/** Selects the objects of all runs for a claim. */
export function claimSelector(role: WorkIdentity['role'], claimUid: string): string {
  return `${MANAGED_BY}=holdfast,${ROLE}=${role},${CLAIM_UID}=${claimUid}`;
}

/**
 * The one name of everything that a run makes for a claim. The same run and claim give the same name, so a repeated
 * creation finds its own object. At most 52 characters: a Job's pods get six more, and both are labels of 63.
 */
export function workName({ role, run, claimUid }: WorkIdentity, claim: string): string {
  const digest = createHash('sha256').update(`${role}\n${run}\n${claimUid}`).digest('hex').slice(0, 10);
  const readable = claim.replace(/[^a-z0-9-]+/g, '-').slice(0, 28);
  return `holdfast-${readable}-${digest}`.replace(/-{2,}/g, '-');
}

/** Makes the garbage collector remove the dependent with its owner, should nobody else come by. */
export function ownedBy(owner: KubeObject): OwnerReference[] {
  const { apiVersion, kind } = owner;
  return [{ apiVersion, kind, name: owner.metadata.name, uid: owner.metadata.uid }];
}

/** A run id that sorts by time and is a valid label: 20261122-184501-3f9a. */
export function newRunId(nowMs: number, random: () => string): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${random()}`;
}

/** Keeps two runs that start in the same second apart. */
export function randomPart(): string {
  return randomBytes(2).toString('hex');
}
