/**
 * Hooks around a cut: begun in their order, then the cut, then released in the opposite order, always. What holds an
 * application lets go by itself when this process dies (hook-shell.ts), or is put right by the next run (scale-hook.ts).
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { formatDuration } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import { titleOf } from '../cluster/workload.ts';
import type { HookRecord } from '../manifest/hook-record.ts';
import { beginCommand } from './command-hook.ts';
import type { BegunHook, HookEnd, ReleasedHook } from './hook-steps.ts';
import { hookTargetsOf, type PlannedHook, uniteHooks } from './hooks-plan.ts';
import type { ReadyClaim } from './plan.ts';
import { beginScale } from './scale-hook.ts';

export interface HookRun {
  /** The claims that are cut together. */
  readonly claims: readonly Pick<ReadyClaim, 'hooks'>[];
  readonly run: string;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  say(message: string): void;
  warn(message: string): void;
}

export interface Hooked<T> {
  readonly value: T;
  readonly records: readonly HookRecord[];
  /** Whether every hook ran well and held until the cut was made. */
  readonly covered: boolean;
}

/** Throws HOOK_FAILED where a hook failed that must not, what the cut throws, and the signal's reason. */
export async function withHooks<T>(cluster: Cluster, run: HookRun, cut: () => Promise<T>): Promise<Hooked<T>> {
  const hooks = uniteHooks(run.claims.flatMap((claim) => claim.hooks));
  if (hooks.length === 0) return { value: await cut(), records: [], covered: false };
  return inTurn(hookTargetsOf(hooks), async () => {
    const team = new Team(cluster, run);
    let made: { readonly value: T } | undefined;
    try {
      if (await team.begin(hooks)) made = { value: await cut() };
    } finally {
      await team.release();
    }
    const failure = team.failure();
    if (failure !== undefined) throw failure;
    if (made === undefined) throw new TypeError('a cut was left out although all hooks began well');
    return { ...made, records: team.records(), covered: team.covered() };
  });
}

const lastTurns = new Map<string, Promise<void>>();

/** Two cuts that hold the same pod come one after the other: the first to let go would let go for both. */
async function inTurn<T>(targets: readonly string[], work: () => Promise<T>): Promise<T> {
  const before = targets.map((target) => lastTurns.get(target));
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const target of targets) lastTurns.set(target, promise);
  await Promise.all(before);
  try {
    return await work();
  } finally {
    resolve();
    for (const target of targets) if (lastTurns.get(target) === promise) lastTurns.delete(target);
  }
}

interface Timed extends HookEnd {
  readonly startedMs: number;
  readonly durationMs: number;
}

/** One hook in one place. */
interface Player {
  readonly hook: PlannedHook;
  readonly target: string;
  readonly begun: BegunHook;
  readonly before: Timed | undefined;
  released?: Omit<ReleasedHook, 'after'> & { readonly after: Timed | undefined };
}

/** All that has begun, in this order. */
class Team {
  readonly #cluster: Cluster;
  readonly #run: HookRun;
  readonly #players: Player[] = [];

  constructor(cluster: Cluster, run: HookRun) {
    this.#cluster = cluster;
    this.#run = run;
  }

  /** False at the first one that may not fail and did; none is begun after it. Throws the signal's reason. */
  async begin(hooks: readonly PlannedHook[]): Promise<boolean> {
    for (const hook of hooks) {
      this.#run.signal?.throwIfAborted();
      const begun = await Promise.all(this.#startsOf(hook));
      this.#run.signal?.throwIfAborted();
      if (hook.onError === 'Fail' && begun.some(({ before }) => before?.ok === false)) return false;
    }
    return true;
  }

  /** Tells of what failed without harm to the claims. Never throws. */
  async release(): Promise<void> {
    for (const players of this.#byHook().toReversed()) await Promise.all(players.map((one) => this.#release(one)));
    for (const player of this.#players) {
      const problem = problemOf(player);
      if (problem === undefined || player.hook.onError === 'Fail') continue;
      this.#run.warn(`hook ${player.hook.number} failed for ${player.target}: ${problem}`);
    }
  }

  failure(): HoldfastError | undefined {
    for (const player of this.#players) {
      const reason = problemOf(player);
      if (reason === undefined || player.hook.onError !== 'Fail') continue;
      return new HoldfastError('HOOK_FAILED', { hook: player.hook.number, target: player.target, reason });
    }
    return undefined;
  }

  covered(): boolean {
    return (
      this.#players.every((player) => problemOf(player) === undefined) &&
      this.#players.some(({ before }) => before !== undefined)
    );
  }

  records(): HookRecord[] {
    return this.#players.map(({ hook, target, before, released }) => ({
      ...{ hook: hook.number, target },
      ...(before === undefined ? {} : { before: recordOf(before) }),
      ...(released?.after === undefined ? {} : { after: recordOf(released.after) }),
      held: released?.held ?? false,
    }));
  }

  #startsOf(hook: PlannedHook): Promise<Player>[] {
    if (hook.kind === 'scale') {
      const wish = { ...this.#run, timeoutMs: hook.timeoutMs };
      return hook.workloads.map((one) => this.#begin(hook, titleOf(one), () => beginScale(this.#cluster, one, wish)));
    }
    return hook.places.map((place) =>
      this.#begin(hook, `container ${place.container} of pod ${place.namespace}/${place.pod}`, () =>
        beginCommand(this.#cluster, hook, place, this.#run.signal),
      ),
    );
  }

  async #begin(hook: PlannedHook, target: string, start: () => Promise<BegunHook>): Promise<Player> {
    const startedMs = this.#run.clock.nowMs();
    const begun = await start();
    const before = begun.before && this.#timed(begun.before, startedMs);
    const player: Player = { hook, target, begun, before };
    this.#players.push(player);
    this.#tell(hook, target, 'before', before);
    return player;
  }

  async #release(player: Player): Promise<void> {
    const startedMs = this.#run.clock.nowMs();
    const released = await player.begun.release();
    const after = released.after && this.#timed(released.after, startedMs);
    player.released = { ...released, after };
    this.#tell(player.hook, player.target, 'after', after);
  }

  #tell({ number, kind }: PlannedHook, target: string, when: 'before' | 'after', end: Timed | undefined): void {
    if (end === undefined) return;
    const what = kind === 'scale' ? 'scaled' : `${when}-command`;
    this.#run.say(`${number}: ${target}: ${what}: ${end.words} (${formatDuration(end.durationMs)})`);
  }

  #timed(end: HookEnd, startedMs: number): Timed {
    return { ...end, startedMs, durationMs: this.#run.clock.nowMs() - startedMs };
  }

  #byHook(): Player[][] {
    return [...Map.groupBy(this.#players, ({ hook }) => hook).values()];
  }
}

/** In words, with what its commands said. */
function problemOf({ hook, before, released }: Player): string | undefined {
  const said = released?.stderr ? `; it said: ${released.stderr}` : '';
  const of = (when: string, { words }: HookEnd) => (hook.kind === 'scale' ? words : `its ${when}-command ${words}`);
  if (before?.ok === false) return `${of('before', before)}${said}`;
  if (released?.after?.ok === false) return `${of('after', released.after)}${said}`;
  return released?.held === true ? undefined : 'it let go before the cut was made';
}

function recordOf({ startedMs, durationMs, ok, exitCode }: Timed): HookRecord['before'] {
  const startedAt = new Date(startedMs).toISOString();
  return { startedAt, durationMs, ok, ...(exitCode === undefined ? {} : { exitCode }) };
}
