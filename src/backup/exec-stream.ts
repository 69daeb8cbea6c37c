/**
 * Method ExecStream: a container that uses the claim writes its files as a tar archive, which this process reads through
 * the API server and stores. For volumes that nothing else can reach, and small ones: all bytes pass the API server (R9.6).
 */
import { hostname } from 'node:os';
import { PassThrough } from 'node:stream';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { formatSize } from '../base/units.ts';
import type { PodCommand } from '../cluster/exec.ts';
import { encodeRecipe, type Recipe } from '../manifest/recipe.ts';
import { backupJob, moveLimitMs } from './claim-work.ts';
import type { ConsumerMount } from './consumer-mount.ts';
import {
  judgeTar,
  mountsBelow,
  mountsQuestion,
  type TarKind,
  type TarVerdict,
  tarCommand,
  tarKindOf,
  tarQuestion,
  usageQuestion,
} from './container-tar.ts';
import { type Cut, type MethodSteps, type MovedClaim, type PreparedClaim, recipeOf } from './method.ts';

const QUESTION_MS = 60_000;
const PROGRESS_MS = 10_000;
/** A tar that failed before the end of its archive is not waited for longer. */
const LET_GO_MS = 15_000;
/** Between the connection and the reader of the archive. */
const AHEAD_BYTES = 1 << 20;

export const execStream: MethodSteps = {
  /** Nothing is cut: the time is when the files begin to be read. */
  cut: async (claim) => ({ time: claim.now() }),
  move: async (claim, cut) => {
    const { consumer } = claim.work.plan.place;
    if (consumer === undefined) throw new TypeError('a stream was planned without a container that it comes from');
    const kind = await inspect(claim, consumer);
    return stream(claim, cut, consumer, kind);
  },
};

/** Which tar there is, and whether it can tell the volume from what is mounted into it. Throws STREAM_REFUSED. */
async function inspect(claim: PreparedClaim, consumer: ConsumerMount): Promise<TarKind> {
  const refuse = (reason: string) => new HoldfastError('STREAM_REFUSED', { claim: claim.work.plan.claim, reason });
  const said = await ask(claim, consumer, tarQuestion);
  const place = `container ${consumer.container} of pod ${consumer.pod}`;
  if (said === undefined) throw refuse(`${place} has no tar program`);
  const kind = tarKindOf(said);
  if (kind === undefined) throw refuse(`the tar program of ${place} is not known (it says "${said.split('\n')[0]}")`);
  const mounts = await ask(claim, consumer, mountsQuestion);
  const below = mounts === undefined ? [] : mountsBelow(mounts, consumer.folder);
  if (kind === 'busybox' && (mounts === undefined || below.length > 0)) {
    const what = below.length > 0 ? below.join(', ') : 'whatever is mounted below it';
    throw refuse(`the tar program of ${place} (BusyBox) cannot leave out ${what}`);
  }
  for (const point of below)
    claim.warn(`${point} is a mount of its own: what the volume has below it is not in the backup`);
  if (kind === 'busybox') claim.warn('BusyBox keeps no extended attributes, no ACLs, and times in whole seconds');
  return kind;
}

/** What a small command prints; undefined where it cannot be run or does not know the question. */
async function ask(
  claim: PreparedClaim,
  consumer: ConsumerMount,
  command: readonly string[],
): Promise<string | undefined> {
  const pieces: Buffer[] = [];
  const onStdout = (piece: Buffer) => void pieces.push(piece);
  const { signal } = claim.work.options;
  try {
    const target = targetOf(claim, consumer, command);
    const { exitCode } = await claim.cluster.exec(target, { timeoutMs: QUESTION_MS, onStdout, signal });
    return exitCode === 0 ? Buffer.concat(pieces).toString('utf8') : undefined;
  } catch (error) {
    if (!isHoldfastError(error, 'EXEC_FAILED')) throw error;
    return undefined;
  }
}

async function stream(claim: PreparedClaim, cut: Cut, consumer: ConsumerMount, kind: TarKind): Promise<MovedClaim> {
  const { work } = claim;
  const { options, plan } = work;
  if (options.writable === undefined) throw new HoldfastError('PASSWORD_MISSING');
  const recipe = await withUsage(claim, consumer, recipeOf(claim, cut));
  const { backupClaimArchive } = await import('../volume/claim-archive.ts');
  const over = new AbortController();
  const signal = options.signal === undefined ? over.signal : AbortSignal.any([options.signal, over.signal]);
  const { archive, ending, onArchiveEnd } = startTar(claim, consumer, kind, signal);
  try {
    const summary = await backupClaimArchive(options.writable, backupJob(work, recipe, Date.parse(cut.time)), {
      ...{
        claim: plan.claim,
        recipe: encodeRecipe(recipe),
        archive,
        onArchiveEnd,
        signal,
        hostname: options.lockHost ?? hostname(),
      },
      ending: async () => tell(claim, await ending),
      onProgress: progressOf(claim),
    });
    const counts = Object.entries(summary).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    return {
      backupId: summary.backupId,
      state: summary.errors.length === 0 ? 'complete' : 'incomplete',
      ...{ counts: Object.fromEntries(counts), errorCount: summary.errors.length, errors: summary.errors },
      node: consumer.node,
    };
  } finally {
    over.abort();
  }
}

