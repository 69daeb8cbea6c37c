/** A run over all claims of a namespace, with groups: for tests, and for children of theirs that are killed in it. */

import { gatherFacts } from '../../../src/backup/gather-facts.ts';
import { gatherGroupFacts } from '../../../src/backup/gather-groups.ts';
import type { GroupWish } from '../../../src/backup/groups.ts';
import { type BackupPlan, planBackup } from '../../../src/backup/plan.ts';
import { planGroups } from '../../../src/backup/plan-groups.ts';
import { type ClaimOutcome, type ClaimsRun, runClaims } from '../../../src/backup/run-claims.ts';
import type { Cluster } from '../../../src/cluster/client.ts';
import { textAt } from '../../../src/cluster/object.ts';
import { GROUP_SNAPSHOT_APIS, SNAPSHOT } from '../../../src/cluster/resources.ts';
import type { BackupScene } from './backup-scene.ts';

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

/** Kind and name of every group snapshot in the namespace of the scene, with its content and its members. */
export async function groupSnapshots({ cluster, namespace }: BackupScene): Promise<string[]> {
  const [api] = GROUP_SNAPSHOT_APIS;
  if (api === undefined) throw new Error('no version of group snapshots is known');
  const groups = await cluster.list(api.group, { namespace });
  const contents = await cluster.list(api.content);
  const own = contents.filter((one) => textAt(one, 'spec', 'volumeGroupSnapshotRef', 'namespace') === namespace);
  const members = await cluster.list(SNAPSHOT, { namespace });
  return [...groups, ...own, ...members].map((one) => `${one.kind} ${one.metadata.name}`);
}
