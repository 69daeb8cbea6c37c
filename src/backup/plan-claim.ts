/** Looks at one claim and plans its backup: every refusal comes before anything is made. */
import { HoldfastError } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { gatherFacts } from './gather-facts.ts';
import { planBackup, type ReadyClaim, refuseUnreachable } from './plan.ts';
import type { ClaimBackupRun } from './run.ts';

/** Throws what stands against it: the error of its PlannedClaim, or CLAIM_UNSETTLED where it was planned otherwise. */
export async function planClaimBackup(cluster: Cluster, options: ClaimBackupRun): Promise<ReadyClaim> {
  const { namespace, claim: name, planned } = options;
  refuseUnreachable(options.repository, options.moverNamespace ?? namespace);
  const facts = await gatherFacts(cluster, {
    scope: { claims: [{ namespace, name }] },
    cluster: options.clusterFacts,
    hooks: options.rules?.spec.hooks,
    signal: options.signal,
  });
  const { method, snapshotClass, rules: policy, moverNamespace, claimSecretName } = options;
  const wishes = {
    method,
    snapshotClass,
    policy,
    moverNamespace,
    claimSecretName,
    writable: options.writable !== undefined,
  };
  const [claim] = planBackup(facts, wishes).claims;
  if (claim === undefined) throw new TypeError('a claim that was asked for is not in its plan');
  if (claim.status !== 'ready') throw claim.error;
  if (planned !== undefined && wayOf(planned) !== wayOf(claim)) {
    const reason = `it was planned as ${wayOf(planned)}, and would now be ${wayOf(claim)}`;
    throw new HoldfastError('CLAIM_UNSETTLED', { claim: claim.claim, reason });
  }
  return claim;
}

/** What may not become something else between plan and run. */
function wayOf({ method, class: choice, source }: ReadyClaim): string {
  const by = choice === undefined ? '' : ` by ${choice.class.metadata.name}`;
  return `${method}${by} of the volume ${source.volume.metadata.name}`;
}
