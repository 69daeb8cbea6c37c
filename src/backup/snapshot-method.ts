/**
 * Method Snapshot: the volume is cut by a CSI snapshot that stays in the storage system, and the repository gets the
 * recipe with the storage's name for it. No data is moved.
 */
import { hostname } from 'node:os';
import { HoldfastError, messageOf } from '../base/errors.ts';
import { keepSnapshot, listKept, settleKept } from '../cluster/kept-snapshot.ts';
import { recordSnapshot } from '../manifest/kept-snapshot.ts';
import { encodeRecipe, type Recipe, recipeFileName } from '../manifest/recipe.ts';
import { storeRecord } from '../repository/ledger/store-record.ts';
import { acquireLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { backupTags } from './claim-work.ts';
import { cutSnapshot, readySnapshot } from './cut-snapshot.ts';
import { settlePending } from './expire-kept.ts';
import { type MethodSteps, type PreparedClaim, recipeOf } from './method.ts';
import { ownContent } from './own-content.ts';

/** How long a prune is waited for; the snapshot waits, too. */
const LOCK_WAIT_MS = 10 * 60_000;

export const snapshotMethod: MethodSteps = {
  cut: async (claim) => {
    await settleEarlier(claim);
    return cutSnapshot(claim);
  },
  move: async (claim, cut) => {
    const { cluster, work } = claim;
    const { writable: repository, run, policy } = work.options;
    if (repository === undefined) throw new HoldfastError('PASSWORD_MISSING');
    const claimUid = work.plan.source.claim.metadata.uid;
    const identity = { repositoryId: repository.id, run, policy, claimUid };
    const snapshot = await readySnapshot(claim, cut);
    const content = await ownContent(claim, snapshot);
    const kept = recordSnapshot(snapshot, content);
    const recipe = recipeOf(claim, { ...cut, kept });
    await keepSnapshot(cluster, snapshot, content, 'pending', identity);
    try {
      const backupId = await storeRecipe(claim, repository, recipe, Date.parse(cut.time));
      await settleKept(cluster, { content }, 'backup');
      claim.say('snapshot', `stays in the storage system as ${kept.handle}`);
      return { backupId, state: 'complete', counts: {}, errorCount: 0, errors: [], node: undefined };
    } catch (error) {
      await takeBack(claim, repository);
      throw error;
    }
  },
};

function storeRecipe(claim: PreparedClaim, repository: Repository, recipe: Recipe, timeMs: number): Promise<string> {
  const { options, host } = claim.work;
  const { namespace, claim: name } = options;
  return writing(claim, repository, (confirmLock) =>
    storeRecord(
      repository,
      {
        path: `/${namespace}/${name}`,
        folders: [namespace, name],
        tags: [...backupTags(claim.work), 'state=complete'],
        host,
        fileName: recipeFileName,
        content: encodeRecipe(recipe),
      },
      { timeMs, confirmLock },
    ),
  );
}

async function writing<T>(
  { work }: PreparedClaim,
  repository: Repository,
  write: (confirmLock: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const { signal, lockHost = hostname() } = work.options;
  const wait = { waitMs: LOCK_WAIT_MS, ...(signal === undefined ? {} : { signal }) };
  const lock = await acquireLock(repository, { exclusive: false, hostname: lockHost, ...wait });
  try {
    return await write(() => lock.confirm());
  } finally {
    await lock.release();
  }
}

/** Snapshots of earlier runs of the claim that were killed around the storing of their backup. */
async function settleEarlier({ cluster, work }: PreparedClaim): Promise<void> {
  const { writable, run, signal } = work.options;
  if (writable === undefined) throw new HoldfastError('PASSWORD_MISSING');
  const claimUid = work.plan.source.claim.metadata.uid;
  const kept = await listKept(cluster, { repositoryId: writable.id, claimUid, signal });
  for (const one of kept.filter(({ as, run: other }) => as === 'pending' && other !== run)) {
    await settlePending(cluster, writable, one, work.timeouts.cleanUpMs);
  }
}

/** A store that failed may have stored the backup all the same: only then the snapshot stays. */
async function takeBack({ cluster, work, warn }: PreparedClaim, repository: Repository): Promise<void> {
  const { run } = work.options;
  try {
    const claimUid = work.plan.source.claim.metadata.uid;
    const kept = await listKept(cluster, { repositoryId: repository.id, claimUid });
    const own = kept.filter((one) => one.run === run && one.as === 'pending');
    for (const one of own) await settlePending(cluster, repository, one, work.timeouts.cleanUpMs);
  } catch (error) {
    warn(`could not tell what became of its snapshot, the next run will: ${messageOf(error)}`);
  }
}
