/** The cut of prepared claims between the hooks that their plans name, for one claim as for a group. */
import { systemClock } from '../base/clock.ts';
import { withHooks } from './hooks.ts';
import type { CutHooks, PreparedClaim } from './method.ts';

/** The cut, with what was done around it: undefined where there are no hooks. Throws what withHooks throws. */
export async function cutWithHooks<T>(
  claims: readonly PreparedClaim[],
  cut: () => Promise<T>,
): Promise<{ readonly cut: T; readonly hooks: CutHooks | undefined }> {
  const [first] = claims;
  if (first === undefined) throw new TypeError('a cut without claims');
  const { options } = first.work;
  const run = {
    claims: claims.map(({ work }) => work.plan),
    run: options.run,
    clock: options.clock ?? systemClock,
    signal: options.signal,
    say: (message: string) => first.say('hook', message),
    warn: (message: string) => {
      for (const claim of claims) claim.warn(message);
    },
  };
  const { value, records, covered } = await withHooks(first.cluster, run, cut);
  const isWhole = claims.every(({ work }) => !work.plan.leavesOutHooks);
  return { cut: value, hooks: records.length === 0 ? undefined : { records, covered: covered && isWhole } };
}
