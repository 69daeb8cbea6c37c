/**
 * Waiting for the state of objects: list, watch from there, list again after every end of a watch and every 15 s.
 * A watch that was cut, went stale or hangs half-open costs at most one such turn, and is never the only source.
 */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { asObject, type KubeObject, parseJson, textAt, valueAt } from './object.ts';
import type { ListOptions, Ref, Resource } from './resources.ts';

/** Returns what it looked for, or undefined to wait on. It may throw to end the wait. */
export type Probe<T> = (object: KubeObject | undefined) => T | undefined;
export type SetProbe<T> = (objects: readonly KubeObject[]) => T | undefined;

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the message of WAIT_TIMEOUT: "the snapshot of shop/data". */
  readonly what: string;
  /** The state in words, asked when time is up. */
  readonly last?: (() => string) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long one watch is trusted; default 15 s. */
  readonly turnMs?: number;
}

/** The two calls that a wait is made of. */
export interface WatchSource {
  list(resource: Resource, selection: ListOptions): Promise<{ items: KubeObject[]; resourceVersion: string }>;
  watch(
    resource: Resource,
    selection: ListOptions,
    resourceVersion: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): AsyncIterable<string>;
}

const TURN_MS = 15_000;
/** Between turns that end at once: a denied watch, a kind that is not there, a server that is starting. */
const PAUSE_MS = 1_000;

export function waitForObject<T>(
  source: WatchSource,
  clock: Clock,
  ref: Ref,
  probe: Probe<T>,
  options: WaitOptions,
): Promise<T> {
  const selection = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` };
  return waitForSet(source, clock, ref.resource, selection, (objects) => probe(objects[0]), options);
}

/** Throws WAIT_TIMEOUT at the deadline, the signal's reason when cancelled, and what the probe throws. */
export async function waitForSet<T>(
  source: WatchSource,
  clock: Clock,
  resource: Resource,
  selection: ListOptions,
  probe: SetProbe<T>,
  options: WaitOptions,
): Promise<T> {
  const deadlineMs = clock.nowMs() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const startedMs = clock.nowMs();
    const { items, resourceVersion } = await source.list(resource, { ...selection, signal: options.signal });
    const objects = new Map(items.map((item) => [item.metadata.uid, item]));
    const found = probe([...objects.values()]);
    if (found !== undefined) return found;
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs <= 0) throw timeout(options);
    const turnMs = Math.min(options.turnMs ?? TURN_MS, leftMs);
    const seen = await watchOnce(source, resource, selection, { objects, resourceVersion, probe, turnMs, options });
    if (seen !== undefined) return seen.value;
    const spentMs = clock.nowMs() - startedMs;
    if (spentMs < PAUSE_MS) await clock.sleep(Math.min(PAUSE_MS - spentMs, turnMs), options.signal);
  }
}

interface Turn<T> {
  readonly objects: Map<string, KubeObject>;
  readonly resourceVersion: string;
  readonly probe: SetProbe<T>;
  readonly turnMs: number;
  readonly options: WaitOptions;
}

async function watchOnce<T>(
  source: WatchSource,
  resource: Resource,
  selection: ListOptions,
  { objects, resourceVersion, probe, turnMs, options }: Turn<T>,
): Promise<{ value: T } | undefined> {
  const turnEnd = AbortSignal.timeout(turnMs);
  const signal = options.signal === undefined ? turnEnd : AbortSignal.any([turnEnd, options.signal]);
  const lines = source.watch(resource, selection, resourceVersion, turnMs, signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const line = await nextLine(lines, options.signal);
      if (line === undefined || !applyEvent(objects, line)) return undefined;
      const found = probe([...objects.values()]);
      if (found !== undefined) return { value: found };
    }
  } finally {
    await lines.return?.(undefined);
  }
}

/** undefined at the end of the watch, whatever ended it: the next list finds out whether that matters. */
async function nextLine(lines: AsyncIterator<string>, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const next = await lines.next();
    return next.done === true ? undefined : next.value;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** False when the line means that the watch no longer tells the whole truth. */
function applyEvent(objects: Map<string, KubeObject>, line: string): boolean {
  let event: unknown;
  try {
    event = parseJson(line);
  } catch {
    return false;
  }
  const type = textAt(event, 'type');
  if (type === 'BOOKMARK') return true;
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return false;
  const object = asObject(valueAt(event, 'object'));
  if (type === 'DELETED') objects.delete(object.metadata.uid);
  else objects.set(object.metadata.uid, object);
  return true;
}

function timeout(options: WaitOptions): HoldfastError {
  return new HoldfastError('WAIT_TIMEOUT', {
    seconds: Math.round(options.timeoutMs / 1000),
    what: options.what,
    last: options.last?.() ?? 'not there yet',
  });
}
