/** `holdfast backup --retry RUN`: what failed in an earlier run, as its record tells it. */
import { type Retry, retryOf } from '../backup/retry.ts';
import { HoldfastError } from '../base/errors.ts';
import { findRun } from '../repository/ledger/ledger.ts';
import { listSnapshots } from '../repository/snapshots.ts';
import { retryClaims } from './claim-backup.ts';
import type { ClaimBackupOptionValues } from './claim-options.ts';
import type { CommandContext } from './command.ts';
import { withRepository } from './open-repository.ts';
import { backUpByPolicy, contextOf, readPolicy } from './policy-run.ts';

type Given = ClaimBackupOptionValues & { readonly policy: string | undefined; readonly policyName: string | undefined };

/** Throws RUN_NOT_FOUND, and USAGE where the run was another policy's: its backups are under the retention of that one. */
export async function retryRun(name: string, given: Given, context: CommandContext): Promise<void> {
  const choice = given.policy === undefined ? undefined : await readPolicy(given.policy, given.policyName);
  const within = choice === undefined ? context : contextOf(choice, context);
  const { document } = await withRepository(within, async (repository) =>
    findRun(repository, await listSnapshots(repository), name),
  );
  const [was, is] = [document.policy, choice?.policy.metadata].map((one) => one && `${one.namespace}/${one.name}`);
  if (was !== is) {
    const fix = was === undefined ? 'leave --policy out' : `give the file of that policy with --policy`;
    const of = was === undefined ? 'over claims that were named or selected' : `of the policy ${was}`;
    throw new HoldfastError('USAGE', { problem: `The run ${document.run} was ${of}: ${fix}` });
  }
  const retry: Retry = retryOf(document);
  if (retry.claims.length === 0) {
    if (context.output.json) context.output.value({ type: 'run', retryOf: document.run, claims: [] });
    context.output.note(`Nothing failed in run ${document.run}: there is nothing to try again.`);
    return;
  }
  context.output.note(`Tries again what failed in run ${document.run}: ${retry.claims.join(', ')}`);
  if (choice === undefined) await retryClaims(retry, given, context);
  else await backUpByPolicy(choice, given, context, retry);
}
