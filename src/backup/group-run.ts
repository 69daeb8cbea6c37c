/**
 * The run of a group up to its cut: all of its claims are prepared, then all are cut, by one group snapshot or one right
 * after the other. One that cannot be prepared or cut fails the whole group, and nothing of it is left.
 */
import { mapLimited } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError, messageOf } from '../base/errors.ts';
import type { Cluster } from '../cluster/client.ts';
import { closing } from './backup-claim.ts';
import { type ClaimRun, openClaimRun } from './claim-run.ts';
import { cutTogether, type Removal, type Uncut } from './cut-group.ts';
import type { CutGroup } from './groups.ts';
import { cutWithHooks } from './hooked-cut.ts';
import type { Cut } from './method.ts';
import type { ReadyClaim } from './plan.ts';
import type { ClaimBackupResult, ClaimBackupRun } from './run.ts';

export interface GroupRun {
  /** In the order in which the claims were given; each to be finished by itself. */
  readonly members: readonly CutMember[];
  /** To be called when all members have ended: removes what they shared, and what never came to be finished. */
  close(): Promise<void>;
}

export interface CutMember {
  readonly planned: ReadyClaim;
  /** Brings the data into the repository. Throws what backupClaim throws once the claim is cut. */
  finish(): Promise<ClaimBackupResult>;
}

interface Member extends Uncut {
  readonly run: ClaimRun;
}

/** More would only crowd the API server; nothing is held still meanwhile. */
const PREPARED_AT_ONCE = 8;

/** Throws GROUP_NOT_CUT, with the error of the claim at fault as its cause, HOOK_FAILED, and the signal's reason. */
export async function cutGroup(
  cluster: Cluster,
  group: CutGroup,
  claims: readonly ClaimBackupRun[],
): Promise<GroupRun> {
  const open = new Set<ClaimRun>();
  const shared: Removal[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([...open].map((run) => run.close('failed')));
    open.clear();
    for (const remove of shared.splice(0)) await remove();
  };
  try {
    const members = await mapLimited(claims, PREPARED_AT_ONCE, (options) => prepare(cluster, group, options, open));
    const prepared = members.map(({ claim }) => claim);
    const { cut: cuts, hooks } = await cutWithHooks(prepared, () => cutTogether(cluster, group, members, shared));
    const finish = async ({ run, claim }: Member, bare: Cut | undefined): Promise<ClaimBackupResult> => {
      if (bare === undefined) throw new TypeError('a claim of a group was not cut with it');
      open.delete(run);
      const cut = { ...bare, hooks };
      const moved = await closing(run, () => run.move(claim, cut));
      return run.result(cut, moved);
    };
    return {
      members: members.map((member, at) => ({
        planned: member.run.work.plan,
        finish: () => finish(member, cuts[at]),
      })),
      close,
    };
  } catch (error) {
    if (claims.some(({ keepOnFailure }) => keepOnFailure === true)) shared.length = 0;
    await close().catch((left) => notRemoved(group, claims, left));
    throw error;
  }
}

/** Does not hide why the group failed. */
function notRemoved({ name }: CutGroup, [first]: readonly ClaimBackupRun[], error: unknown): void {
  const message = `could not remove everything of this run, the next one will: ${messageOf(error)}`;
  first?.onEvent?.({ claim: `group ${name}`, phase: 'warning', message });
}

async function prepare(
  cluster: Cluster,
  group: CutGroup,
  options: ClaimBackupRun,
  open: Set<ClaimRun>,
): Promise<Member> {
  const fail = (error: unknown): never => {
    throw ofMember(group, `${options.namespace}/${options.claim}`, error);
  };
  try {
    const run = await openClaimRun(cluster, options);
    open.add(run);
    const claim = await run.prepare();
    return { run, claim, cut: () => run.cut(claim).catch(fail) };
  } catch (error) {
    return fail(error);
  }
}

/** What went wrong with one claim, said of the group. */
function ofMember({ name }: CutGroup, claim: string, error: unknown): unknown {
  if (!isHoldfastError(error)) return error;
  const cause = `${claim}: ${error.message.replace(/\.$/, '')}`;
  return new HoldfastError('GROUP_NOT_CUT', { group: name, cause }, { cause: error });
}
