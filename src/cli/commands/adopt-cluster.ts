import type { AdoptionPlan } from '../../backup/adopt-cluster.ts';
import { writeRecord } from '../../repository/ledger/write-record.ts';
import { ageOf } from '../choose-backup.ts';
import { type CommandContext, defineCommand, flag, text } from '../command.ts';
import { withLockedRepository } from '../open-repository.ts';
import { formatAmount, type Output } from '../output.ts';

export const adoptClusterCommand = defineCommand({
  description:
    'For a cluster that was built anew: from then on its policies go on with the backups of the old one, their ' +
    'retention removes these too, and NAMESPACE/CLAIM means the claims of both. Backups are not changed: the repository ' +
    'notes it down. Never adopt a cluster that still runs, or two policies decide about the same backups.',
  arguments: [
    { name: '<old>', help: "the old cluster: its UID or the beginning of it, or its name (its backups' host)" },
  ],
  options: {
    clusterUid: text('--cluster-uid <uid>', 'this cluster (default: UID of the namespace kube-system)'),
    clusterName: text('--cluster-name <name>', 'its name (default: cluster-<first 8 of its uid>)'),
    plan: flag('--plan', 'show which backups would be adopted, and adopt nothing'),
  },
  examples: [
    ['holdfast adopt-cluster cluster-1f2e3d4c --plan', 'what there is of the old cluster'],
    ['holdfast adopt-cluster production', 'go on with its backups'],
  ],
  exitCodes: [10, 11, 12],
  run: async (given, [old = ''], context) => {
    const { planAdoption } = await import('../../backup/adopt-cluster.ts');
    const { clusterNameOf, readHistory } = await import('../../backup/history.ts');
    const to = given.clusterUid ?? (await uidOfThisCluster(context));
    await withLockedRepository(context, async (repository, _, lock) => {
      const plan = planAdoption(await readHistory(repository), old, to);
      const isNew = !plan.isDone && !given.plan;
      const host = clusterNameOf(to, given.clusterName);
      const record = { kind: 'ClusterAdoption' as const, from: plan.from, to };
      const options = { host, confirmLock: (): Promise<void> => lock.confirm() };
      const recordId = isNew ? await writeRecord(repository, record, options) : undefined;
      const { output } = context;
      if (output.json) {
        const { from, names, claims, backups, isDone } = plan;
        const type = given.plan ? 'plan' : 'adopted';
        output.value({ type, recordId, from, to, names, claims, backups: backups.length, isDone });
      } else print(plan, given.plan, output);
    });
  },
});

async function uidOfThisCluster(context: CommandContext): Promise<string> {
  const { clusterUidOf, withCluster } = await import('../open-cluster.ts');
  return withCluster(context, (cluster) => clusterUidOf(cluster, undefined));
}

function print({ from, to, names, claims, backups, isDone }: AdoptionPlan, isPlan: boolean, output: Output): void {
  const newest = backups.at(-1);
  output.line(`old cluster  ${from} (${names.join(', ')})`);
  output.line(`this one     ${to}`);
  output.line(`backups      ${backups.length}${newest === undefined ? '' : `, the newest ${ageOf(newest)}`}`);
  for (const [position, claim] of claims.entries()) output.line(`${position === 0 ? 'claims' : ''}`.padEnd(13) + claim);
  const amount = formatAmount(backups.length, 'backup');
  if (isDone) output.note('It was adopted before: there is nothing to do.');
  else output.note(isPlan ? `${amount} would be adopted.` : `${amount} adopted.`);
}