/** The archive as it comes, and how tar ended, which is known after its last byte. */
function startTar(claim: PreparedClaim, consumer: ConsumerMount, kind: TarKind, signal: AbortSignal) {
  const { work } = claim;
  const archive = new PassThrough({ highWaterMark: AHEAD_BYTES });
  // An error that nobody waits for at the moment is thrown to whoever reads on.
  archive.on('error', () => undefined);
  const wasRead = Promise.withResolvers<void>();
  const stalled = new AbortController();
  const { stalledMs } = work.timeouts;
  const reason = `nothing came for ${Math.round(stalledMs / 1000)} s`;
  const tooSilent = new HoldfastError('STREAM_BROKEN', { name: work.plan.claim, reason });
  const silence = watchSilence({ [LET_GO_MS]: wasRead.resolve, [stalledMs]: () => stalled.abort(tooSilent) });
  const onStdout = (piece: Buffer) => silence.breakWhile(() => passOn(archive, piece, signal));
  claim.say('stream', `${kind} tar of ${consumer.folder} in ${consumer.pod}, container ${consumer.container}`);
  const ending = claim.cluster
    .exec(targetOf(claim, consumer, tarCommand(kind, consumer.folder)), {
      ...{ timeoutMs: moveLimitMs(work), stdin: lineAfter(wasRead.promise), onStdout },
      signal: AbortSignal.any([signal, stalled.signal]),
    })
    .then((end) => judgeTar(kind, end, work.plan.claim))
    .finally(silence.stop);
  ending.then(
    () => archive.end(),
    (error: Error) => archive.destroy(error),
  );
  return { archive, ending, onArchiveEnd: wasRead.resolve };
}

/** What lets the command go that waits at its end. */
async function* lineAfter(wasRead: Promise<void>): AsyncGenerator<Uint8Array> {
  await wasRead;
  yield Buffer.from('\n');
}

function passOn(archive: PassThrough, piece: Buffer, signal: AbortSignal): Promise<void> | undefined {
  if (archive.write(piece)) return undefined;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    archive.once('drain', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** Does what is to be done after so many milliseconds without data; the time that we keep data waiting does not count. */
function watchSilence(after: Readonly<Record<number, () => void>>) {
  let lastMs = Date.now();
  let isTaking = false;
  const timer = setInterval(() => {
    if (isTaking) return;
    for (const [ms, act] of Object.entries(after)) if (Date.now() - lastMs >= Number(ms)) act();
  }, 1_000);
  timer.unref();
  return {
    breakWhile: async (take: () => Promise<void> | undefined) => {
      isTaking = true;
      await take();
      isTaking = false;
      lastMs = Date.now();
    },
    stop: () => clearInterval(timer),
  };
}

function tell(claim: PreparedClaim, verdict: TarVerdict): TarVerdict {
  const { filesChangedWhileRead: changed, filesVanished: vanished } = verdict;
  if (changed > 0) claim.warn(`${changed} files changed while they were read`);
  if (vanished > 0) claim.warn(`${vanished} files were gone when it was their turn`);
  for (const note of verdict.notes) claim.warn(note);
  return verdict;
}

/** The recipe with what the mounted file system says of itself, where the container can be asked for it (R7.3). */
async function withUsage(claim: PreparedClaim, consumer: ConsumerMount, recipe: Recipe): Promise<Recipe> {
  const said = await ask(claim, consumer, usageQuestion(consumer.folder));
  const [blocks = 0, free = 0, blockBytes = 0] = (said ?? '').trim().split(' ').map(Number);
  const isKnown = [blocks, free, blockBytes].every(Number.isSafeInteger) && blocks > 0;
  const usage = { usedBytes: (blocks - free) * blockBytes, filesystemBytes: blocks * blockBytes };
  return isKnown ? { ...recipe, sizes: { ...recipe.sizes, ...usage } } : recipe;
}

function targetOf(claim: PreparedClaim, consumer: ConsumerMount, command: readonly string[]): PodCommand {
  const { namespace } = claim.work.options;
  return { namespace, pod: consumer.pod, container: consumer.container, command };
}

function progressOf(claim: PreparedClaim): (progress: { files: number; bytes: number }) => void {
  let nextMs = Date.now() + PROGRESS_MS;
  return ({ files, bytes }) => {
    if (Date.now() < nextMs) return;
    nextMs = Date.now() + PROGRESS_MS;
    claim.say('stream', `${files} files, ${formatSize(bytes)}`);
  };
}
