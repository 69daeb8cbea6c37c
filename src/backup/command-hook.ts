/**
 * A command hook in one container. A lone before-command is run as it is; where there is an after-command, a program in
 * the container (hook-shell.ts) holds on for as long as this process is there to say so, and at most for the hook's time.
 */
import { isHoldfastError, messageOf } from '../base/errors.ts';
import { formatDuration } from '../base/units.ts';
import type { Cluster } from '../cluster/client.ts';
import type { ExecResult, PodCommand } from '../cluster/exec.ts';
import { lastLines } from './hook-output.ts';
import { heldProgram, RELEASE } from './hook-shell.ts';
import type { BegunHook, HookEnd, ReleasedHook } from './hook-steps.ts';
import type { CommandHook, HookPlace } from './hooks-plan.ts';

/** For the connection, beside the time that the commands have. */
const GRACE_MS = 10_000;

/** Runs the before-command. Never throws. */
export async function beginCommand(
  cluster: Cluster,
  hook: CommandHook,
  place: HookPlace,
  signal: AbortSignal | undefined,
): Promise<BegunHook> {
  const { before, after } = hook;
  if (after !== undefined) {
    const session = new Session(cluster, hook, after, place);
    return { before: await session.begin(signal), release: () => session.release() };
  }
  if (before === undefined) throw new TypeError('a hook without commands');
  const { end, stderr } = await runAlone(cluster, { ...place, command: before }, hook.timeoutMs, signal);
  return { before: end, release: async () => ({ after: undefined, held: true, stderr }) };
}

async function runAlone(
  cluster: Cluster,
  target: PodCommand,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<{ end: HookEnd; stderr: string }> {
  try {
    const { exitCode, stderr } = await cluster.exec(target, { timeoutMs, signal });
    return { end: endOf(String(exitCode), timeoutMs), stderr: lastLines(stderr, target.command) };
  } catch (error) {
    return { end: brokenOff(error, timeoutMs), stderr: '' };
  }
}

/** One connection from before to after. */
class Session {
  readonly #hook: CommandHook;
  readonly #commands: readonly string[];
  readonly #call: Promise<ExecResult>;
  readonly #released = Promise.withResolvers<void>();
  readonly #said = { before: Promise.withResolvers<string>(), after: Promise.withResolvers<string>() };
  readonly #hangUp = new AbortController();
  #rest = '';
  #held = false;

  constructor(cluster: Cluster, hook: CommandHook, after: readonly string[], place: HookPlace) {
    const { before, timeoutMs, holdMs } = hook;
    this.#hook = hook;
    this.#commands = [...(before ?? []), ...after];
    const limits = { limitSeconds: Math.ceil(timeoutMs / 1000), holdSeconds: Math.ceil(holdMs / 1000) };
    this.#call = cluster.exec(
      { ...place, command: ['sh', '-c', heldProgram({ before, after, ...limits })] },
      {
        timeoutMs: 2 * timeoutMs + holdMs + 4 * GRACE_MS,
        stdin: this.#input(),
        onStdout: (piece) => this.#hear(piece.toString('utf8')),
        signal: this.#hangUp.signal,
      },
    );
    for (const { promise, resolve, reject } of Object.values(this.#said)) {
      promise.catch(() => undefined);
      // A program that ends without a word could not be run.
      this.#call.then(({ exitCode }) => resolve(String(exitCode || 'silent')), reject);
    }
  }

  async begin(signal: AbortSignal | undefined): Promise<HookEnd | undefined> {
    const onAbort = (): void => this.#said.before.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const end = await this.#endOf('before', this.#hook.timeoutMs + GRACE_MS);
      return end.ok && this.#hook.before === undefined ? undefined : end;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** A before-command that is still at work has until its limit. */
  async release(): Promise<ReleasedHook> {
    this.#released.resolve();
    const after = await this.#endOf('after', 2 * this.#hook.timeoutMs + GRACE_MS);
    const hangUp = setTimeout(() => this.#hangUp.abort(new GaveUp()), GRACE_MS);
    const stderr = await this.#call.then(
      (result) => lastLines(result.stderr, this.#commands),
      () => '',
    );
    clearTimeout(hangUp);
    return { after, held: this.#held, stderr };
  }

  async *#input(): AsyncGenerator<Buffer> {
    await this.#released.promise;
    yield Buffer.from(RELEASE);
  }

  #hear(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [command, code = ''] = line.split(' ');
      if (command === 'after') this.#held = code !== 'expired';
      if (command === 'before' || command === 'after') this.#said[command].resolve(code);
    }
  }

  /** As the program tells it; or else the end of the connection, or of our patience. */
  async #endOf(command: 'before' | 'after', patienceMs: number): Promise<HookEnd> {
    const { timeoutMs, holdMs } = this.#hook;
    const limit = setTimeout(() => this.#hangUp.abort(new GaveUp()), patienceMs);
    try {
      const code = await this.#said[command].promise;
      if (code !== 'expired') return endOf(code, timeoutMs);
      return { ok: false, words: `ran by itself after ${formatDuration(holdMs)}, before the cut was made` };
    } catch (error) {
      return brokenOff(error, timeoutMs);
    } finally {
      clearTimeout(limit);
    }
  }
}

/** The program does not answer, although its own limits are over. */
class GaveUp extends Error {}

function endOf(code: string, timeoutMs: number): HookEnd {
  if (code === '0') return { ok: true, words: 'ended well', exitCode: 0 };
  if (code === 'late') return { ok: false, words: `did not end within ${formatDuration(timeoutMs)}` };
  if (code === 'silent') return { ok: false, words: 'was not run' };
  return { ok: false, words: `ended with exit code ${code}`, exitCode: Number(code) };
}

function brokenOff(error: unknown, timeoutMs: number): HookEnd {
  if (error instanceof GaveUp || isHoldfastError(error, 'EXEC_TIMEOUT')) return endOf('late', timeoutMs);
  return { ok: false, words: `was not seen to its end: ${messageOf(error).replace(/\.$/, '')}` };
}
