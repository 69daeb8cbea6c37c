/**
 * Claims whose hooks hold the same pod or workload are cut together: one application between one before and one after,
 * and a workload that is stopped once. Pure.
 */
import type { CutGroup } from './groups.ts';
import { hookTargetsOf } from './hooks-plan.ts';
import type { BackupPlan, ReadyClaim } from './plan.ts';

/**
 * The same plan with a group for each such set of claims. Claims of a group of the user's stay as they are: they wait
 * for their turn (hooks.ts).
 */
export function groupByHooks(plan: BackupPlan): BackupPlan {
  const grouped = new Set(plan.groups.flatMap(({ members }) => members));
  const sets: { claims: ReadyClaim[]; targets: Set<string> }[] = [];
  for (const claim of plan.claims) {
    // What is read in use is not cut.
    if (claim.status !== 'ready' || claim.class === undefined || grouped.has(claim.claim)) continue;
    const targets = new Set(hookTargetsOf(claim.hooks));
    const joined = { claims: [claim], targets };
    for (const set of sets.filter((one) => !one.targets.isDisjointFrom(targets))) {
      joined.claims.unshift(...set.claims);
      joined.targets = set.targets.union(joined.targets);
      sets.splice(sets.indexOf(set), 1);
    }
    sets.push(joined);
  }
  const groups = sets.filter(({ claims }) => claims.length > 1).map(({ claims, targets }) => groupOf(claims, targets));
  return { ...plan, groups: [...plan.groups, ...groups] };
}

function groupOf(claims: readonly ReadyClaim[], targets: ReadonlySet<string>): CutGroup {
  const [target = ''] = targets;
  const members = claims.map(({ claim }) => claim);
  return { name: target, members, last: [], snapshot: undefined, reason: `hooks hold ${[...targets].join(', ')}` };
}
