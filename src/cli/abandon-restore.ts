/**
 * `holdfast restore BACKUP --abandon`: gives up a restore into a claim that did not come to its end.
 */
import { HoldfastError } from '../base/errors.ts';
import { findSnapshot, type SnapshotFilter } from '../repository/snapshots.ts';
import { abandonRestore } from '../restore/abandon.ts';
import { targetOf } from '../restore/plan.ts';
import { readRecipe } from '../restore/read-recipe.ts';
import type { ClaimRestoreOptionValues } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { withCluster } from './open-cluster.ts';
import { withRepository } from './open-repository.ts';
import { formatAmount } from './output.ts';

interface Request {
  readonly name: string;
  readonly filter: SnapshotFilter;
  readonly options: ClaimRestoreOptionValues;
}

/** The same backup and the same `--to` as the restore that is given up: they name it. */
export async function abandonClaimRestore(request: Request, context: CommandContext): Promise<void> {
  const { output, signal } = context;
  const { backupId, target } = await withRepository(context, async (repository) => {
    const snapshot = await findSnapshot(repository, request.name, request.filter);
    const recipe = await readRecipe(repository, snapshot);
    if (recipe === null) throw new HoldfastError('BACKUP_HAS_NO_RECIPE', { backup: snapshot.id.slice(0, 8) });
    return { backupId: snapshot.id, target: targetOf(recipe, request.options.to ?? {}) };
  });
  const removed = await withCluster(context, (cluster) =>
    abandonRestore(cluster, {
      backupId,
      ...target,
      onEvent: ({ step, message }) => output.note(`${step}: ${message}`),
      signal,
    }),
  );
  const claim = `${target.namespace}/${target.name}`;
  if (output.json) output.value({ type: 'summary', backupId, claim, removed });
  else if (removed === 0) output.line(`there is no unfinished restore of ${backupId.slice(0, 8)} into ${claim}`);
  else
    output.line(
      `gave up the restore of ${backupId.slice(0, 8)} into ${claim}: ${formatAmount(removed, 'object')} removed`,
    );
}
