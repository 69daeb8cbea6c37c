/** A run over all claims of a namespace, with groups: for tests, and for children of theirs that are killed in it. */

import { gatherFacts } from '../../../src/backup/gather-facts.ts';
import { gatherGroupFacts } from '../../../src/backup/gather-groups.ts';
import type { GroupWish } from '../../../src/backup/groups.ts';
import { type BackupPlan, planBackup } from '../../../src/backup/plan.ts';
import { planGroups } from '../../../src/backup/plan-groups.ts';
import { type ClaimOutcome, type ClaimsRun, runClaims } from '../../../src/backup/run-claims.ts';
import type { Cluster } from '../../../src/cluster/client.ts';

export async function planOf(cluster: Cluster, namespace: string, wish: GroupWish): Promise<BackupPlan> {
  const facts = await gatherFacts(cluster, { scope: { namespaces: [namespace] } });
  return planGroups(planBackup(facts, {}), facts, await gatherGroupFacts(cluster, facts), wish);
}

export async function runGroups(
  cluster: Cluster,
  namespace: string,
  wish: GroupWish,
  run: ClaimsRun,
): Promise<ClaimOutcome[]> {
  return runClaims(cluster, await planOf(cluster, namespace, wish), run);
}
